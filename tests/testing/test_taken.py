"""A program of one target in the build of another, each with a Go module of its own, on the fake upstream."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.testing.project import Project

#: Builds upstream's own program: its Go module has no package.
UPSTREAM = """
from k8sbuild import hookimpl
from k8sbuild.kinds import GoBinary, GoModule, GoRequire, PluginInfo, Source, Target

@hookimpl
def k8sbuild_plugin():
    return PluginInfo(name="upstream", targets=("apiserver",))

@hookimpl
def k8sbuild_targets():
    artifacts = {"apiserver{suffix}": "compile:upstream/apiserver/apiserver"}
    yield Target(name="apiserver", help="", artifacts=artifacts, defaults={"k8s": "v1.99.3"})

@hookimpl
def k8sbuild_fetch(build):
    yield Source(name="trunk", version=build.k8s, locations={"gomod": "k8s.io/kubernetes"}, layout="canonical")

@hookimpl
def k8sbuild_codegen(build):
    yield GoModule(name="program", path="example.org/upstream", go="1.24")
    yield GoRequire(name="trunk", path="k8s.io/kubernetes", source="trunk")

@hookimpl
def k8sbuild_compile(build):
    yield GoBinary(name="apiserver", package="k8s.io/kubernetes/cmd/kube-apiserver")
"""
#: Adds it to the build of the target ``tiny``.
TAKER = """
from k8sbuild import hookimpl
from k8sbuild.golang.binary import build_info
from k8sbuild.kinds import Archive, ArchiveFile, Artifact, Check, ImageFile, ImageLayer, OciImage, PluginInfo, Source

PROGRAM = "fetch:taker/apiserver/apiserver"

@hookimpl
def k8sbuild_plugin():
    return PluginInfo(name="taker", targets=("tiny",))

@hookimpl
def k8sbuild_fetch(build):
    yield Source.target("apiserver")

@hookimpl
def k8sbuild_package(build):
    place = "libexec/{os}-{arch}/apiserver"
    yield ArchiveFile(name="apiserver", archive="tiny/archive", address=PROGRAM, path=place, mode=0o755, licences=True)

    yield Archive(name="licences", file="licences.tar.zst", members=(), licences=(PROGRAM,))
    layer = ImageLayer(name="program", files=(ImageFile(name="f", address=PROGRAM, path="/apiserver"),))
    yield OciImage(name="image", file="i.tar", reference="a:v1", layers=(layer,), licences=(PROGRAM,))
    yield Artifact(name="image", file="image-{arch}.tar", address="package:taker/image/i.tar")

@hookimpl
def k8sbuild_validate(build):
    yield Check(name="taken", run="taker:taken", inputs=(PROGRAM, "package:taker/licences"))

def taken(ctx):
    return [build_info(ctx.path(PROGRAM)).path]
"""


@pytest.fixture
def project(new_project: Callable[..., Project]) -> Project:
    """Return a project of the distribution ``tiny`` with both plugins."""
    base = new_project()
    for name, text in {"upstream": UPSTREAM, "taker": TAKER}.items():
        base.write(f"site/{name}/__init__.py", text)
        base.write(f"site/{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        base.write(f"site/{name}-1.dist-info/entry_points.txt", f"[k8sbuild]\n{name} = {name}\n")
    path = os.pathsep.join([str(base.root / "site"), base.env["PYTHONPATH"]])
    return replace(base, env={**base.env, "PYTHONPATH": path})


@pytest.mark.measured
def test_the_program_is_that_of_its_own_target(project: Project) -> None:
    outcome = project.run("build", "--format=json")
    assert outcome.code == 0, outcome
    facts = {row["step"]: row["facts"] for row in outcome.json()["steps"]}
    assert facts["validate:taker/taken"]["found"] == ["k8s.io/kubernetes/cmd/kube-apiserver"]
    assert "apiserver" not in project.artifacts()
    assert project.members()["libexec/linux-amd64/apiserver"].mode == 0o755
    texts = facts["package:taker/licences"]
    assert (texts["without_licence"], texts["members"]) == ([], 5), "of the program's own module too"
    assert "image-amd64.tar" in project.artifacts()
    assert list(facts["package:taker/image"]["layers"]) == ["program", "licences"]

    alone = project.run("build", "--target=apiserver", "--offline")
    assert alone.code == 0, alone
    assert "compile:upstream/apiserver" in project.steps("step-reused")
    assert "apiserver" in project.artifacts()


def test_a_module_without_packages_has_nothing_to_test(project: Project) -> None:
    outcome = project.run("test", "--target=apiserver", "--format=json")
    assert (outcome.code, outcome.json()["reason"]) == (11, "no-go-module")
