"""Debian's formats."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from k8sbuild import debian
from k8sbuild.testing.debian import package

if TYPE_CHECKING:
    from pathlib import Path

#: As dpkg sorts them.
VERSIONS = [
    "0~~",
    "0~",
    "0",
    "0+a",
    "1.0~rc1-1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1.1",
    "1.0-2",
    "1.0-10",
    "1.0a-1",
    "1.0.1",
    "1:0",
]


def test_versions() -> None:
    mixed = [*VERSIONS[::2], *VERSIONS[1::2]]
    assert sorted(mixed, key=debian.version_key) == VERSIONS


def test_the_control_file_of_a_package() -> None:
    (said,) = debian.stanzas(debian.control(io.BytesIO(package("tool", "2.0", depends="lib", multi_arch="foreign"))))
    assert (said["package"], said["version"], said["depends"], said["multi-arch"]) == ("tool", "2.0", "lib", "foreign")


@pytest.mark.parametrize("data", [b"", b"PK", b"!<arch>\n", package("tool")[:100]])
def test_what_is_no_package(data: bytes) -> None:
    with pytest.raises((ValueError, EOFError, OSError)):
        debian.control(io.BytesIO(data))


def test_alternatives_and_circles() -> None:
    text = "\n".join(
        f"Package: {name}\nVersion: 1\nDepends: {needs}\nFilename: {name}\nSHA256: 0\nSize: 1\n"
        for name, needs in (("a", "none | b | c"), ("b", "a"), ("c", ""))
    )
    known = debian.index(list(debian.packages(text)))
    assert [p.name for p in debian.closure(known, ["a"])] == ["a", "b"]
    assert [p.name for p in debian.closure(known, ["a", "c"])] == ["a", "c"], "who names one alternative gets it"
    with pytest.raises(KeyError, match="x"):
        debian.closure(known, ["x"])


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    (tmp_path / "sqv").write_text("#!/bin/sh\n")
    (tmp_path / "sqv").chmod(0o755)
    found = {finding.name: finding for finding in debian.findings(str(tmp_path))}
    assert (found["gpgv"].ok, found["mmdebstrap"].ok) == (True, False)
    assert "apt-get install mmdebstrap" in found["mmdebstrap"].fix
    assert found["user-namespaces"].ok or os.geteuid() != 0
