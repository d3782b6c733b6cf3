from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang.client import GoClient
from k8sbuild.providers.base import Context
from k8sbuild.testing import programs

from . import upstream as fake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> fake.Upstream:
    return fake.make(tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="session")
def go() -> Path:
    return programs.go()


@pytest.fixture
def client(tmp_path: Path, go: Path, upstream: fake.Upstream) -> GoClient:
    return GoClient(go=go, modcache=tmp_path / "cache" / "mod", env=upstream.env, log=tmp_path / "log")


@pytest.fixture
def context(tmp_path: Path, upstream: fake.Upstream, request: pytest.FixtureRequest) -> Callable[..., Context]:
    def make(locked: Mapping[str, str] | None = None, offline: bool = False, scratch: str = "scratch") -> Context:
        return Context(
            scratch=tmp_path / scratch,
            offline=offline,
            env=upstream.env,
            locked=locked or {},
            go=lambda: request.getfixturevalue("client"),
            log=tmp_path / "log",
        )

    return make
