"""What the hooks yield, and the functions of its steps and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from k8sbuild_conformance import checks, packages, plugin
from k8sbuild_conformance.images import PACKAGES, images

from k8sbuild.build import host_platform
from k8sbuild.errors import PackageError, ValidateError
from k8sbuild.kinds import Source
from k8sbuild.testing.checks import conforms, contributions, sample_build
from k8sbuild.testing.debian import package
from k8sbuild.testing.steps import context

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

MANIFEST = """var (
\tinitRegistry = RegistryList{
\t\tGcRegistry:               "r.example",
\t\tPromoterE2eRegistry:      "r.example/tests",
\t}
)

func initImageConfigs(list RegistryList) {
\tconfigs[Agnhost] = Config{list.PromoterE2eRegistry, "agnhost", "2.53"}
\tconfigs[Pause] = Config{list.GcRegistry, "pause", "3.10"}
}
"""


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target="conformance"))


def test_packages_are_of_the_suite_that_is_chosen() -> None:
    found = contributions(plugin, sample_build(plugin, target="conformance", suite="trixie"))["k8sbuild_fetch"]
    assert Source.debian("root", "trixie", PACKAGES, host_platform().arch) in found


def test_each_image_has_a_name_of_its_own() -> None:
    made = list(images())
    assert len({image.reference for image in made}) == len({image.file for image in made}) == len(made)


def named(tmp_path: Path, *references: str) -> StepContext:
    params = {"manifest": "fetch:p/kubernetes/manifest.go", "references": list(references)}
    return context(tmp_path, params, inputs={"fetch:p/kubernetes": {"manifest.go": (0o644, MANIFEST.encode())}})


def test_images_have_the_names_that_the_tests_look_for(tmp_path: Path) -> None:
    assert checks.names(named(tmp_path, "r.example/tests/agnhost:2.53", "r.example/pause:3.10")) == ["2 images"]


@pytest.mark.parametrize(
    ("reference", "told"), [("r.example/tests/agnhost:2.52", "r.example/tests/agnhost:2.53"), ("r.example/a:1", "none")]
)
def test_an_image_of_another_release_is_named(tmp_path: Path, reference: str, told: str) -> None:
    with pytest.raises(ValidateError, match=f"do not run {reference}, but {told}") as caught:
        checks.names(named(tmp_path, reference))
    assert caught.value.reason == "static-check"


def of_package(tmp_path: Path, files: dict[str, bytes]) -> StepContext:
    deb = package("busybox-static", "1:1.35.0-4", files=files)
    inputs = {
        "fetch:p/static": {"busybox-static_1.35.0-4_amd64.deb": (0o644, deb), "base-files_1_all.deb": (0o644, b"")}
    }
    params = {"packages": "fetch:p/static", "programs": {"busybox": "busybox-static"}}
    return context(tmp_path, params, inputs=inputs)


@pytest.mark.parametrize("folder", ["bin", "usr/bin"])
def test_a_program_comes_out_of_its_package(tmp_path: Path, folder: str) -> None:
    ctx = of_package(tmp_path, {f"{folder}/busybox": b"program", "usr/share/doc/busybox/copyright": b"text"})
    packages.programs(ctx)
    made = ctx.out / "busybox"
    assert (made.read_bytes(), made.stat().st_mode & 0o777) == (b"program", 0o755)


def test_another_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"busybox-static_1\.35\.0-4_amd64\.deb has no busybox") as caught:
        packages.programs(of_package(tmp_path, {"bin/toybox": b"program"}))
    assert caught.value.reason == "bad-package"


def test_links_of_busybox_lead_to_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "elf_machine", lambda path: host_platform().arch)
    inputs = {"package:p/b": {"busybox": (0o755, b"#!/bin/sh\necho ls\necho sh\n")}}
    params = {"busybox": "package:p/b/busybox", "applets": ["sh"]}
    assert checks.applets(context(tmp_path, params, inputs=inputs)) == ["2 applets"]
    with pytest.raises(ValidateError, match="busybox lacks vi"):
        checks.applets(context(tmp_path, {**params, "applets": ["sh", "vi"]}, inputs=inputs))
