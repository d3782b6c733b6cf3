"""What ``go`` is told by the developer's commands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from k8sbuild.stages import gotest


@pytest.mark.parametrize(("tags", "said"), [(["a", "b"], ["-tags=a,b"]), ([], [])])
def test_vet_and_list_see_the_files_that_the_program_has(tags: list[str], said: list[str]) -> None:
    asked: list[tuple[str, ...]] = []
    told: list[str] = []
    given = {"tags": tags, "packages": ["./..."], "local": []}

    class Go:
        ctx = SimpleNamespace(params=given, progress=lambda what, done, total: told.append(what))

        def __call__(self, *words: str) -> str:
            asked.append(words)
            return ""

    go = cast("Any", Go())
    gotest._vet(go)
    gotest._packages(go)
    assert [words[0] for words in asked] == ["vet", "list"]
    assert [text.startswith("go vet") for text in told] == [True], "what takes minutes is told"
    assert all([word for word in words if word.startswith("-tags")] == said for words in asked)
