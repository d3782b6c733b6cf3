"""Damage of the store is noticed before it reaches an artifact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toys import chain, states

from k8sbuild import api

if TYPE_CHECKING:
    from toys import Make, RequestFor


def _blobs(request: api.Request) -> list[Path]:
    return [
        p for p in Path(request.env["K8SBUILD_CACHE_DIR"], "store").rglob("*") if p.is_file() and p.stat().st_size == 1
    ]


def _damage(request: api.Request) -> None:
    (blob, *_) = _blobs(request)
    blob.chmod(0o644)
    blob.write_text("z")


def test_a_damaged_store_is_rebuilt_in_the_same_run(plugin: Make, request_for: RequestFor) -> None:
    api.build(request_for(plugin(**chain())))
    request = request_for(plugin(**chain(env={"NEW": "key"})))
    _damage(request)
    Path(request.root, ".k8sbuild/work").rename(request.root / "elsewhere")
    report = api.build(request)
    assert states(report) == {"one": "ran", "all": "ran"}
    assert any("rebuilt" in text for text in report.warnings)
    assert (request.root / "dist/artifacts/toy").read_text() == "a"


@pytest.mark.parametrize("kind", ["blobs", "trees", "results"])
def test_a_damaged_artifact_of_a_reused_step_is_rebuilt(plugin: Make, request_for: RequestFor, kind: str) -> None:
    request = request_for(plugin(**chain()))
    api.build(request)
    for file in Path(request.env["K8SBUILD_CACHE_DIR"], "store", kind).rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(file.read_bytes()[:-1] + b"z")
    shutil.rmtree(request.root / "dist")
    api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "a"


def test_check_store_names_what_is_damaged(plugin: Make, request_for: RequestFor) -> None:
    toy = plugin(**chain())
    api.build(request_for(toy))
    _damage(request_for(toy))
    report = api.build(request_for(toy, check_store=True))
    assert any(text.startswith("store: ") for text in report.warnings)
    assert "ran" in states(report).values()
