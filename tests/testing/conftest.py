"""One fake upstream, one installation of the two plugins and one cache for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from k8sbuild.testing import project, upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.testing.project import Project
    from k8sbuild.testing.upstream import Upstream

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture(scope="session")
def gocache(pytestconfig: pytest.Config) -> Path:
    """Return Go's compile cache, which outlives the run: it is correct by content and part of no key of ours."""
    return pytestconfig.cache.mkdir("gocache")


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory, gocache: Path) -> Upstream:
    made = upstream.make(tmp_path_factory.mktemp("upstream"), go="1.24")
    made.cache.mkdir()
    (made.cache / "gocache").symlink_to(gocache)
    return made


@pytest.fixture(scope="session")
def goroot() -> str:
    done = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, env={**os.environ, "GOENV": "off"})
    assert done.returncode == 0, f"these tests compile Go: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both plugins with pip, from built wheels, into a folder of their own; once for all workers."""
    base = tmp_path_factory.getbasetemp()
    target = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            _install(target)
    return target


def _install(target: Path) -> None:
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


@pytest.fixture(scope="session")
def project_at(fake: Upstream, goroot: str, site: Path) -> Callable[..., Project]:
    """Return a function that makes a project of the tiny distribution; projects share the upstream's cache."""

    def make(root: Path, config: str = "", *, stranger: bool = False) -> Project:
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**fake.env, "PYTHONPATH": path, "K8SBUILD_TOOLCHAIN": goroot}
        env |= {} if stranger else {"K8SBUILD_NO_PLUGIN": "stranger"}
        env |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return project.make(root, config=f'target = "tiny"\n{config}', env=env)

    return make


@pytest.fixture
def new_project(project_at: Callable[..., Project], tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes such a project in the test's own folder."""

    def make(name: str = "project", config: str = "", *, stranger: bool = False) -> Project:
        return project_at(tmp_path / name, config, stranger=stranger)

    return make


def _built(project: Project) -> Project:
    outcome = project.run("build")
    assert outcome.code == 0, outcome
    return project


@pytest.fixture(scope="session")
def plain(project_at: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that is built, to compare others with; no test changes it."""
    return _built(project_at(tmp_path_factory.mktemp("plain") / "project"))


@pytest.fixture(scope="session")
def whole(project_at: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the same with the stranger's plugin."""
    return _built(project_at(tmp_path_factory.mktemp("whole") / "project", stranger=True))
