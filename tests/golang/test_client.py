from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from providers import upstream as fake

from k8sbuild.errors import BuildError, FetchError, ResolveError
from k8sbuild.golang.bootstrap import ensure_go, version_of
from k8sbuild.golang.client import GoClient
from k8sbuild.golang.dirhash import hash_mod, hash_zip
from k8sbuild.golang.environment import download_settings, with_network
from k8sbuild.golang.failures import reason_of
from k8sbuild.golang.modfile import parse, staging_modules
from k8sbuild.golang.modlist import build_list, expand
from k8sbuild.golang.modules import pack
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> fake.Upstream:
    return fake.make(tmp_path_factory.mktemp("upstream"))


@pytest.fixture
def client(tmp_path: Path, upstream: fake.Upstream) -> GoClient:
    return GoClient(go=programs.go(), modcache=tmp_path / "cache" / "mod", env=upstream.env, log=tmp_path / "log")


def test_download_gives_sums_and_time(client: GoClient) -> None:
    told: list[tuple[str, int, int]] = []
    api, lib = client.download(["k8s.io/api@v0.31.4", "example.org/lib@v1.0.0"], lambda *args: told.append(args))
    assert (api.name, lib.name, api.time, api.trust) == (
        "k8s.io/api@v0.31.4",
        "example.org/lib@v1.0.0",
        fake.TIME,
        "first-use",
    )
    assert api.sum == api.zip.with_suffix(".ziphash").read_text() == hash_zip(api.zip)
    assert told == [("modules", 0, 2), ("modules", 2, 2)]


def test_a_damaged_cached_zip_is_downloaded_again(client: GoClient) -> None:
    first = client.download(["k8s.io/api@v0.31.4"])[0]
    first.zip.chmod(0o644)
    first.zip.write_bytes(first.zip.read_bytes()[:-30])
    assert client.download(["k8s.io/api@v0.31.4"])[0].sum == first.sum == hash_zip(first.zip)


def test_unknown_modules_are_each_named(client: GoClient) -> None:
    with pytest.raises(FetchError) as caught:
        client.download(["k8s.io/api@v0.31.4", "k8s.io/api@v0.99.0", "example.org/none@v1.0.0"])
    assert caught.value.reason == "module-not-found"
    assert "k8s.io/api@v0.99.0" in caught.value.message
    assert "example.org/none@v1.0.0" in caught.value.message


def test_offline_uses_what_is_cached(client: GoClient) -> None:
    client.download(["k8s.io/api@v0.31.4"])
    client.offline = True
    assert client.download(["k8s.io/api@v0.31.4"])[0].version == "v0.31.4"
    with pytest.raises(FetchError) as caught:
        client.download(["example.org/lib@v1.0.0"])
    assert caught.value.reason == "offline"


def test_pack_keeps_the_files_and_of_the_metadata_what_is_the_same_everywhere(client: GoClient, tmp_path: Path) -> None:
    module = client.download(["k8s.io/api@v0.31.4"])[0]
    pack([module], tmp_path / "out")
    folder = tmp_path / "out/cache/download/k8s.io/api/@v"
    assert (folder / "v0.31.4.info").read_text() == f'{{"Time":"{fake.TIME}","Version":"v0.31.4"}}'
    assert hash_zip(folder / "v0.31.4.zip") == module.sum
    assert hash_mod((folder / "v0.31.4.mod").read_bytes()) == module.mod_sum


def test_build_list_raises_roots(client: GoClient, tmp_path: Path) -> None:
    requires = expand(client, [("k8s.io/kubernetes", "v1.31.4")], lambda path: path.startswith("k8s.io/"))
    assert requires == {"example.org/lib": "v1.0.0"}
    roots = {**requires, "k8s.io/api": "v0.31.4"}
    found = build_list(client, module_path="m", go="1.20", requires=roots, replaces={}, scratch=tmp_path / "s")
    assert [(m.path, m.version) for m in found] == [("example.org/lib", "v1.1.0"), ("k8s.io/api", "v0.31.4")]
    replaced = {"example.org/lib": ("example.org/lib", "v1.0.0")}
    lowered = build_list(client, module_path="m", go="1.20", requires=roots, replaces=replaced, scratch=tmp_path / "t")
    assert lowered[0].name == "example.org/lib@v1.0.0"


def test_build_list_with_a_go_that_is_too_old(client: GoClient, upstream: fake.Upstream, tmp_path: Path) -> None:
    mod = "module example.org/new\n\ngo 1.999\n"
    if not (upstream.proxy / "example.org/new").exists():
        fake.add_module(upstream.proxy, "example.org/new", "v1.0.0", {"go.mod": mod})
    with pytest.raises(ResolveError) as caught:
        build_list(
            client,
            module_path="m",
            go="1.20",
            requires={"example.org/new": "v1.0.0"},
            replaces={},
            scratch=tmp_path / "s",
        )
    assert caught.value.reason == "go-too-old"
    assert caught.value.details["go"] == "1.999"


def test_users_settings_for_downloads_only(tmp_path: Path) -> None:
    (tmp_path / "go").mkdir()
    (tmp_path / "go/env").write_text("# mine\nGOPROXY=file:///from-file\nGOFLAGS=-mod=vendor\nGOPRIVATE=a.b\n")
    user = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "GOPRIVATE": "c.d",
        "GOFLAGS": "-x",
        "HOME": "/h",
        "HTTPS_PROXY": "http://p",
    }
    assert download_settings(user) == {"GOPROXY": "file:///from-file", "GOPRIVATE": "c.d"}
    env = with_network(tmp_path / "mod", user)
    assert (env["GOFLAGS"], env["GOENV"], env["HTTPS_PROXY"]) == ("-modcacherw", "off", "http://p")
    assert download_settings({**user, "GOENV": "off"}) == {"GOPRIVATE": "c.d"}


def test_trust_follows_the_checksum_settings(client: GoClient) -> None:
    client.env = {**client.env, "GOSUMDB": "sum.example.org", "GOPRIVATE": "*.corp.example,a.b/c"}
    paths = ["k8s.io/api", "git.corp.example/x", "a.b/c/d", "a.b/cc"]
    assert [client.trust(path) for path in paths] == ["checksum-db", "first-use", "first-use", "checksum-db"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("verifying m@v1: checksum mismatch", "checksum-mismatch"),
        ("reading https://p/m.info: 403 Forbidden", "proxy-error"),
        ("reading https://p/m.info: 502 Bad Gateway", "proxy-error"),
        ("reading https://p/m.info: 404 Not Found", "module-not-found"),
        ("verifying go.mod: m@v1/go.mod: reading https://p/sumdb/s/lookup/m@v1: 404 Not Found", "checksum-missing"),
        ("verifying m@v1: reading https://s/lookup/m@v1: 502 Bad Gateway", "proxy-error"),
        ("dial tcp: lookup p: no such host", "network-error"),
        ("something else", "go-failed"),
    ],
)
def test_errors_are_told_apart(text: str, reason: str) -> None:
    assert reason_of(text) == reason


def test_bad_go_mods_name_the_line() -> None:
    for text, line in {"module m\nrequire (\n": 2, "module m\nrequir a v1\n": 2, "replace a b\n": 1}.items():
        with pytest.raises(BuildError, match=rf"go\.mod:{line}: ") as caught:
            parse(text)
        assert caught.value.reason == "bad-go-mod"


def test_go_mod_syntax() -> None:
    mod = parse(
        'module "m" // c\ngo 1.22\ngodebug default=go1.21\nexclude a.b/c v1.0.0\nreplace a.b/c v1.1.0 => "./x y"\n'
    )
    assert (mod.module, mod.go, mod.godebug) == ("m", "1.22", {"default": "go1.21"})
    assert mod.replaces == {"a.b/c@v1.1.0": ("./x y", "")}
    assert staging_modules(fake.BASE["go.mod"]) == fake.STAGING


def test_a_go_on_path_counts_only_if_exact(client: GoClient, tmp_path: Path) -> None:
    exact = version_of(client.go, tmp_path / "c", tmp_path / "log")
    env = {"PATH": os.environ["PATH"]}
    assert ensure_go(tmp_path / "c", env, [exact, "1.0.1"], lambda *a: None, True, tmp_path / "log") == client.go
    with pytest.raises(FetchError) as caught:
        ensure_go(tmp_path / "c", env, ["1.0.1"], lambda *a: None, True, tmp_path / "log")
    assert caught.value.reason == "offline"


def test_a_newer_go_takes_over_where_a_module_needs_it(client: GoClient, tmp_path: Path) -> None:
    newest, old = client.go, tmp_path / "old"
    old.write_text("#!/bin/sh\necho 'go: a@v1 requires go >= 1.99 (running go 1.25.5)' >&2; exit 1\n")
    old.chmod(0o755)
    client.go = old
    with pytest.raises(FetchError) as caught:
        client.query("k8s.io/api@v0.31.4")
    assert (caught.value.reason, caught.value.details["go"]) == ("go-too-old", "1.99")
    client.newest = lambda: newest
    assert client.query("k8s.io/api@v0.31.4")["Version"] == "v0.31.4"
    assert client.go == newest


def test_what_nobody_vouched_for_is_not_kept_once_somebody_would(client: GoClient) -> None:
    zipped = client.download(["k8s.io/api@v0.31.4"])[0].zip
    strict = GoClient(go=client.go, modcache=client.modcache, env={**client.env, "GOSUMDB": "off"}, log=client.log)
    assert strict.download(["k8s.io/api@v0.31.4"])[0].trust == "first-use"
    vouched = GoClient(
        go=client.go,
        modcache=client.modcache,
        env={**client.env, "GOSUMDB": "sum.example.org+00000000+AAAA http://127.0.0.1:1"},
        log=client.log,
    )
    with pytest.raises(FetchError):
        vouched.download(["k8s.io/api@v0.31.4"])
    assert not zipped.exists()
