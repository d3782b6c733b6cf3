"""What the hooks yield, the syscall tables, and the check of runc."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_containerd_runtime import checks, plugin, syscalls
from k8sbuild_single_binary import plugin as single_binary

from k8sbuild.errors import ValidateError
from k8sbuild.kinds import ArchiveFile, Artifact, Generator, GoBinary, ImageBundle, OciImage, Overlay, Source, Step
from k8sbuild.testing import programs
from k8sbuild.testing.checks import conforms, contributions, sample_build
from k8sbuild.testing.steps import context

if TYPE_CHECKING:
    from k8sbuild.build import Build


def bundled() -> Build:
    return sample_build(plugin, target="k8s", bundle=True)


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target=plugin.NAME), sample_build(plugin, target="k8s"), bundled())


def test_nothing_is_added_to_the_server_that_was_not_asked_for() -> None:
    given = contributions(plugin, sample_build(plugin, target="k8s"))
    assert not [item for hook in given if hook.endswith(("fetch", "patch", "codegen", "compile", "package", "validate"))
                for item in given[hook]]  # fmt: skip


def test_what_is_bundled() -> None:
    given = contributions(plugin, bundled())
    assert given["k8sbuild_fetch"] == (Source.target(plugin.NAME),)
    added = {item.name: item for item in given["k8sbuild_codegen"]}
    registered = {item.labels["register"] for item in added.values() if isinstance(item, Overlay)}
    assert registered == {"pkg/containerd", "pkg/images"}
    members = [item for item in given["k8sbuild_package"] if isinstance(item, ArchiveFile)]
    assert all(m.licences and m.mode == 0o755 for m in members)
    assert {m.path for m in members} == {f"libexec/k8s/{name}" for name in plugin.PROGRAMS}


def test_all_images_are_one_more_artifact() -> None:
    made = {type(item): item for item in contributions(plugin, bundled())["k8sbuild_package"]}
    image, bundle, artifact = made[OciImage], made[ImageBundle], made[Artifact]
    assert image.reference == plugin.PAUSE_IMAGE
    assert bundle.images == ()
    assert artifact.address == f"package:{plugin.NAME}/{bundle.name}/{bundle.file}"


def test_the_server_runs_sandboxes_from_the_image_that_is_made() -> None:
    made = contributions(plugin, bundled())["k8sbuild_codegen"]
    (generator,) = [item for item in made if isinstance(item, Generator)]
    assert generator.params["constants"] == {"sandboxImage": plugin.PAUSE_IMAGE}


def test_pause_is_compiled_from_kubernetes_source_by_the_compiler_of_runc() -> None:
    made = contributions(plugin, sample_build(plugin, target=plugin.NAME))["k8sbuild_compile"]
    (step,) = [item for item in made if isinstance(item, Step)]
    (runc,) = [item for item in made if isinstance(item, GoBinary) and item.name == "runc"]
    assert step.params["cc"] == runc.cc
    assert step.params["source"] == "fetch:containerd-runtime/kubernetes/build/pause/linux/pause.c"
    assert "-DVERSION=v3.10" in step.params["flags"]  # type: ignore[operator]


def test_only_runc_needs_a_c_compiler() -> None:
    made = contributions(plugin, sample_build(plugin, target=plugin.NAME))["k8sbuild_compile"]
    assert [b.name for b in made if isinstance(b, GoBinary) and b.cgo and "-linux-musl" in b.cc] == ["runc"]


def test_the_syscall_tables_are_those_of_the_locked_module(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for arch in syscalls.ARCHITECTURES:
            text = f"const (\n\tSYS_READ = 0\n\tSYS_{arch}_ONLY   = 7\n)\n"
            file.writestr(f"golang.org/x/sys@v0.1.0/unix/zsysnum_linux_{arch}.go", text)
    zips = {"cache/download/golang.org/x/sys/@v/v0.1.0.zip": (0o644, packed.getvalue())}
    ctx = context(tmp_path, {"modules": "fetch:a/modules"}, inputs={"fetch:a/modules": zips})
    syscalls.generate(ctx)
    made = (ctx.out / syscalls.FILE).read_text()
    assert "const numbers386 = `read 0 386_only 7`" in made
    assert "const numbersARM64 = `read 0 arm64_only 7`" in made


def test_the_server_finds_the_archive_of_images_by_its_name() -> None:
    overlay = Path(single_binary.__file__).parent / "overlay"
    (pattern,) = re.findall(r'ImagesPattern = Name \+ "(.+)"', (overlay / "pkg/install/install.go").read_text())
    (name,) = re.findall(r'const Name = "(.+)"', (overlay / "pkg/install/layout.go").read_text())
    assert fnmatch(plugin.IMAGES.format(k8s="v1.31.4", os="linux", arch="amd64"), name + pattern)


def test_runc_without_seccomp_is_refused() -> None:
    def said(text: str) -> Any:
        return SimpleNamespace(params={"runc": ""}, path=lambda _: gofmt(), exec=lambda argv: text)

    good = '{"linux": {"seccomp": {"enabled": true, "actions": ["a", "b"], "operators": ["c"]}}}'
    assert checks.seccomp(said(good)) == ["2 actions, 1 operators"]
    with pytest.raises(ValidateError, match="without seccomp"):
        checks.seccomp(said('{"linux": {"seccomp": {"enabled": false}}}'))


def gofmt() -> Path:
    """Return a static program that stands for the others."""
    return Path(subprocess.check_output([programs.go(), "env", "GOROOT"], text=True).strip(), "bin", "gofmt")
