"""What cri-dockerd is compiled without: on a stand-in that has the same places."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_cri_dockerd_image import content, cri_dockerd, folder, plugin, trim
from k8sbuild_cri_dockerd_image.choice import NAME, choice

from k8sbuild.kinds import Check, Edit, Step
from k8sbuild.patching.apply import Contribution, apply
from k8sbuild.patching.edits import TextEdit
from k8sbuild.patching.tree import DictTree, File
from k8sbuild.testing import programs
from k8sbuild.testing.checks import contributions, sample_build
from k8sbuild.testing.steps import context

if TYPE_CHECKING:
    from pathlib import Path

#: Imports as cri-dockerd's, of packages that are not there.
_UPGRADE = """package {name}

import (
	"k8s.io/apiserver/pkg/server/httplog"
	"net/http"
)

func Open(w http.ResponseWriter, req *http.Request) http.ResponseWriter {{
	return httplog.Unlogged(req, w)
}}
"""
_MISSING = 'package {name}\n\nimport "k8s.io/client-go/none"\n\nvar Other = none.Other\n'
_KUBERNETES = "vendor/k8s.io/kubernetes"
SOURCE = {
    "go.mod": f"module {cri_dockerd.MODULE}\n\ngo 1.22\n\nrequire k8s.io/kubernetes v1.29.15\n",
    "main.go": f"""package main

import (
	"fmt"
	"os"

	"{cri_dockerd.MODULE}/streaming/portforward"
	"{cri_dockerd.MODULE}/streaming/remotecommand"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/proxy/conntrack"
)

func main() {{
	stop := server.SetupSignalHandler()
	_, _ = portforward.Open, remotecommand.Open
	fmt.Fprintln(os.Stdout, util.Name, conntrack.Name)
	<-stop
	if len(os.Args) > 1 {{
		fmt.Fprintln(os.Stdout, "stopping")
		select {{}}
	}}
}}
""",
    "streaming/portforward/websocket.go": _UPGRADE.format(name="portforward"),
    "streaming/remotecommand/websocket.go": _UPGRADE.format(name="remotecommand"),
    "vendor/modules.txt": "# k8s.io/kubernetes v1.29.15\n## explicit; go 1.22\n"
    "k8s.io/kubernetes/pkg/kubelet/util\nk8s.io/kubernetes/pkg/proxy/conntrack\n",
    f"{_KUBERNETES}/pkg/kubelet/util/nodelease.go": "/*\nCopyright\n*/\n\n" + _MISSING.format(name="util"),
    f"{_KUBERNETES}/pkg/kubelet/util/util.go": 'package util\n\nconst Name = "util"\n',
    f"{_KUBERNETES}/pkg/proxy/conntrack/cleanup.go": "/*\nCopyright\n*/\n\n" + _MISSING.format(name="conntrack"),
    f"{_KUBERNETES}/pkg/proxy/conntrack/conntrack.go": 'package conntrack\n\nconst Name = "conntrack"\n',
}


def build(**options: Any) -> Any:
    return sample_build(plugin, target=plugin.TARGET, k8s="v1.34.0", **options)


def edited(files: dict[str, str]) -> dict[str, str]:
    """Return a source with the edits of the default version."""
    fields = ("name", "path", "op", "text", "new", "count")
    items = [TextEdit(**{field: getattr(edit, field) for field in fields}) for edit in trim.edits(build())]
    tree = DictTree({path: File(text.encode()) for path, text in files.items()})
    changes = apply(tree, [Contribution(plugin=NAME, after=frozenset(), items=tuple(items))]).changes
    return {**files, **{path: file.data.decode() for path, file in changes.items() if file}}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the stand-in, which nobody could before the edits."""
    made = programs.compiled(tmp_path_factory.mktemp("trimmed"), edited(SOURCE))
    return made / "cri-dockerd"


def started(program: Path, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "util conntrack\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_ends_it_in_order(program: Path, number: int) -> None:
    with started(program) as process:
        process.send_signal(number)
        assert process.wait(10) == 0


def test_the_second_signal_ends_it_at_once(program: Path) -> None:
    with started(program, "hang") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 1


def test_what_is_edited_is_formatted() -> None:
    changed = {path: text for path, text in edited(SOURCE).items() if text != SOURCE[path]}
    root = subprocess.run([programs.go(), "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    assert len(changed) == 5
    for path, text in changed.items():
        done = subprocess.run([f"{root}/bin/gofmt"], input=text, capture_output=True, text=True, check=True)
        assert sorted(done.stdout.splitlines()) == sorted(text.splitlines()), path


def names(kind: type, hook: str, **options: Any) -> set[str]:
    return {item.name for item in contributions(plugin, build(**options))[hook] if isinstance(item, kind)}


def test_versions_have_what_is_cut_off_of_them() -> None:
    every = names(Edit, "k8sbuild_patch")
    assert len(every) == 7
    assert names(Edit, "k8sbuild_patch", cri_dockerd="v0.4.3") == every
    assert names(Edit, "k8sbuild_patch", cri_dockerd="v0.3.15") == every - {"services"}
    (check,) = (check for check in trim.checks(build(cri_dockerd="v0.3.15")) if check.name == "linked-functions")
    assert "k8s.io/kubernetes/pkg/proxy" not in check.params["packages"]
    assert "k8s.io/client-go/kubernetes" in check.params["packages"]


@pytest.mark.parametrize("options", [{"whole_cri_dockerd": True}, {"runtime": "containerd"}])
def test_nothing_is_cut_off_where_that_is_not_wanted(options: dict[str, Any]) -> None:
    assert names(Edit, "k8sbuild_patch", **options) == set()
    assert not {"dependencies", "linked-modules"} & names(Check, "k8sbuild_validate", **options)
    assert "cri-dockerd.patch" not in names(Step, "k8sbuild_package", **options)
    given = build(**options)
    (dockerfile,) = (t for t in folder.templates(given, choice(given)) if t.name == "Dockerfile.kicbase")
    assert dockerfile.values["PATCHED"] == ""


def test_the_checks_are_of_what_is_in_the_image() -> None:
    for check in trim.checks(build()):
        assert content.CRI_DOCKERD in check.inputs
        assert check.params["hint"] == "--set cri-dockerd-image.whole-cri-dockerd=true compiles all of it"


def test_docker_gets_the_changes_as_a_patch(tmp_path: Path) -> None:
    sides = {"old": SOURCE, "new": edited(SOURCE)}
    inputs = {
        f"{stage}:p/c": {path: (0o644, text.encode()) for path, text in sides[side].items()}
        for side, stage in (("old", "fetch"), ("new", "patch"))
    }
    params = {"old": "fetch:p/c", "new": "patch:p/c", "file": "c.patch"}
    ctx = context(tmp_path, params, inputs=inputs)
    folder.difference(ctx)
    source = tmp_path / "source"
    for path, text in SOURCE.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    subprocess.run(["git", "apply", "-p1", str(ctx.out / "c.patch")], cwd=source, check=True)
    assert {path: (source / path).read_text() for path in SOURCE} == sides["new"]
