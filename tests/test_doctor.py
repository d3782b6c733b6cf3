"""What doctor finds about machine and plugins."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api, doctor
from k8sbuild.kinds import Finding, Target

if TYPE_CHECKING:
    from toys import Make, RequestFor


TARGET = [Target(name="toy", help="", artifacts={})]


def found(request: api.Request) -> dict[str, Finding]:
    return {finding.name: finding for finding in api.doctor(request)}


def test_machine_and_plugins(plugin: Make, request_for: RequestFor) -> None:
    own = Finding(name="zig", ok=False, message="no C compiler", fix="install one")
    findings = found(request_for(plugin(targets=TARGET, doctor=[own])))
    assert {"python", "disk", "memory", "git", "plugin toy"} <= set(findings)
    assert findings["python"].ok
    assert findings["zig"] == own


def test_a_machine_that_lacks_everything(
    plugin: Make, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage: Any = shutil._ntuple_diskusage(10 << 30, 9 << 30, 1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "available_memory", lambda: 1000)
    findings = found(request_for(plugin(targets=TARGET)))
    bad = {name for name, finding in findings.items() if not finding.ok}
    assert bad == {"disk", "memory", "git"}
    assert all(findings[name].fix for name in bad)
    assert findings["disk"].message.startswith("1 GiB free")


def raising() -> list[Finding]:
    raise ValueError("no luck")


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"plugin": "x"}, "returned str"),
        ({"doctor": raising}, "raised ValueError in k8sbuild_doctor"),
        ({"doctor": ["x"]}, "it may yield Finding"),
    ],
)
def test_a_broken_plugin_is_a_finding(plugin: Make, request_for: RequestFor, hooks: dict[str, Any], said: str) -> None:
    finding = found(request_for(plugin(targets=TARGET, **hooks)))
    rows = [f for f in finding.values() if f.name == "plugin toy"]
    assert not rows[-1].ok
    assert said in rows[-1].message
    assert "--no-plugin=toy" in rows[-1].fix
