"""The same content through every provider gives the same tree."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError, ResolveError, StoreError
from k8sbuild.golang.failures import failure
from k8sbuild.providers import archive, git, gomod, path
from k8sbuild.providers.base import Context, Fetched, Request
from k8sbuild.testing.server import serve

from . import upstream as fake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.golang.client import GoClient


MODULES = {"gomod": gomod, "archive": archive, "git": git, "path": path}


def location(kind: str, upstream: fake.Upstream) -> str:
    return {
        "gomod": "k8s.io/kubernetes",
        "archive": upstream.archive.as_uri(),
        "git": str(upstream.repository),
        "path": str(upstream.folder),
    }[kind]


def request_for(kind: str, upstream: fake.Upstream, version: str = fake.VERSION) -> Request:
    return Request(name="kubernetes", version=version, kind=kind, location=location(kind, upstream), layout="canonical")


def fetched(kind: str, ctx: Context, upstream: fake.Upstream, dest: Path) -> Fetched:
    dest.mkdir(parents=True)
    return MODULES[kind].fetch(ctx, request_for(kind, upstream), dest)


def test_all_providers_give_the_same_tree(
    context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path
) -> None:
    for kind in MODULES:
        fetched(kind, context(scratch=kind), upstream, tmp_path / kind / "out")
    trees = {kind: fake.listing(tmp_path / kind / "out") for kind in MODULES}
    assert trees["gomod"] == trees["git"] == trees["archive"] == trees["path"]
    files = trees["gomod"]
    assert {mode for mode, _ in files.values()} == {0o644}
    assert "staging/src/k8s.io/apimachinery/version/base.go" in files
    assert not [
        name for name in files if "vendor" in name or "sample-" in name or name.startswith(("go.work", "hack/tools"))
    ]


def test_a_bare_module_is_the_same_whoever_gives_it_and_requires_nothing(
    context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path
) -> None:
    for kind, provider in MODULES.items():
        (tmp_path / kind).mkdir()
        request = replace(request_for(kind, upstream), layout="bare")
        provider.fetch(context(scratch=f"{kind}-scratch"), request, tmp_path / kind)
    trees = {kind: fake.listing(tmp_path / kind) for kind in MODULES}
    assert trees["gomod"] == trees["git"] == trees["archive"] == trees["path"]
    assert "cmd/server/main.go" in trees["gomod"]
    assert "go.sum" not in trees["gomod"]
    assert (tmp_path / "gomod/go.mod").read_text() == "module k8s.io/kubernetes\n\ngo 1.21\n"


def test_go_mod_is_normalised(
    client: GoClient, context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path
) -> None:
    fetched("gomod", context(), upstream, tmp_path / "out")
    text = (tmp_path / "out/go.mod").read_text()
    assert "k8s.io/api v0.31.4" in text
    assert "sample-" not in text
    assert text.startswith("// made by a script")
    assert (tmp_path / "out/staging/src/k8s.io/api/go.mod").read_text() == "module k8s.io/api\n\ngo 1.21\n"


def test_what_is_recorded(context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path) -> None:
    found = {kind: fetched(kind, context(scratch=kind), upstream, tmp_path / kind / "out") for kind in MODULES}
    assert sorted(found["gomod"].transports) == [
        "k8s.io/api@v0.31.4",
        "k8s.io/apimachinery@v0.31.4",
        "k8s.io/kubernetes@v1.31.4",
    ]
    assert found["git"].transports == {"commit": upstream.commit}
    assert found["git"].time == found["gomod"].time == fake.TIME
    assert {kind: entry.trust for kind, entry in found.items()} == {
        "gomod": "first-use", "archive": "first-use", "git": "first-use", "path": "local",
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(MODULES))
def test_the_lock_is_held(kind: str, context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path) -> None:
    good = fetched(kind, context(), upstream, tmp_path / "one").transports
    fetched(kind, context(good, scratch="again"), upstream, tmp_path / "two")
    name = next(iter(good))
    with pytest.raises(FetchError) as caught:
        fetched(kind, context({**good, name: "h1:other"}, scratch="third"), upstream, tmp_path / "three")
    assert caught.value.reason == "digest-mismatch"
    assert name in caught.value.message
    assert "h1:other" in caught.value.message
    assert good[name] in caught.value.message


@pytest.mark.parametrize("kind", list(MODULES))
def test_malformed_versions(kind: str, context: Callable[..., Context], upstream: fake.Upstream) -> None:
    for version in ("vv1", "v1.31.4; rm", "1.2.3.4", "v1.31.x"):
        with pytest.raises(ResolveError) as caught:
            MODULES[kind].resolve(context(), request_for(kind, upstream, version))
        assert caught.value.reason == "malformed-version"


@pytest.mark.parametrize("kind", ["gomod", "git"])
def test_versions_are_resolved(kind: str, context: Callable[..., Context], upstream: fake.Upstream) -> None:
    for asked in ("latest", "v1.31", "1.31", "1.31.4", "v1.31.4"):
        assert MODULES[kind].resolve(context(), request_for(kind, upstream, asked)) == "v1.31.4"


@pytest.mark.parametrize("kind", ["gomod", "git", "archive"])
def test_unknown_versions(kind: str, context: Callable[..., Context], upstream: fake.Upstream) -> None:
    request = request_for(kind, upstream, "v1.31.44")
    if kind == "archive":
        request = Request(
            name="k", version="v1.31.44", kind=kind, location="file:///nowhere/{version}.zip", layout="canonical"
        )
    with pytest.raises(ResolveError) as caught:
        MODULES[kind].resolve(context(), request)
    assert caught.value.reason == "unknown-version"


@pytest.mark.parametrize(("version", "reason"), [("v1.31.44", "unknown-version"), (fake.VERSION, "proxy-error")])
def test_a_proxy_that_refuses_what_it_does_not_have(
    context: Callable[..., Context],
    upstream: fake.Upstream,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    reason: str,
) -> None:
    def refuse(_: GoClient, module: str) -> None:
        raise failure(module, "reading https://p/v1.info: 403 Forbidden")

    monkeypatch.setattr("k8sbuild.golang.client.GoClient.query", refuse)
    with pytest.raises(ResolveError) as caught:
        gomod.resolve(context(), request_for("gomod", upstream, version))
    assert caught.value.reason == reason


def test_archive_over_http_is_pinned_by_its_fragment(
    context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    shutil.copy(upstream.archive, tmp_path / "files/v1.31.4.tgz")

    def fetch(name: str, place: str) -> Fetched:
        asked = Request(name="k", version="v1.31.4", kind="archive", location=place, layout="canonical")
        (tmp_path / name).mkdir()
        return archive.fetch(context(scratch=f"{name}-scratch"), asked, tmp_path / name)

    with serve(tmp_path / "files") as server:
        place = server.url("{version}.tgz")
        digest = fetch("plain", place).transports["archive"]
        assert server.requests[-1].path == "/v1.31.4.tgz"
        assert fetch("right", f"{place}#{digest.replace(':', '=')}").trust == "pins"
        with pytest.raises(FetchError, match="expected sha256:0000") as caught:
            fetch("wrong", f"{place}#sha256={'0' * 64}")
    assert caught.value.reason == "digest-mismatch"


@pytest.mark.parametrize(
    ("kind", "where"), [("archive", "https://example.invalid/k.zip"), ("git", "https://example.invalid/k")]
)
def test_offline(kind: str, where: str, context: Callable[..., Context], tmp_path: Path) -> None:
    request = Request(name="k", version="v1.31.4", kind=kind, location=where, layout="module")
    with pytest.raises(FetchError) as caught:
        MODULES[kind].fetch(context(offline=True), request, tmp_path)
    assert caught.value.reason == "offline"


def test_path_leaves_out_what_git_ignores(context: Callable[..., Context], tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name, text in {
        ".gitignore": "_out\n",
        "_out": "built\n",
        "go.mod": "module m\n",
        "new.go": "package m\n",
    }.items():
        (source / name).write_text(text)
    fake.git(source, "init", "-q")
    (tmp_path / "out").mkdir()
    request = Request(name="m", version="v1.0.0", kind="path", location=str(source), layout="module")
    path.fetch(context(), request, tmp_path / "out")
    assert sorted(fake.listing(tmp_path / "out")) == [".gitignore", "go.mod", "new.go"]


def test_git_runs_no_hook_of_the_users(
    context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    config = upstream.home / ".gitconfig"
    config.write_text(f'[core]\nhooksPath = {hooks}\n[url "{upstream.repository.as_uri()}"]\ninsteadOf = kube:\n')
    try:
        request = Request(name="k", version="v1.31.4", kind="git", location="kube:", layout="canonical")
        (tmp_path / "out").mkdir()
        assert git.fetch(context(), request, tmp_path / "out").commit == upstream.commit
    finally:
        config.unlink()
    assert not (tmp_path / "ran").exists()


def test_git_errors_are_told_apart(context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path) -> None:
    cases = {
        (str(upstream.repository), "v9.9.9"): "unknown-version",
        ("file:///nowhere/k.git", "v1.31.4"): "repository-not-found",
        ("http://127.0.0.1:1/k.git", "v1.31.4"): "network-error",
    }
    for number, ((where, version), reason) in enumerate(cases.items()):
        with pytest.raises(FetchError) as caught:
            git.fetch(
                context(scratch=f"s{number}"),
                Request(name="k", version=version, kind="git", location=where, layout="module"),
                tmp_path,
            )
        assert caught.value.reason == reason


def test_a_source_that_is_not_kubernetes(context: Callable[..., Context], tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    request = Request(name="k", version="v1.0.0", kind="path", location=str(tmp_path / "src"), layout="canonical")
    with pytest.raises(FetchError, match=r"no go\.mod") as caught:
        path.fetch(context(), request, tmp_path / "src")
    assert caught.value.reason == "bad-layout"


def test_a_copy_for_which_there_is_no_room(
    context: Callable[..., Context], upstream: fake.Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(StoreError, match="cannot copy") as caught:
        fetched("path", context(), upstream, tmp_path / "out")
    assert caught.value.reason == "disk-full"
