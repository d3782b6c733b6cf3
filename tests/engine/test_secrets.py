"""Secrets reach a command and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toys import ALL, failure, last_log, states, step, target

from k8sbuild import api

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor


SECRET = "hunter22-and-more"


def _everything(request: api.Request) -> str:
    folders = (request.root / ".k8sbuild/runs", request.root / ".k8sbuild/logs", request.root / "dist")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".jsonl", ".log", ".json"}
    return "".join(path.read_text() for path in files)


def test_a_secret_reaches_a_command_and_nothing_else(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    toy = plugin(**target(step("all", "whisper", outputs=("all",), secrets=("TOKEN",))))
    request = request_for(toy, env={"K8SBUILD_SECRET_TOKEN": SECRET})
    report = api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "17"
    assert report.warnings == ("***",)
    assert report.to_dict()["steps"][0]["facts"]["said"] == ["***\nof ***\n", "***"]
    text = _everything(request)
    assert SECRET not in text
    assert "echo of $1' sh ***" in text
    (tmp_path / "token").write_text("another\n")
    other = request_for(toy, env={"K8SBUILD_SECRET_TOKEN_FILE": str(tmp_path / "token")})
    assert states(api.build(other)) == {"all": "reused"}, "the value is in no key"


def test_a_secret_stays_out_of_errors(plugin: Make, request_for: RequestFor) -> None:
    toy = plugin(**target(step("all", "whisper", outputs=("all",), secrets=("TOKEN",), params={"fail": True})))
    request = request_for(toy, env={"K8SBUILD_SECRET_TOKEN": SECRET})
    error = failure(request)
    assert "***" in error.message
    assert SECRET not in str(error.to_dict()) + str(last_log(request))


def test_a_secret_that_is_missing_or_cannot_be_read(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    toy = plugin(**target(step("all", "whisper", secrets=("TOKEN",))))
    missing = failure(request_for(toy))
    assert (missing.reason, missing.step) == ("secret-missing", ALL)
    assert "K8SBUILD_SECRET_TOKEN" in missing.hint
    unreadable = failure(request_for(toy, env={"K8SBUILD_SECRET_TOKEN_FILE": str(tmp_path)}))
    assert unreadable.reason == "secret-unreadable"
