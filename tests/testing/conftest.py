"""One fake upstream, one installation of the two plugins and one cache for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from k8sbuild.testing import project, upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.testing.project import Project
    from k8sbuild.testing.upstream import Upstream

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return upstream.make(tmp_path_factory.mktemp("upstream"), go="1.24")


@pytest.fixture(scope="session")
def goroot() -> str:
    done = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, env={**os.environ, "GOENV": "off"})
    assert done.returncode == 0, f"these tests compile Go: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both plugins with pip, from built wheels, into a folder of their own."""
    target = tmp_path_factory.mktemp("site")
    flags = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *flags,
        "--target",
        str(target),
        f"{PLUGINS}/tiny",
        f"{PLUGINS}/stranger",
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def new_project(fake: Upstream, goroot: str, site: Path, tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes a project of the tiny distribution; projects share the upstream's cache."""

    def make(name: str = "project", config: str = "", *, stranger: bool = False) -> Project:
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**fake.env, "PYTHONPATH": path, "K8SBUILD_TOOLCHAIN": goroot}
        env |= {} if stranger else {"K8SBUILD_NO_PLUGIN": "stranger"}
        env |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        config = f'target = "tiny"\n{config}'
        return project.make(tmp_path / name, config=config, env=env)

    return make
