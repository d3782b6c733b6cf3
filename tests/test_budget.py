"""The budget of raised modules: what is said first where the patches are for another version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.budget import check_budget
from k8sbuild.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = "".join(f'["000{i}-x.patch"]\nwhy = "x"\napplies-to = ">=1.31,<1.32"\n' for i in (1, 2))


@pytest.mark.parametrize(
    ("version", "first", "hint"),
    [
        ("v1.32.0", "patches of kubernetes are made for >=1.31,<1.32, not for v1.32.0", "move to a new Kubernetes"),
        ("v1.31.4", "acme/k8s: 2 modules differ from Kubernetes' go.mod, max-raised-modules is 1", "GoReplace"),
    ],
)
def test_patches_for_another_version_are_said_first(tmp_path: Path, version: str, first: str, hint: str) -> None:
    (tmp_path / "ledger.toml").write_text(LEDGER, encoding="utf-8")
    series = [(tmp_path, "kubernetes", version, None), (tmp_path / "none", "kine", "v0.16.4", None)]
    with pytest.raises(ConfigError) as caught:
        check_budget(1, {"acme/other": ["a"], "acme/k8s": ["a", "b"]}, series)
    assert (caught.value.reason, caught.value.message.partition(first)[0]) == ("budget-raised-modules", "")
    assert hint in caught.value.hint
    assert caught.value.message.count("acme/k8s: 2 modules differ") == 1


def test_within_the_budget_nothing_is_refused() -> None:
    check_budget(1, {"acme/k8s": ["a"]}, [])
