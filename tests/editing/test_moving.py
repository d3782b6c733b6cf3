"""Patches that are changed: for a new upstream version that they do not apply to, and in the middle of a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.testing import upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.testing.project import Project
    from k8sbuild.testing.upstream import Upstream

#: The second one's context has lines of the first. ``~`` is an empty line of context.
PATCHES = {
    "0001-words": """\
diff --git a/cmd/kube-apiserver/app/objects.go b/cmd/kube-apiserver/app/objects.go
--- a/cmd/kube-apiserver/app/objects.go
+++ b/cmd/kube-apiserver/app/objects.go
@@ -7,4 +7,4 @@
 )
~
-// Default returns the object that every server starts with.
+// Default returns the object that each server starts with.
 func Default() string {
diff --git a/pkg/cloud/cloud.go b/pkg/cloud/cloud.go
--- a/pkg/cloud/cloud.go
+++ b/pkg/cloud/cloud.go
@@ -1,5 +1,5 @@
 // Package cloud knows cloud providers; plugins remove it.
 package cloud
~
-// Names returns the providers that are linked.
+// Names returns the providers that are linked here.
 func Names() []string {
""",
    "0002-haze": """\
diff --git a/pkg/cloud/cloud.go b/pkg/cloud/cloud.go
--- a/pkg/cloud/cloud.go
+++ b/pkg/cloud/cloud.go
@@ -3,5 +3,5 @@
~
 // Names returns the providers that are linked here.
 func Names() []string {
-	return []string{"fog", "mist"}
+	return []string{"fog", "haze"}
 }
""",
}
LEDGER = """\
["0001-words.patch"]
why = "it was not clear where"
"""
CONFIG = '[patches]\nkubernetes = "patches/kubernetes"\n'
CLOUD = "pkg/cloud/cloud.go"
OBJECTS = "cmd/kube-apiserver/app/objects.go"
NEW = "v1.99.4"


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """Return the next release: what the first patch changes reads otherwise in it."""
    text = upstream.content.trunk("1.24")[CLOUD].replace("returns the providers", "lists the providers")
    return upstream.make(tmp_path_factory.mktemp("newer"), version=NEW, go="1.24", changed={CLOUD: text})


@pytest.fixture
def project(new_project: Callable[..., Project], newer: Upstream) -> Project:
    """Return a project with two patches."""
    made = new_project(config=CONFIG)
    made.env["GOPROXY"] = f"{made.env['GOPROXY']},{newer.env['GOPROXY']}"  # type: ignore[index] # a dict of ours
    for name, text in PATCHES.items():
        made.write(f"patches/kubernetes/{name}.patch", text.replace("~", " "))
    made.write("patches/kubernetes/ledger.toml", LEDGER)
    return made


def ask(project: Project, *words: str, command: str = "patch-refresh", code: int = 0) -> Any:
    outcome = project.run(command, *words, "--format=json")
    assert outcome.code == code, outcome
    return outcome.json()


def edited(project: Project, path: str) -> Path:
    return project.root / ".k8sbuild/edit/kubernetes" / path


def change(project: Project, path: str, old: str, new: str) -> None:
    text = edited(project, path).read_text()
    assert old in text
    edited(project, path).write_text(text.replace(old, new))


def patch(project: Project, name: str) -> str:
    return (project.root / "patches/kubernetes" / f"{name}.patch").read_text()


@pytest.mark.measured
def test_a_series_moves_to_a_new_version_patch_by_patch(project: Project) -> None:
    tree = ask(project, "--start", f"--k8s={NEW}")
    assert (tree["patch"], tree["version"]) == ("project/project/0001-words.patch", NEW)
    (problem,) = tree["problems"]
    assert f"0001-words.patch: {CLOUD}: hunk 1: line 4: nearest is line 1" in problem
    assert tree["rejects"] == [f"{CLOUD}.rej"]
    assert "+// Names returns the providers that are linked here.\n" in edited(project, f"{CLOUD}.rej").read_text()
    assert "each server" in edited(project, OBJECTS).read_text()
    assert ask(project, f"--k8s={NEW}", code=11)["reason"] == "nothing-changed"

    change(project, CLOUD, "are linked.", "are linked here.")
    assert ask(project, code=11)["reason"] == "edit-tree-version"
    first = ask(project, f"--k8s={NEW}")
    assert sorted(first["files"]) == sorted([CLOUD, OBJECTS])
    assert "-// Names lists the providers that are linked.\n" in patch(project, "0001-words")
    assert first["tree"]["patch"].endswith("0002-haze.patch")

    change(project, CLOUD, '"mist"', '"haze"')
    second = ask(project, f"--k8s={NEW}")
    assert (second["files"], second["tree"]["patch"]) == ([CLOUD], "")
    assert "linked here." in edited(project, CLOUD).read_text()
    assert not edited(project, f"{CLOUD}.rej").exists()


def test_a_patch_that_upstream_has_taken_is_named(project: Project) -> None:
    ask(project, "--start", "--patch=0002")
    change(project, CLOUD, '"haze"', '"mist"')
    error = ask(project, code=11)
    assert (error["reason"], "0002-haze.patch" in error["message"]) == ("patch-empty", True)


def test_changes_go_into_a_patch_that_is_there(project: Project) -> None:
    ask(project, "--start")
    change(project, OBJECTS, "starts with", "begins with")
    made = ask(project, "--patch=0001-words.patch")
    assert (Path(made["patch"]).name, made["new"]) == ("0001-words.patch", False)
    assert "begins with" in patch(project, "0001-words")
    assert "begins" not in patch(project, "0002-haze")
    assert 'why = "it was not clear where"' in (project.root / "patches/kubernetes/ledger.toml").read_text()
    assert ask(project, command="patch")["steps"][-1]["state"] == "reused"


def test_lines_of_a_later_patch_are_changed_from_the_earlier_one_on(project: Project) -> None:
    ask(project, "--start")
    change(project, CLOUD, '"haze"', '"smog"')
    error = ask(project, "--patch=0001", code=16)
    assert (error["reason"], "--start --patch=0001-words.patch" in error["hint"]) == ("patch-not-whole", True)
    assert "smog" not in patch(project, "0001-words")
    change(project, CLOUD, '"smog"', '"haze"')
    tree = ask(project, "--start", "--patch=0001-words")
    assert (tree["problems"], '"mist"' in edited(project, CLOUD).read_text()) == ([], True)
    change(project, CLOUD, "linked here", "linked there")
    assert ask(project, "--name=more", code=11)["reason"] == "bad-value"
    made = project.run("patch-refresh")
    assert made.code == 0, made
    assert "ends with project/project/0002-haze.patch, which does not apply to kubernetes v1.99.3" in made.stdout
    assert f"rejected: .k8sbuild/edit/kubernetes/{CLOUD}.rej" in made.stdout


def test_a_patch_that_nobody_has_is_named(project: Project) -> None:
    error = ask(project, "--start", "--patch=0003", code=11)
    assert (error["reason"], "project/project/0002-haze" in error["hint"]) == ("unknown-patch", True)
