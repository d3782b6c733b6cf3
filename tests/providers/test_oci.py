"""Images from a registry on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import BuildError
from k8sbuild.providers import _http, oci
from k8sbuild.providers.base import Context, Request
from k8sbuild.testing import registry
from k8sbuild.testing.server import Fault, Realm, Server, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REPOSITORY = "group/base"
BOTH = [registry.image({"etc/arch": arch.encode()}, platform=f"linux-{arch}") for arch in ("amd64", "arm64")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "Policy", partial(_http.Policy, attempts=2, wait=0.01))


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """Return a function that makes a context which needs no Go."""

    def go() -> None:
        raise AssertionError("an image needs no Go")

    plain = Context(scratch=tmp_path / "scratch", offline=False, env={}, log=tmp_path / "log", go=go)  # type: ignore[arg-type]
    return lambda **fields: replace(plain, **fields)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what a registry gives: ``v1`` for one platform, ``v2`` for two."""
    registry.push(tmp_path / "served", REPOSITORY, "v1", BOTH[0])
    registry.push(tmp_path / "served", REPOSITORY, "v2", *BOTH)
    return tmp_path / "served"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serve(folder) as running:
        yield running


def request(server: Server | str, version: str = "v1", platform: str = "") -> Request:
    address = server if isinstance(server, str) else server.address
    return Request(
        name="base", version=version, kind="oci", location=f"{address}/{REPOSITORY}{platform}", layout="as-is"
    )


def pulled(ctx: Context, asked: Request, dest: Path) -> tuple[dict[str, bytes], dict[str, str], str]:
    """Return the files, the transports and the trust."""
    dest.mkdir()
    found = oci.fetch(ctx, asked, dest)
    files = {path.relative_to(dest).as_posix(): path.read_bytes() for path in dest.rglob("*") if path.is_file()}
    return files, dict(found.transports), found.trust


def blobs(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path.startswith("blobs/")}


def test_an_image_becomes_a_layout(server: Server, context: Callable[..., Context], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    ctx = context(progress=lambda *args: told.append(args))
    files, transports, trust = pulled(ctx, request(server), tmp_path / "one")
    assert blobs(files) == blobs(BOTH[0])
    (row,) = json.loads(files["index.json"])["manifests"]
    assert transports == {"group/base:v1": row["digest"]}, "no host of a registry"
    assert trust == "first-use"
    assert told[-1][1] == told[-1][2] == sum(map(len, blobs(files).values())) - row["size"]


@pytest.mark.parametrize(("platform", "image"), [("#linux-amd64", BOTH[0]), ("#linux-arm64", BOTH[1])])
def test_one_platform_of_several(
    server: Server,
    folder: Path,
    context: Callable[..., Context],
    tmp_path: Path,
    platform: str,
    image: dict[str, bytes],
) -> None:
    files, transports, _ = pulled(context(), request(server, "v2", platform), tmp_path / "one")
    assert blobs(files) == blobs(image)
    assert (folder / "v2/group/base/manifests" / transports["group/base:v2"]).is_file()


def test_a_locked_image_is_asked_for_by_digest(
    server: Server, folder: Path, context: Callable[..., Context], tmp_path: Path
) -> None:
    files, transports, _ = pulled(context(), request(server), tmp_path / "one")
    registry.push(folder, REPOSITORY, "v1", BOTH[1])
    again, same, _ = pulled(context(locked=transports), request(server), tmp_path / "two")
    assert (again, same) == (files, transports), "a tag that moved changes nothing"
    moved, other, _ = pulled(context(), request(server), tmp_path / "three")
    assert (moved == files, other == transports) == (False, False)


def test_a_digest_is_a_pin(server: Server, context: Callable[..., Context], tmp_path: Path) -> None:
    _, transports, _ = pulled(context(), request(server), tmp_path / "one")
    (digest,) = transports.values()
    _, by_digest, trust = pulled(context(), request(server, digest), tmp_path / "two")
    assert (by_digest, trust) == ({"group/base": digest}, "pins")
    assert pulled(context(), request(server, f"v1@{digest}"), tmp_path / "three")[1:] == (transports, "pins")


@pytest.mark.parametrize("login", ["", "me:secret"])
def test_a_registry_that_wants_a_token(
    folder: Path, context: Callable[..., Context], tmp_path: Path, login: str
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    with serve(folder, realm=Realm(token="t0ken", login=login)) as server:
        ctx = context(env={"NETRC": str(tmp_path / "netrc")} if login else {})
        assert blobs(pulled(ctx, request(server), tmp_path / "one")[0]) == blobs(BOTH[0])
    first, token, *rest = server.requests
    assert (first.status, token.path) == (401, "/token")
    assert {asked.status for asked in rest} == {200}


def test_a_token_that_ends_is_had_again(folder: Path, context: Callable[..., Context], tmp_path: Path) -> None:
    late = f"/v2/group/base/blobs/{max(path.name for path in (folder / 'v2/group/base/blobs').iterdir())}"
    with serve(folder, {late: [Fault.error(401)]}, realm=Realm(token="t")) as server:
        for platform in ("#linux-amd64", "#linux-arm64"):
            pulled(context(), request(server, "v2", platform), tmp_path / platform)
    asked = [r.path for r in server.requests]
    again = asked.index(late)
    assert asked[again : again + 3] == [late, "/token", late]


def test_a_download_that_broke_off_is_resumed(folder: Path, context: Callable[..., Context], tmp_path: Path) -> None:
    (row,) = json.loads(BOTH[0]["index.json"])["manifests"]
    (layer,) = json.loads(BOTH[0][f"blobs/{row['digest'].replace(':', '/')}"])["layers"]
    path = f"/v2/group/base/blobs/{layer['digest']}"
    with serve(folder, {path: [Fault.truncate(20), Fault.error(500), Fault.none()]}) as server:
        with pytest.raises(BuildError) as caught:
            pulled(context(), request(server), tmp_path / "one")
        assert caught.value.reason == "network-error"
        pulled(context(), request(server), tmp_path / "two")
    assert [r.status for r in server.requests if r.path == path] == [200, 500, 206]


@pytest.mark.parametrize(
    ("version", "platform", "reason", "said"),
    [
        ("v2", "", "bad-image", "linux-amd64, linux-arm64"),
        ("v2", "#linux-riscv64", "bad-image", "none for linux-riscv64"),
        ("v3", "", "not-found", "manifests/v3"),
        ("a b", "", "malformed-version", "no tag and no digest"),
        ("v1@sha256:0", "", "malformed-version", "no tag and no digest"),
        ("v1@sha256:" + "0" * 64, "", "not-found", "manifests/sha256:000"),
    ],
)
def test_what_is_not_there(
    server: Server, context: Callable[..., Context], tmp_path: Path, version: str, platform: str, reason: str, said: str
) -> None:
    with pytest.raises(BuildError) as caught:
        pulled(context(), request(server, version, platform), tmp_path / "one")
    assert caught.value.reason == reason
    assert said in caught.value.message


def test_resolve(server: Server, context: Callable[..., Context]) -> None:
    assert oci.resolve(context(), request(server)) == "v1"
    with pytest.raises(BuildError) as caught:
        oci.resolve(context(), request(server, "v3"))
    assert (caught.value.reason, caught.value.hint) == ("unknown-version", "it has the tags v1, v2")
    with pytest.raises(BuildError) as caught:
        oci.resolve(context(), replace(request(server), location=f"{server.address}/other"))
    assert (caught.value.reason, caught.value.hint) == ("unknown-version", "check the location")
    with pytest.raises(BuildError) as caught:
        oci.resolve(context(offline=True), request(server))
    assert caught.value.reason == "offline"


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_other_bytes_than_their_digest(
    server: Server, folder: Path, context: Callable[..., Context], tmp_path: Path, kind: str
) -> None:
    _, locked, _ = pulled(context(), request(server), tmp_path / "one")
    for path in (folder / "v2/group/base" / kind).iterdir():
        path.write_bytes(path.read_bytes().replace(b"amd64", b"arm64") + b" ")
    with pytest.raises(BuildError) as caught:
        pulled(context(locked=locked), request(server), tmp_path / "two")
    assert caught.value.reason == "digest-mismatch"
    assert not (tmp_path / "two/oci-layout").exists(), "nothing half-written"


def test_a_lock_and_a_pin_that_differ(server: Server, context: Callable[..., Context], tmp_path: Path) -> None:
    _, locked, _ = pulled(context(), request(server), tmp_path / "one")
    asked = request(server, "v1@sha256:" + "0" * 64)
    with pytest.raises(BuildError, match="the version says") as caught:
        pulled(context(locked=locked), asked, tmp_path / "two")
    assert caught.value.reason == "digest-mismatch"


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", '{"config":{}}', '{"manifests":[{"digest":"../x"}]}', '{"manifests":3}']
)
def test_answers_that_are_no_image(
    server: Server, folder: Path, context: Callable[..., Context], tmp_path: Path, text: str
) -> None:
    (folder / "v2/group/base/manifests/v1").write_text(text)
    with pytest.raises(BuildError) as caught:
        pulled(context(), request(server), tmp_path / "one")
    assert caught.value.reason == "bad-image"


@pytest.mark.parametrize(
    ("realm", "netrc"), [(Realm(token="t", login="me:secret"), ""), (Realm(token="t", login="me:secret"), "other")]
)
def test_credentials_that_are_refused(
    folder: Path, context: Callable[..., Context], tmp_path: Path, realm: Realm, netrc: str
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {netrc}\n" if netrc else "")
    with serve(folder, realm=realm) as server, pytest.raises(BuildError) as caught:
        pulled(context(env={"NETRC": str(tmp_path / "netrc")}), request(server), tmp_path / "one")
    assert caught.value.reason == "auth-failed"
    assert "secret" not in str(caught.value.to_dict())


def test_no_registry_and_no_network(context: Callable[..., Context], tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        pulled(context(), request("http://127.0.0.1:1"), tmp_path / "one")
    assert caught.value.reason == "network-error"
    with pytest.raises(BuildError) as caught:
        pulled(context(offline=True), request("example.invalid"), tmp_path / "two")
    assert caught.value.reason == "offline"


@pytest.mark.parametrize("address", ["http://example.invalid", "ftp://127.0.0.1", "127.0.0.1:x", ""])
def test_places_that_are_refused(context: Callable[..., Context], tmp_path: Path, address: str) -> None:
    with pytest.raises(BuildError) as caught:
        pulled(context(), request(address), tmp_path / "one")
    assert caught.value.reason == "bad-image-location"


def test_an_image_upon_another(folder: Path, context: Callable[..., Context], tmp_path: Path) -> None:
    taller = registry.upon(BOTH[0], {"bin/tool": b"#!/bin/sh\n"})
    registry.push(folder, REPOSITORY, "taller", taller)
    with serve(folder) as server:
        assert blobs(pulled(context(), request(server, "taller"), tmp_path / "one")[0]) == blobs(taller)
    (row,) = json.loads(taller["index.json"])["manifests"]
    manifest = json.loads(taller[f"blobs/{row['digest'].replace(':', '/')}"])
    assert len(manifest["layers"]) == 2
    assert len(json.loads(taller[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])["rootfs"]["diff_ids"]) == 2
