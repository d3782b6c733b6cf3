"""The tree of errors."""

from __future__ import annotations

import pytest

from k8sbuild import errors
from k8sbuild.errors import BuildError, FetchError, suggest

TREE = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, BuildError)]


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    assert len({error.exit_code for error in TREE}) == len(TREE) > 10


def test_the_json_form_leaves_out_what_is_empty() -> None:
    error = FetchError("kine: digest differs", reason="digest-mismatch", details={"file": "a"})
    error.step = "fetch:toy/kine"
    assert error.to_dict() == {
        "reason": "digest-mismatch",
        "message": "kine: digest differs",
        "step": "fetch:toy/kine",
        "details": {"file": "a"},
        "exit_code": 15,
    }
    assert str(error) == "kine: digest differs"


@pytest.mark.parametrize(("word", "said"), [("kins", "; did you mean 'kine'?"), ("zebra", "")])
def test_suggestions(word: str, said: str) -> None:
    assert suggest(word, ["kine", "k8s"]) == said
