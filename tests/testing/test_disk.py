"""Whole builds on disks that are full or read-only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from disks import Disk

    from k8sbuild.testing.upstream import Upstream

NewProject = Callable[..., Project]


def failing(project: Project, reason: str) -> None:
    outcome = project.run("build", "--format=json")
    assert outcome.code == 22, outcome
    error = outcome.json()
    assert error["reason"] == reason, error
    assert error["hint"]
    assert "disk" in error["message"], "the folder is named"
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("folder", "sizes"),
    [
        # In a fetch and in a compile; while trees are laid out, by the linker or the archive; in the export.
        ("cache", ["300k", "2000k"]),
        ("project/.k8sbuild", ["128k", "2600k"]),
        ("project/dist", ["512k"]),
    ],
)
def test_a_full_disk_is_named_and_space_brings_the_same_bytes(
    new_project: NewProject,
    fake: Upstream,
    whole: Project,
    disk: Disk,
    tmp_path: Path,
    folder: str,
    sizes: list[str],
) -> None:
    made = new_project("project", stranger=True)
    project = replace(made, env={**made.env, "K8SBUILD_CACHE_DIR": str(tmp_path / "cache")})
    (tmp_path / folder).symlink_to(disk.folder)
    # A store of its own, so that every step runs; only Go's compile cache is shared, to be quick.
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "gocache").symlink_to(fake.cache / "gocache")
    for size in sizes:
        disk.remount(f"size={size}")
        failing(project, "disk-full")
    disk.remount("ro")
    failing(project, "store-read-only")
    disk.remount("rw,size=40m")
    outcome = project.run("build")
    assert outcome.code == 0, outcome
    assert project.artifacts() == whole.artifacts()
