"""Real Kubernetes: what only the whole build can show. `nox -s e2e`, or `nox -s e2e -- smoke`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k8sbuild.config import cache_folder

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def k8sbuild(*args: str, folder: Path = ROOT, **variables: str) -> dict[str, object]:
    """Run the command line and return its JSON answer."""
    program = Path(sys.executable).with_name("k8sbuild")
    argv = [str(program), *args, "--format=json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def steps(answer: dict[str, object]) -> list[dict[str, Any]]:
    """Return what became of each step."""
    found = answer["steps"]
    assert isinstance(found, list)
    return found


def sums(folder: Path) -> dict[str, str]:
    """Return digest by artifact, computed from the files."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    return {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names if (folder / n).is_file()}


def test_smoke_a_second_build_gives_the_same_bytes() -> None:
    k8sbuild("build", "--skip-validate")
    before = sums(ROOT / "dist" / "artifacts")

    k8sbuild("build", "--skip-validate", "--verify")

    assert sums(ROOT / "dist" / "artifacts") == before
    assert "k8s" in before


def test_smoke_another_folder_home_and_store_give_the_same_bytes(tmp_path: Path) -> None:
    k8sbuild("build", "--skip-validate")
    clone = tmp_path / "somewhere else"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    # Go's own compile cache is shared by content; everything of ours starts empty.
    (cache / "gocache").symlink_to(cache_folder(os.environ) / "gocache")

    k8sbuild("build", "--skip-validate", folder=clone, HOME=str(tmp_path), K8SBUILD_CACHE_DIR=str(cache))

    assert sums(clone / "dist" / "artifacts") == sums(ROOT / "dist" / "artifacts")


def test_arm64_has_its_own_names() -> None:
    before = sums(ROOT / "dist" / "artifacts")

    k8sbuild("build", "--skip-validate", "--arch=arm64")

    after = sums(ROOT / "dist" / "artifacts")
    assert {"k8s-linux-arm64", "k8s-v1.31.4-linux-arm64.tar.zst"} <= set(after)
    assert {name: after[name] for name in before} == before


def test_two_servers_on_the_etcd_that_is_built_with_them() -> None:
    answer = k8sbuild("build", "--set=single-binary.validate-ha=true")

    (found,) = [step["facts"] for step in steps(answer) if step["step"] == "validate:single-binary/live-ha"]
    assert all(seconds <= 10 for seconds in found["stop_seconds"]), found
    assert len(found["stop_seconds"]) == 2
    assert found["takeover_seconds"] > 1, "nothing was taken over"

    alone = k8sbuild("build", "--offline", "--target=etcd")
    assert {step["state"] for step in steps(alone) if not step["step"].startswith("validate:")} == {"reused"}
    said = subprocess.check_output([ROOT / "dist" / "artifacts" / "etcd", "--version"], text=True)
    assert said.startswith("etcd Version: 3.5.15\n")
