"""What the hooks yield."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from k8sbuild_single_binary import plugin

from k8sbuild.kinds import Source, SystemdUnit
from k8sbuild.testing.checks import conforms, sample_build


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, *(sample_build(plugin, target="k8s", validate_ha=on) for on in (False, True)))


@pytest.mark.parametrize("on", [False, True])
def test_etcd_is_taken_only_where_the_check_is_wanted(on: bool) -> None:
    build = sample_build(plugin, target="k8s", validate_ha=on)
    checks = {check.name: check for check in plugin.k8sbuild_validate(build)}
    assert (plugin.ETCD in checks["live-ha"].inputs) == checks["live-ha"].enabled == on
    assert "validate-ha=true" in checks["live-ha"].why
    assert (Source.target("etcd") in list(plugin.k8sbuild_fetch(build))) == on


def _unit(folder: Path, *, bundle: bool) -> Path:
    """Write the unit as a build does, in a root that has the program."""
    build = sample_build(plugin, target="k8s", beside={plugin.RUNTIME: bundle})
    (unit,) = (item for item in plugin.k8sbuild_codegen(build) if isinstance(item, SystemdUnit))
    text = (Path(plugin.__file__).parent / unit.path).read_text(encoding="utf-8")
    program, path = folder / "usr/local/bin/k8s", folder / "etc/systemd/system" / unit.file
    for file in (program, path):
        file.parent.mkdir(parents=True)
    program.touch(0o755)
    path.write_text(re.sub("@([A-Z0-9]+)@", lambda m: unit.values[m[1]], text), encoding="utf-8")
    return path


@pytest.mark.parametrize("bundle", [False, True])
def test_the_unit_runs_a_node_where_the_archive_has_a_runtime(tmp_path: Path, bundle: bool) -> None:
    lines = _unit(tmp_path, bundle=bundle).read_text(encoding="utf-8").splitlines()
    assert "ExecStart=/usr/local/bin/k8s" + ("" if bundle else " --disable-agent") in lines
    assert {"Type=notify", "KillMode=process", "Delegate=yes", "TasksMax=infinity", "WatchdogSec=2min"} <= set(lines)


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: nothing looks at the unit as systemd does")
    unit = _unit(tmp_path, bundle=True)
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", f"--root={tmp_path}", str(unit.name)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text(encoding="utf-8").replace("WatchdogSec", "WatchdogSecs"), encoding="utf-8")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert "WatchdogSecs" in done.stderr
