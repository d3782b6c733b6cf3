"""Real Kubernetes: what only the whole build can show. `nox -s e2e`, or `nox -s e2e -- smoke`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from e2e.command import ROOT, k8sbuild, steps

from bench.lines.same_bytes import digests
from k8sbuild.config import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_smoke_a_second_build_gives_the_same_bytes() -> None:
    k8sbuild("build", "--skip-validate")
    before = digests(ROOT / "dist" / "artifacts")

    k8sbuild("build", "--skip-validate", "--verify")

    assert digests(ROOT / "dist" / "artifacts") == before
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

    assert digests(clone / "dist" / "artifacts") == digests(ROOT / "dist" / "artifacts")


def test_arm64_has_its_own_names() -> None:
    before = digests(ROOT / "dist" / "artifacts")

    k8sbuild("build", "--skip-validate", "--arch=arm64")

    after = digests(ROOT / "dist" / "artifacts")
    assert {"k8s-linux-arm64", "k8s-v1.31.4-linux-arm64.tar.zst"} <= set(after)
    assert {name: after[name] for name in before} == before


def test_smoke_two_servers_on_the_etcd_that_is_built_with_them() -> None:
    answer = k8sbuild("build", "--validate-ha")

    (found,) = [step["facts"] for step in steps(answer) if step["step"] == "validate:single-binary/live-ha"]
    assert all(seconds <= 10 for seconds in found["stop_seconds"]), found
    assert len(found["stop_seconds"]) == 2
    assert found["takeover_seconds"] > 1, "nothing was taken over"

    alone = k8sbuild("build", "--offline", "--target=etcd")
    assert {step["state"] for step in steps(alone) if not step["step"].startswith("validate:")} == {"reused"}
    said = subprocess.check_output([ROOT / "dist" / "artifacts" / "etcd", "--version"], text=True)
    assert said.startswith("etcd Version: 3.5.15\n")


def write_plugin(site: Path, name: str, title: str) -> None:
    """Write the plugin that the how-to shows: its module begins with ``title``, its Go package has its name."""
    text = (ROOT / "docs/how-to.md").read_text(encoding="utf-8")
    (plugin,) = re.findall(rf"```python\n(\"\"\"{title}.*?)```", text, re.DOTALL)
    (code,) = re.findall(rf"```go\n(// Package {name} .*?)```", text, re.DOTALL)
    package = site / f"k8sbuild_{name}"
    (package / f"overlay/pkg/{name}").mkdir(parents=True)
    (package / f"overlay/pkg/{name}/{name}.go").write_text(code)
    (package / "__init__.py").write_text(plugin)
    info = site / f"k8sbuild_{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: k8sbuild-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[k8sbuild]\n{name} = k8sbuild_{name}\n")


def test_a_strangers_component_and_addon_run_where_they_ask_to(tmp_path: Path) -> None:
    write_plugin(tmp_path / "site", "heartbeat", "A component")
    write_plugin(tmp_path / "site", "greeting", "A greeting")
    project = tmp_path / "project"
    project.mkdir()
    (project / "k8sbuild.toml").write_text('target = "k8s"\n')
    shutil.copy(ROOT / "k8sbuild.lock", project)

    answer = k8sbuild("build", folder=project, PYTHONPATH=str(tmp_path / "site"))

    (live,) = [step for step in steps(answer) if step["step"] == "validate:single-binary/live"]
    assert live["state"] == "ran"
    (log,) = (project / ".k8sbuild/logs").rglob("*live*.log")
    lines = log.read_text(encoding="utf-8")
    events = re.findall(r'"Component (ready|stopped)" component="([^"]+)"', lines)
    started = [name for event, name in events if event == "ready"][:6]
    assert started == [
        "kine", "certificates", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "heartbeat",
    ]  # fmt: skip
    assert ("stopped", "heartbeat") in events
    assert re.search(r' heartbeat/heartbeat\.go:\d+\] "Alive"', lines)
    assert '"Applied" manifest="greeting" object="ConfigMap default/greeting"' in lines
