"""The steps that look at the user's files, and at the base."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_cri_dockerd_image import checks, config, folder

from k8sbuild.errors import ConfigError, PackageError, ValidateError
from k8sbuild.testing.steps import context

if TYPE_CHECKING:
    from pathlib import Path

#: Stands for the tool: says what it is given.
SAYS = b'#!/bin/sh\necho "$@"\ncat "${3:-$2}" 2>/dev/null\n'
FAILS = b"#!/bin/sh\necho 'own.yaml:3: strict decoding error: unknown field \"x\"' >&2\nexit 1\n"
TOOL, BASE = "compile:p/tool", "codegen:p/base"
CA = b"-----BEGIN CERTIFICATE-----\n"


def configured(tmp_path: Path, tool: bytes = SAYS, file: bytes = b"", ca: bytes = b"") -> Any:
    inputs = {TOOL: {"tool": (0o755, tool)}, BASE: {"base.yaml": (0o644, b"base: 1\n")}}
    inputs |= {"fetch:p/own": {"own.yaml": (0o644, file)}} if file else {}
    inputs |= {"fetch:p/ca": {"ca.crt": (0o644, ca)}} if ca else {}
    params = {
        "tool": f"{TOOL}/tool",
        "base": f"{BASE}/base.yaml",
        "file": "fetch:p/own" if file else "",
        "exposed": "fetch:p/ca" if ca else "",
        "images": ["known:v1"],
    }
    return context(tmp_path, params, inputs=inputs)


def test_the_configuration_is_what_the_tool_says(tmp_path: Path) -> None:
    ctx = configured(tmp_path)
    config.kubelet_config(ctx)
    assert (ctx.out / "kubelet.yaml").read_text().endswith("base.yaml\nbase: 1\n")
    ctx = configured(tmp_path, file=b"own: 1\n")
    config.kubelet_config(ctx)
    assert "base.yaml own.yaml\nown: 1\n" in (ctx.out / "kubelet.yaml").read_text()
    assert not (ctx.out / "client-ca.crt").exists()


def test_an_exposed_kubelet_has_an_authority(tmp_path: Path) -> None:
    ctx = configured(tmp_path, ca=CA)
    config.kubelet_config(ctx)
    assert (ctx.out / "client-ca.crt").read_bytes() == CA
    assert (ctx.out / "kubelet.yaml").read_text().startswith("merge -exposed ")
    for wrong in (b"nothing", CA + b"-----BEGIN RSA PRIVATE KEY-----\n"):
        with pytest.raises(ConfigError, match=r"ca\.crt has no certificate, or a key beside it") as caught:
            config.kubelet_config(configured(tmp_path, ca=wrong))
        assert caught.value.reason == "kubelet-config"


def test_what_the_tool_refuses_is_named_with_its_line(tmp_path: Path) -> None:
    for run in (config.kubelet_config, config.manifest):
        with pytest.raises(ConfigError) as caught:
            run(configured(tmp_path, FAILS, b"x: 1\n"))
        assert caught.value.reason == "kubelet-config"
        assert 'step: own.yaml:3: strict decoding error: unknown field "x"' in caught.value.message
        assert "exit code" not in caught.value.message


def test_images_that_must_be_pulled_are_told(tmp_path: Path) -> None:
    ctx = configured(tmp_path, b"#!/bin/sh\necho known:v1\necho other:v2\n", b"kind: Pod\n")
    config.manifest(ctx)
    assert (ctx.out / "pod.yaml").read_bytes() == b"kind: Pod\n"
    assert ctx.facts == {"to pull": ["other:v2"]}


def tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
    return out.getvalue()


def programs_of(tmp_path: Path, data: bytes) -> list[str]:
    params = {"base": "fetch:p/base", "platform": "linux-amd64"}
    ctx = context(tmp_path, params, inputs={"fetch:p/base": {"root.tar": (0o644, data)}})
    checks.base_programs(ctx)
    found: list[str] = json.loads((ctx.out / "programs.json").read_text())
    return found


def test_a_base_must_have_the_runtime(tmp_path: Path) -> None:
    found = programs_of(tmp_path, tar("./usr/bin/mount", "usr/sbin/iptables", "usr/lib/dockerd", "etc/ip"))
    assert found == ["iptables", "mount"]
    inputs = {"package:p/l": {"programs.json": (0o644, json.dumps(found).encode())}}
    params = {"programs": "package:p/l/programs.json", "base": "root.tar", "wanted": ["mount"]}
    assert checks.base(context(tmp_path, params, inputs=inputs)) == ["1 programs"]
    with pytest.raises(ValidateError, match=r"the base root\.tar lacks dockerd") as caught:
        checks.base(context(tmp_path, {**params, "wanted": ["dockerd", "mount"]}, inputs=inputs))
    assert caught.value.reason == "base-lacks"


def test_a_base_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        programs_of(tmp_path, b"no tar")
    assert caught.value.reason == "image-base"
    with pytest.raises(PackageError) as caught:
        programs_of(tmp_path, tar("../etc/passwd"))
    assert caught.value.reason == "path-outside"


def test_what_is_added_has_a_limit(tmp_path: Path) -> None:
    inputs = {"compile:p/a": {"a": (0o755, b"x" * 2**20)}}
    params = {"files": ["compile:p/a/a"], "max_size": 1}
    assert checks.size(context(tmp_path, params, inputs=inputs)) == ["1.0 MiB over the base"]
    with pytest.raises(ValidateError, match=r"adds 1\.0 MiB to its base, more than 0 MiB") as caught:
        checks.size(context(tmp_path, {**params, "max_size": 0}, inputs=inputs))
    assert caught.value.reason == "static-check"


def test_the_folder_has_its_files_with_their_modes(tmp_path: Path) -> None:
    inputs = {"codegen:p/a": {"a": (0o644, b"text")}}
    ctx = context(tmp_path, {"files": [["codegen:p/a/a", "units/b", 0o755]]}, inputs=inputs)
    folder.write(ctx)
    made = ctx.out / folder.FOLDER / "units/b"
    assert (made.read_bytes(), made.stat().st_mode & 0o777) == (b"text", 0o755)
