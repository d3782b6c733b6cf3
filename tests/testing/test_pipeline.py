"""The fake upstream through the whole pipeline, by two plugins that know nothing but the public API."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from killing import kill, leftovers

from k8sbuild.testing.files import ledger
from k8sbuild.testing.project import Moment, Project
from k8sbuild.testing.upstream import TIME, Upstream

if TYPE_CHECKING:
    from pathlib import Path

NewProject = Callable[..., Project]


def _program(project: Project, *args: str) -> str:
    binary = project.root / "dist/artifacts/tiny"
    return subprocess.run([binary, *args], check=True, capture_output=True, text=True).stdout.strip()


def _build_json(project: Project) -> dict[str, dict[str, Any]]:
    (path,) = (project.root / "dist/artifacts").glob("build*.json")
    loaded: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return loaded


def _change(project: Project) -> None:
    """Patch a file that is linked."""
    config = (project.root / "k8sbuild.toml").read_text()
    project.write("k8sbuild.toml", f'{config}[patches]\nkubernetes = "patches/kubernetes"\n')
    old = "// Names returns the providers that are linked."
    text = f"--- a/pkg/cloud/cloud.go\n+++ b/pkg/cloud/cloud.go\n@@ -4,1 +4,2 @@\n+// More words.\n {old}\n"
    project.write("patches/kubernetes/0001-words.patch", text)
    project.write("patches/kubernetes/ledger.toml", ledger("0001-words.patch"))


def test_tiny_is_built_packed_and_checked(new_project: NewProject, fake: Upstream) -> None:
    project = new_project()
    outcome = project.run("build")
    assert outcome.code == 0, outcome
    assert sorted(project.artifacts()) == ["SHA256SUMS", "tiny", "tiny-v1.99.3-linux-amd64.tar.zst"]
    assert _program(project, "version") == f"v1.99.3 {fake.commit} clean {TIME} 1 99"
    assert _program(project, "providers") == "[none fog mist] default v1.1.0"
    assert "...      resolve: build list of tiny/server" in outcome.stderr
    (raised,) = _build_json(project)["inputs"]["modules"]["tiny/server"]["raised"]
    assert (raised["module"], raised["kubernetes"], raised["by"]) == ("example.org/dep", "v1.0.0", "example.org/store")
    members = project.members()
    assert members["bin/tiny"].mode == 0o755
    assert {"licences/example.org/dep/LICENSE", "licences/example.org/store/LICENSE"} <= set(members)
    ours = "licences/k8s.io/kubernetes/"
    nested = sorted(name.removeprefix(ours) for name in members if name.startswith(ours))
    assert nested == ["LICENSE", "pkg/LICENSE.md", "pkg/cloud/LICENSE"], "of linked packages and above them"
    # Reused where a test before this one built the same.
    ended = {*project.steps("step-finished"), *project.steps("step-reused")}
    assert {"validate:tiny/version", "validate:tiny/ready"} <= ended


def test_second_run_reuses_everything(new_project: NewProject) -> None:
    project = new_project()
    assert project.run("build").code == 0
    first = project.artifacts()
    assert project.run("build").code == 0
    assert project.steps("step-started") == []
    assert "compile:tiny/tiny" in project.steps("step-reused")
    assert project.artifacts() == first
    rows = project.run("plan", "--format=json").json()["steps"]
    assert {row["state"] for row in rows} == {"reused"}


def test_a_strangers_plugin_takes_part(new_project: NewProject) -> None:
    project = new_project(stranger=True)
    outcome = project.run("build", "--set=stranger.greeting=Ahoy", "--format=json")
    assert outcome.code == 0, outcome
    assert _program(project, "providers").startswith("[none] ")
    assert _program(project, "greet") == "stranger of v1.99.3"
    assert " patched " in _program(project, "version")
    assert {"package:stranger/card", "validate:stranger/no-cloud"} <= set(project.steps("step-finished"))
    facts = {row["step"]: row["facts"] for row in outcome.json()["steps"]}
    assert "Ahoy, stranger of v1.99.3" in str(facts["validate:stranger/no-cloud"])


def test_an_option_runs_only_what_reads_it(new_project: NewProject) -> None:
    project = new_project(stranger=True)
    assert project.run("build", "--set=stranger.greeting=One").code == 0
    assert project.run("build", "--set=stranger.greeting=Two").code == 0
    assert sorted(project.steps("step-started")) == ["package:stranger/card", "validate:stranger/no-cloud"]


def test_no_build_json_of_another_build_lies_beside_new_artifacts(new_project: NewProject) -> None:
    project = new_project()
    assert project.run("build").code == 0
    assert _build_json(project)["inputs"]
    assert project.run("package").code == 0
    assert not list(project.root.glob("dist/artifacts/build*.json"))
    assert project.run("validate").code == 0
    assert _build_json(project)["inputs"]


@pytest.mark.measured
@pytest.mark.parametrize("provider", ["git", "archive", "path"])
def test_every_provider_gives_the_same_bytes(
    new_project: NewProject, fake: Upstream, plain: Project, provider: str
) -> None:
    places = {"git": fake.git.as_uri(), "archive": fake.archive.as_uri(), "path": str(fake.folder)}
    other = new_project("other", f'[sources.kubernetes]\nprovider = "{provider}"\nlocation = "{places[provider]}"\n')
    outcome = other.run("build")
    assert outcome.code == 0, outcome
    assert other.artifacts() == plain.artifacts()
    assert _build_json(other)["inputs"] == _build_json(plain)["inputs"]


def test_a_source_that_is_damaged_in_the_store_is_fetched_again(
    new_project: NewProject, fake: Upstream, tmp_path: Path
) -> None:
    config = f'[sources.kubernetes]\nprovider = "archive"\nlocation = "{fake.archive.as_uri()}"\n'
    own = new_project(config=config)
    project = Project(root=own.root, env={**own.env, "K8SBUILD_CACHE_DIR": str(tmp_path / "cache")})
    assert project.run("fetch").code == 0
    # Its go.mod is read from the store before there is a plan.
    for blob in (tmp_path / "cache/store/blobs").glob("*/*"):
        blob.chmod(0o644)
        blob.write_bytes(bytes(blob.stat().st_size))
    outcome = project.run("fetch")
    assert outcome.code == 0, outcome
    assert "is damaged" in outcome.stderr
    assert "fetch:tiny/kubernetes" in project.steps("step-finished")


def test_another_folder_home_and_cache_give_the_same_bytes(
    new_project: NewProject, plain: Project, gostd: Path, tmp_path: Path
) -> None:
    other = new_project("far/away")
    fresh = Project(root=other.root, env={**other.env, "K8SBUILD_CACHE_DIR": str(tmp_path / "cache")})
    # All of upstream's code is compiled anew, Go's own library is not.
    shutil.copytree(gostd, tmp_path / "cache" / "gocache", copy_function=os.link)
    outcome = fresh.run("build")
    assert outcome.code == 0, outcome
    assert "compile:tiny/tiny" in fresh.steps("step-finished")
    assert fresh.artifacts() == plain.artifacts()


#: A step of each stage, in the order in which they run.
STEPS = (
    "fetch:tiny/kubernetes",
    "patch:tiny/kubernetes",
    "codegen:tiny/server",
    "compile:tiny/tiny",
    "package:stranger/card",
    "validate:stranger/no-cloud",
)

MOMENTS: tuple[Moment, ...] = ("start", "middle", "end")


def test_killed_in_every_stage_and_run_again_gives_the_same_bytes(
    new_project: NewProject, fake: Upstream, whole: Project, tmp_path: Path
) -> None:
    # A store of its own, so that every step runs; only Go's compile cache is shared, to be quick.
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "gocache").symlink_to(fake.cache / "gocache")
    made = new_project("killed", stranger=True)
    project = replace(made, env={**made.env, "K8SBUILD_CACHE_DIR": str(tmp_path / "cache")})
    tried = []
    signals = cycle([signal.SIGKILL, signal.SIGINT])
    for step in STEPS:
        tried += kill(project, step, zip(signals, MOMENTS, strict=False), "build", "--jobs=1")
    again = project.run("build")
    assert again.code == 0, again
    assert set(STEPS) <= set(project.steps("step-reused")), "what is finished is not redone"
    assert project.artifacts() == whole.artifacts()
    assert leftovers(project.root) == []
    words = {word for text in tried for word in text.split()}
    assert words >= {"SIGKILL", "SIGINT", "start", "middle", "end"}
    assert len(words & set(STEPS)) >= 5, "one quick step may end before its turn, with the step before it"


def test_two_builds_at_once_do_the_work_once(new_project: NewProject) -> None:
    projects = [new_project(name, stranger=True) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda p: p.run("build", "--set=stranger.greeting=Both"), projects))
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    assert sum("package:stranger/card" in p.steps("step-finished") for p in projects) == 1
    assert projects[0].artifacts() == projects[1].artifacts()


@pytest.mark.measured
@pytest.mark.usefixtures("plain")
def test_a_changed_module_is_put_back_before_it_is_compiled(new_project: NewProject, fake: Upstream) -> None:
    code = fake.cache / "modcache/example.org/dep@v1.1.0/dep.go"
    sound = code.read_text()
    code.chmod(0o644)
    code.write_text(sound.replace('"v1.1.0"', '"evil"'))
    assert "evil" in code.read_text()
    project = new_project()
    _change(project)
    outcome = project.run("build")
    assert outcome.code == 0, outcome
    assert "extracted anew: example.org/dep@v1.1.0" in outcome.stdout
    assert _program(project, "providers") == "[none fog mist] default v1.1.0"
    assert code.read_text() == sound


def test_a_module_that_goes_while_it_is_compiled_costs_one_build_at_most(
    new_project: NewProject, goroot: str, gostd: Path, tmp_path: Path
) -> None:
    made = new_project()
    cache = tmp_path / "cache"
    shutil.copytree(gostd, cache / "gocache", copy_function=os.link)
    project = replace(made, env={**made.env, "K8SBUILD_CACHE_DIR": str(cache)})
    assert project.run("build").code == 0
    # As another build does that finds it damaged, after this one saw it and left its zip out.
    modcache = cache / "modcache"
    folder, zipped = modcache / "example.org/dep@v1.1.0", modcache / "cache/download/example.org/dep/@v/v1.1.0.zip"
    assert folder.is_dir()
    once = tmp_path / "once"
    toolchain = tmp_path / "toolchain"
    shutil.copytree(goroot, toolchain, symlinks=True, copy_function=os.symlink)
    (toolchain / "bin/go").unlink()
    remove = f"chmod -R u+w {folder}; rm -r {folder}; rm -f {zipped} {zipped}hash; touch {once}"
    go = f'[ "$1" != build ] || [ -e {once} ] || {{ {remove}; }}\nGOROOT={goroot} exec {goroot}/bin/go "$@"\n'
    (toolchain / "bin/go").write_text(f"#!/bin/sh\n{go}")
    (toolchain / "bin/go").chmod(0o755)
    _change(project)
    outcome = project.run("build", f"--toolchain={toolchain}", "--format=json")
    assert once.exists(), "the module went"
    assert (outcome.code, outcome.json()["reason"]) == (18, "compile-failed")
    assert "example.org/dep@v1.1.0: reading file:" in outcome.json()["message"]
    assert "run the same command again" in outcome.json()["hint"]
    assert project.run("build", f"--toolchain={toolchain}").code == 0
    assert folder.is_dir()
    assert _program(project, "providers") == "[none fog mist] default v1.1.0"


def test_a_step_that_never_comes_is_an_error(new_project: NewProject) -> None:
    with pytest.raises(AssertionError, match="never came to its start"):
        new_project().kill_at("compile:tiny/none", "start", "build")


@pytest.mark.measured
def test_a_patch_that_does_not_apply_is_named(new_project: NewProject) -> None:
    patch = "--- a/pkg/cloud/cloud.go\n+++ b/pkg/cloud/cloud.go\n@@ -1,1 +1,1 @@\n-// never there\n+// other\n"
    project = new_project(config='[patches]\nkubernetes = "patches/kubernetes"\n')
    project.write("patches/kubernetes/0001-wrong.patch", patch)
    project.write("patches/kubernetes/ledger.toml", '["0001-wrong.patch"]\napplies-to = "<1.99"\n')
    outcome = project.run("build", "--format=json")
    assert outcome.code == 16, outcome
    assert outcome.json()["message"].startswith("kubernetes v1.99.3: ")
    assert "0001-wrong.patch is for <1.99" in outcome.json()["message"]
    assert "0001-wrong.patch" in outcome.json()["message"]
    assert "pkg/cloud/cloud.go" in outcome.json()["message"]


@pytest.mark.measured
def test_a_compile_error_names_file_and_line(new_project: NewProject) -> None:
    old = "// Names returns the providers that are linked."
    patch = f'--- a/pkg/cloud/cloud.go\n+++ b/pkg/cloud/cloud.go\n@@ -4,1 +4,2 @@\n+var broken int = "text"\n {old}\n'
    project = new_project(config='[patches]\nkubernetes = "patches/kubernetes"\n')
    project.write("patches/kubernetes/0001-broken.patch", patch)
    outcome = project.run("build", "--format=json")
    assert outcome.code == 18, outcome
    assert "pkg/cloud/cloud.go:4" in outcome.json()["message"]
    assert "0001-broken.patch" in outcome.stdout


@pytest.mark.parametrize(
    ("words", "reason", "said"),
    [
        (["--k8s=v1.99.9"], "unknown-version", "v1.99.3"),
        (["--k8s=v1.99.9", "--provider=kubernetes=git"], "unknown-version", "v1.99.3"),
        (["--k8s=v1.99.9", "--offline"], "offline", "fetch"),
    ],
)
def test_a_version_that_is_not_there(
    new_project: NewProject, fake: Upstream, words: list[str], reason: str, said: str
) -> None:
    git = f'[sources.kubernetes]\nlocation = "{fake.git.as_uri()}"\n' if "git" in words[-1] else ""
    error = new_project(config=git).run("build", *words, "--format=json").json()
    assert error["reason"] == reason, error
    assert error["exit_code"] == (15 if reason == "offline" else 14)
    assert words[0].rpartition("=")[2] in error["message"]
    assert said in error["hint"]


def test_a_toolchain_that_is_none(new_project: NewProject, tmp_path: Path) -> None:
    outcome = new_project().run("build", f"--toolchain={tmp_path}", "--format=json")
    assert (outcome.code, outcome.json()["reason"]) == (23, "no-go")


def test_offline_after_fetch(new_project: NewProject, fake: Upstream) -> None:
    project = new_project()
    assert project.run("build").code == 0
    off = Project(root=project.root, env={**project.env, "GOPROXY": "off"})
    assert off.run("build", "--offline").code == 0
