"""The public module: each name is there, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from k8sbuild import api


def test_each_name_is_imported_at_its_first_use() -> None:
    assert sorted(api.__all__) == sorted(api._HOMES) == sorted(dir(api))
    for name in api.__all__:
        assert getattr(api, name).__module__.startswith("k8sbuild."), name


def test_a_name_that_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        api.bild  # noqa: B018 - the look itself is tested


def test_importing_it_imports_nothing_that_a_build_needs() -> None:
    code = "import sys; from k8sbuild import api; print(*(m for m in sys.modules if m.startswith('k8sbuild.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"k8sbuild.api", "k8sbuild.hookspecs"}
