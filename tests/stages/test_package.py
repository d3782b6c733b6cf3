"""Archives: the same bytes for the same members."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from k8sbuild.errors import PackageError
from k8sbuild.stages.package import archive
from k8sbuild.stages.tar import epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]

BINARY = "compile:toy/toy/toy"
INPUTS = {"compile:toy/toy": {"toy": b"elf" * 50_000, "log": b"x"}, "codegen:toy/etc": {"b/two": b"2", "a": b"1"}}
MEMBERS = [
    {"address": BINARY, "path": "bin/toy", "mode": 0o755},
    {"address": "codegen:toy/etc", "path": "etc/", "mode": None},
]


def pack(
    context: Context, members: list[dict[str, Any]], *, level: int = 9, **fields: Any
) -> tuple[bytes, StepContext]:
    params = {
        "file": "sub/x.tar.zst",
        "prefix": "toy/",
        "members": members,
        "licences": {},
        "date": "2024-12-10T11:41:03Z",
        "level": level,
    }
    ctx = context(params, inputs=INPUTS, name="package:toy/tar", **fields)
    archive(ctx)
    return (ctx.out / "sub/x.tar.zst").read_bytes(), ctx


def unpack(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()


def test_members_are_sorted_and_have_one_time_and_no_owner(context: Context) -> None:
    packed, ctx = pack(context, MEMBERS)
    with tarfile.open(fileobj=io.BytesIO(unpack(packed))) as tar:
        rows = {m.name: (m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar.getmembers()}
        file = tar.extractfile("toy/bin/toy")
        assert file is not None
        assert file.read() == INPUTS["compile:toy/toy"]["toy"]
    assert list(rows) == sorted(rows) == ["toy/bin/toy", "toy/etc/a", "toy/etc/b/two"]
    time = 1733830863
    assert rows["toy/bin/toy"] == (0o755, time, 0, 0, "", "")
    assert rows["toy/etc/a"] == (0o644, time, 0, 0, "", "")
    assert ctx.facts["members"] == 3
    assert ctx.facts["sums"] == {"sub/x.tar": hashlib.sha256(unpack(packed)).hexdigest()}


def test_order_and_cores_do_not_change_the_bytes(context: Context) -> None:
    first, _ = pack(context, MEMBERS, cores=2)
    second, _ = pack(context, MEMBERS[::-1], cores=2)
    assert first == second
    one, ctx = pack(context, MEMBERS, cores=1, level=1)
    assert unpack(one) == unpack(first), "the level changes the packed bytes alone"
    assert ctx.facts["sums"]["sub/x.tar"] == hashlib.sha256(unpack(first)).hexdigest()


def test_two_members_of_one_name(context: Context) -> None:
    with pytest.raises(PackageError, match="package:toy/tar: two members are named toy/bin/toy") as caught:
        pack(context, [MEMBERS[0], MEMBERS[0]])
    assert caught.value.reason == "archive-clash"


@pytest.mark.parametrize(("date", "seconds"), [("", 0), ("1970-01-01T00:01:00Z", 60), ("1970-01-01T01:00:00+01:00", 0)])
def test_epoch(date: str, seconds: int) -> None:
    assert epoch(date) == seconds
