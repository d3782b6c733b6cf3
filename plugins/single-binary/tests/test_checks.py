"""The code of checks is a package of its own."""

from __future__ import annotations

import re
from pathlib import Path

import k8sbuild_single_binary_checks
from k8sbuild_single_binary import plugin

from k8sbuild.testing.checks import sample_build

PACKAGE = Path(str(k8sbuild_single_binary_checks.__file__)).parent


def test_checks_run_code_that_is_apart_from_what_makes_the_binary() -> None:
    checks = list(plugin.k8sbuild_validate(sample_build(plugin, target="k8s")))
    assert {check.run.partition(".")[0] for check in checks} == {PACKAGE.name}
    texts = {file.name: file.read_text(encoding="utf-8") for file in PACKAGE.glob("*.py")}
    assert "live.py" in texts
    assert [name for name, text in texts.items() if re.search(r"k8sbuild_single_binary\b", text)] == []
