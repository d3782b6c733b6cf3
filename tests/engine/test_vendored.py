"""Programs whose source keeps the code of other modules itself: no build list is made, nothing is downloaded."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from toys import failure, states

from k8sbuild import api
from k8sbuild.build import host_platform
from k8sbuild.kinds import (
    Archive,
    Edit,
    GoBinary,
    GoModule,
    GoReplace,
    GoRequire,
    Overlay,
    Source,
    Target,
)
from k8sbuild.testing import gitrepo, vendored
from k8sbuild.testing.files import write
from k8sbuild.upstream import address, unlinked

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, Named, RequestFor

MODULE = "example.org/agent"
SOURCE = Source(name="agent", version="v1.2.3", locations={"path": "", "gomod": MODULE}, layout="as-is")
OWN = GoModule(name="agent", path=MODULE, go="1.22", source="agent")
BINARY = GoBinary(name="agent", package=".", ldflags={f"{MODULE}/cmd/version.Version": "v1.2.3"})
FILE = "agent.tar.zst"
ARCHIVE = Archive(name="archive", file=FILE, members=(), licences=("compile:toy/agent/agent",))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "agent", vendored.program(MODULE))


def toy(
    plugin: Make, source: Path | str, *, kind: str = "path", module: GoModule = OWN, layout: Any = "as-is", **hooks: Any
) -> Named:
    artifacts = {"agent": "compile:toy/agent/agent", FILE: f"package:toy/archive/{FILE}"}
    return plugin(
        targets=[Target(name="toy", help="", artifacts=artifacts)],
        fetch=[replace(SOURCE, locations={kind: str(source), "gomod": MODULE}, layout=layout)],
        **{"codegen": [module], "compile": [BINARY], "package": [ARCHIVE], **hooks},
    )


@pytest.fixture
def env(gocache: Path, tmp_path: Path) -> dict[str, str]:
    """Return an environment in which nothing can be downloaded."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/gocache").symlink_to(gocache)
    return {"GOPROXY": "off", "GOSUMDB": "off"}


def test_it_is_compiled_from_what_it_has_itself(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str
) -> None:
    request = request_for(toy(plugin, source), env=env, toolchain=goroot, arch=host_platform().arch)
    report = api.build(request)
    assert states(report) == dict.fromkeys(["agent", "archive"], "ran")
    made = request.root / "dist/artifacts"
    assert subprocess.check_output([made / "agent"], text=True) == "version v1.2.3\n"
    (row,) = json.loads((request.root / "k8sbuild.lock").read_text())["lists"].values()
    assert row["modules"] == []
    data = zstandard.ZstdDecompressor().stream_reader((made / FILE).read_bytes())
    with tarfile.open(fileobj=data, mode="r|") as tar:
        texts = {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]
    assert texts == {
        "licences/example.org/agent/LICENSE": b"of the program\n",
        "licences/example.org/words/LICENSE": b"of the words\n",
    }


def test_its_tests_can_be_a_program(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str
) -> None:
    write(source, {"main_test.go": 'package main\n\nimport "testing"\n\nfunc TestOwn(*testing.T) {}\n'})
    named = toy(plugin, source, compile=[replace(BINARY, test=True)])
    request = request_for(named, env=env, toolchain=goroot, arch=host_platform().arch)
    api.build(request)
    assert "--- PASS: TestOwn" in subprocess.check_output([request.root / "dist/artifacts/agent", "-test.v"], text=True)


def published(kind: str, folder: Path) -> str:
    """Return the location of the release that it publishes: a repository, an archive, or a folder."""
    texts = vendored.program(MODULE)
    if kind == "git":
        entries = {name: (0o100644, text.encode()) for name, text in texts.items()}
        gitrepo.write(folder / "agent.git", entries, tag="v1.2.3", time=0)
        return (folder / "agent.git").as_uri()
    source = write(folder / "agent-1.2.3", texts)
    if kind == "path":
        return str(source)
    with tarfile.open(folder / "v1.2.3.tar.gz", "w:gz") as tar:
        tar.add(source, source.name)
    return f"{folder.as_uri()}/{{version}}.tar.gz"


def test_it_is_the_same_wherever_it_is_published_and_fetched_once(
    plugin: Make, request_for: RequestFor, env: dict[str, str], goroot: str, tmp_path: Path
) -> None:
    ran, locked, arch = [], {}, host_platform().arch
    for kind in ("git", "archive", "path"):
        place = tmp_path / kind
        named = toy(plugin, published(kind, place), kind=kind)
        request = request_for(named, root=tmp_path / f"with-{kind}", env=env, toolchain=goroot, arch=arch)
        api.build(request, until="fetch")
        if kind != "path":
            # A folder of the user's is looked at in every build; of what is published, nothing more is needed.
            place.rename(tmp_path / f"{kind}-gone")
        ran.append(states(api.build(request))["agent"])
        locked[kind] = json.loads((request.root / "k8sbuild.lock").read_text())["sources"].get("agent@v1.2.3", {})
    assert ran == ["ran", "reused", "reused"], "one tree, so that one program is made of it"
    assert locked["git"]["tree"] == locked["archive"]["tree"]
    assert len(locked["git"]["transports"]["git"]["commit"]) == 40
    assert locked["archive"]["transports"]["archive"]["archive"].startswith("sha256:")
    assert {locked[kind]["trust"] for kind in ("git", "archive")} == {"first-use"}


def test_it_can_be_patched(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str
) -> None:
    edit = Edit(
        name="word", source="agent", path="main.go", op="replace", text="(version.", new='("patched " + version.'
    )
    named = toy(plugin, source, patch=[edit])
    request = request_for(named, env=env, toolchain=goroot, arch=host_platform().arch)
    api.build(request)
    assert subprocess.check_output([request.root / "dist/artifacts/agent"], text=True) == "version patched v1.2.3\n"


def test_what_is_cut_off_of_it_is_proved_not_to_be_linked(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str
) -> None:
    """All three witnesses see the program as it is compiled: patched, with its own ``vendor/``."""
    words = unlinked(
        address("toy", "agent"), module="toy/agent", packages=["example.org/words"], modules=[], hint="keep it"
    )
    checks = list(words)[1:]
    spoken = Edit(name="words", source="agent", path="main.go", op="drop-import", text="example.org/words")
    called = Edit(name="call", source="agent", path="main.go", op="replace", text="words.Say(", new="println(")
    flags: dict[str, Any] = {"env": env, "toolchain": goroot, "arch": host_platform().arch}
    report = api.build(request_for(toy(plugin, source, patch=[spoken, called], validate=checks), **flags))
    assert {check.name for check in checks} <= set(states(report))
    for check in checks:
        error = failure(request_for(toy(plugin, source, validate=[check]), **flags))
        assert (error.reason, error.hint) == ("denied-code-linked", "keep it"), check.name


def test_a_mistake_in_it_is_named(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str
) -> None:
    edit = Edit(name="word", source="agent", path="main.go", op="replace", text="func main() {", new="func main() { x")
    named = toy(plugin, source, patch=[edit])
    error = failure(request_for(named, env=env, toolchain=goroot, arch=host_platform().arch))
    assert error.reason == "compile-failed"
    assert "main.go:8:" in error.message
    assert "touched by toy: word" in error.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"layout": "module"}, "has no vendor/modules.txt"),
        ({"module": replace(OWN, path="example.org/other")}, "is the module example.org/agent, not example.org/other"),
    ],
)
def test_a_source_that_is_not_what_it_is_taken_for(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str, fields: Any, said: str
) -> None:
    error = failure(request_for(toy(plugin, source, **fields), env=env, toolchain=goroot))
    assert (error.reason, said in error.message) == ("no-vendor", True)


@pytest.mark.parametrize(
    "item",
    [
        GoRequire(name="x", path="example.org/x", version="v1.0.0"),
        GoReplace(name="x", path="example.org/words", version="v1.0.1"),
        Overlay(name="x", root="."),
    ],
    ids=lambda item: type(item).__name__,
)
def test_nothing_is_added_to_it(
    plugin: Make, request_for: RequestFor, source: Path, env: dict[str, str], goroot: str, item: Any
) -> None:
    error = failure(request_for(toy(plugin, source, codegen=[OWN, item]), env=env, toolchain=goroot))
    assert error.reason == "vendored-module"
    assert f"{type(item).__name__} x is for the module toy/agent, which is the source agent as it is" in error.message
