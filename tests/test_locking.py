"""Sources that are not what the lock says: an archive that was packed anew, and how it is locked as it is now."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api
from k8sbuild.errors import FetchError, ResolveError, UsageError
from k8sbuild.kinds import Source, Target

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor

    from k8sbuild.project import Request

KEY = "up@v1.0.0"


def pack(path: Path, text: str, how: str = "w:gz") -> None:
    with tarfile.open(path, how) as tar:  # type: ignore[call-overload]
        info = tarfile.TarInfo("up-1.0.0/a.txt")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "up.tar"
    pack(path, "one")
    return path


@pytest.fixture
def request_(plugin: Make, request_for: RequestFor, archive: Path) -> Request:
    """Return a request whose one source is locked, and not in the store any more."""
    up = Source(name="up", version="v1.0.0", locations={"archive": archive.as_uri()}, layout="as-is")
    target = Target(name="toy", help="", artifacts={"a": "fetch:toy/up/a.txt"})
    request = request_for(plugin(targets=[target], fetch=[up]))
    api.build(request)
    return request_for(plugin(targets=[target], fetch=[up]), env={"K8SBUILD_CACHE_DIR": str(archive.parent / "other")})


def entry(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((request.root / "k8sbuild.lock").read_text())["sources"][KEY]
    return found


@pytest.mark.parametrize(("text", "said"), [("one", "files are the same, packed otherwise"), ("two", "files differ")])
def test_other_bytes_stop_and_say_whether_the_files_are_the_same(
    request_: Request, archive: Path, text: str, said: str
) -> None:
    before = entry(request_)
    pack(archive, text, "w:bz2")
    with pytest.raises(FetchError) as caught:
        api.build(request_)
    error = caught.value
    assert error.reason == "digest-mismatch"
    assert said in error.message
    assert "first-use" in error.message
    assert error.details["archive"]["expected"] == before["transports"]["archive"]["archive"]
    assert error.details["tree"]["expected"] == before["tree"]
    assert (error.details["tree"]["found"] == before["tree"]) is (text == "one")
    assert all(digest in error.message for pair in error.details.values() for digest in pair.values())
    assert f"k8sbuild lock --update={KEY}" in error.hint
    assert entry(request_) == before


def test_an_entry_is_made_anew_where_it_is_named(request_: Request, archive: Path) -> None:
    before = entry(request_)
    pack(archive, "two", "w:bz2")
    api.lock(request_, update=[KEY])
    after = entry(request_)
    assert after["tree"] != before["tree"]
    assert after["transports"] != before["transports"]
    api.build(request_)
    assert (request_.root / "dist/artifacts/a").read_text() == "two"


def test_only_sources_of_the_build_can_be_updated(request_: Request, archive: Path) -> None:
    before = entry(request_)
    archive.unlink()
    with pytest.raises(ResolveError, match="nothing at"):
        api.lock(request_, update=[KEY])
    with pytest.raises(UsageError, match=f"no source up@v1.0; did you mean '{KEY}'") as caught:
        api.lock(request_, update=["up@v1.0"])
    assert caught.value.reason == "unknown-source"
    with pytest.raises(UsageError, match="--check changes nothing"):
        api.lock(request_, check=True, update=[KEY])
    assert entry(request_) == before
