"""What the hooks yield, and the check of the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from k8sbuild_etcd import checks, plugin

from k8sbuild.errors import ValidateError
from k8sbuild.testing import programs
from k8sbuild.testing.checks import conforms, sample_build


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target="etcd"), sample_build(plugin, target="etcd", version="v3.5.16"))


def context(program: Path, says: str = "") -> Any:
    params = {"binary": plugin.BINARY, "version": "v3.5.15"}
    return SimpleNamespace(params=params, path=lambda address: program, exec=lambda argv: says)


def test_version() -> None:
    # A static program that stands for etcd.
    gofmt = Path(subprocess.check_output([programs.go(), "env", "GOROOT"], text=True).strip(), "bin", "gofmt")
    assert checks.version(context(gofmt, "etcd Version: 3.5.15\nGit SHA: x\n")) == ["static", "etcd Version: 3.5.15"]
    with pytest.raises(ValidateError, match=r"says 'etcd Version: 3.5.14', not v3.5.15"):
        checks.version(context(gofmt, "etcd Version: 3.5.14\n"))


def test_what_is_linked_dynamically_is_refused() -> None:
    with pytest.raises(ValidateError, match="is linked dynamically"):
        checks.version(context(Path(sys.executable).resolve()))
