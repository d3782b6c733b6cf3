"""The object that hooks get."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from k8sbuild.build import Build, Platform, host_platform, matches
from k8sbuild.errors import ConfigError

BUILD = Build(
    target="toy",
    k8s="v1.31.4",
    platform=Platform(arch="arm64"),
    plugins=("toy", "other"),
    options={"toy.colour": "red", "other.size": 3},
    plugin="toy",
)


@pytest.mark.parametrize(
    ("version", "specifier", "inside"),
    [
        ("v1.31.4", ">=1.31,<1.32", True),
        ("1.32.0", ">=1.31,<1.32", False),
        ("v1.32.0-rc.1", ">=1.31", True),
        ("master", ">=1.31", False),
    ],
)
def test_versions_in_specifiers(version: str, specifier: str, inside: bool) -> None:
    assert matches(version, specifier) is inside


def test_options_by_bare_name_and_of_others() -> None:
    assert BUILD.option("colour") == "red"
    assert BUILD.option("other.size") == BUILD.of("other").option("size") == 3
    with pytest.raises(ConfigError, match=r"plugin toy reads the option 'toy.color'.*'toy.colour'") as caught:
        BUILD.option("color")
    assert caught.value.reason == "unknown-option"


def test_an_option_is_on_where_its_plugin_takes_part() -> None:
    assert BUILD.enabled("other.size")
    assert not BUILD.enabled("none.size")
    with pytest.raises(ConfigError, match=r"'other\.weight', which nobody declares"):
        BUILD.enabled("other.weight")


def test_what_a_build_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BUILD.has("other")
    assert not BUILD.has("none")
    assert BUILD.k8s_in("~=1.31.0")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    assert BUILD.placeholders() == {
        "k8s": "v1.31.4",
        "os": "linux",
        "arch": "arm64",
        "suffix": "-linux-arm64",
        "target": "toy",
    }
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="aarch64"))
    assert BUILD.placeholders()["suffix"] == ""


@pytest.mark.parametrize(("machine", "arch"), [("AMD64", "amd64"), ("x86_64", "amd64"), ("riscv64", "riscv64")])
def test_machines_in_gos_names(monkeypatch: pytest.MonkeyPatch, machine: str, arch: str) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    assert host_platform().arch == arch
