"""Plugins that live in the test's process and requests that use only them; a fake upstream and projects for real runs.

The fake upstream and the cache are one for all tests of a process; the installation of the two plugins is one for all
workers, and what Go compiled of its standard library outlives the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import warm
from disks import disk
from hypothesis import HealthCheck, settings

from k8sbuild import hookimpl
from k8sbuild.build import host_platform
from k8sbuild.engine.go import environment
from k8sbuild.kinds import PluginInfo
from k8sbuild.project import Request
from k8sbuild.store.locks import lock
from k8sbuild.testing import project, upstream

__all__ = ["disk"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toys import Named

    from k8sbuild.testing.project import Project
    from k8sbuild.testing.upstream import Upstream

#: Functions that steps of the tests run, importable by name.
SITE = Path(__file__).parent / "engine" / "site"
#: What the fake upstream and its tests take from Go's library.
LIBRARY = ("bufio", "fmt", "io", "net", "os/exec", "strings", "testing")
#: Plugins that are installed for the tests of whole builds.
INSTALLED = Path(__file__).parent / "plugins"

# How much property tests try; disks and loaded machines have bad moments, so none has a deadline.
settings.register_profile("small", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("large", settings.get_profile("small"), max_examples=1000)
settings.load_profile("small")  # --hypothesis-profile=large comes later and wins


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Named]:
    """Return a function that makes a plugin: hooks by short name, each a function or what it yields."""

    def make(name: str = "toy", **hooks: Any) -> Named:
        module = ModuleType(name)
        module.__file__ = str(tmp_path / name / "plugin.py")
        (tmp_path / name).mkdir(exist_ok=True)
        hooks.setdefault("plugin", PluginInfo(name=name))
        for hook, given in hooks.items():
            function = given if callable(given) else lambda given=given: given
            setattr(module, f"k8sbuild_{hook}", hookimpl(function))
        return name, module

    return make


@pytest.fixture
def request_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Request]:
    """Return a function that makes a request: the given plugins alone, a project and a cache of its own."""
    monkeypatch.syspath_prepend(str(SITE))

    def make(*plugins: Named, root: Path | None = None, env: dict[str, str] | None = None, **flags: Any) -> Request:
        folder = root or tmp_path / "project"
        folder.mkdir(exist_ok=True)
        given = {"plugin": [name for name, _ in plugins], "target": "toy", "k8s": "v1.31.4", "jobs": 2}
        return Request(
            flags={**given, **{name.replace("_", "-"): value for name, value in flags.items()}},
            env={"K8SBUILD_CACHE_DIR": str(tmp_path / "cache"), **(env or {})},
            root=folder,
            extra=plugins,
        )

    return make


def pytest_configure() -> None:
    """Take SIGINT back: a shell starts its background jobs with it ignored, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def gostd(pytestconfig: pytest.Config, goroot: str) -> Path:
    """Compile what the fake upstream takes from Go's library, as a build does; once for all workers and runs."""
    folder = pytestconfig.cache.mkdir("gostd")
    here = host_platform()
    given = environment(
        root=Path(goroot), modcache=folder, gocache=folder, modules=folder, os=here.os, arch=here.arch, cgo=False
    )
    with lock(folder.with_suffix(".lock"), "compile"):
        argv = ["go", "build", "-trimpath", "-buildvcs=false", *LIBRARY]
        done = subprocess.run(argv, env={**given, "HOME": str(folder)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def gocache(pytestconfig: pytest.Config, gostd: Path) -> Path:
    """Return Go's compile cache, which outlives the run: it is correct by content and part of no key of ours."""
    folder = Path(pytestconfig.cache.mkdir("gocache"))
    with lock(folder.with_suffix(".lock"), "compile"):
        if not any(folder.iterdir()):
            # Go writes the same into a file of the same name, so that links do.
            shutil.copytree(gostd, folder, copy_function=os.link, dirs_exist_ok=True)
    return folder


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
    with lock(target.with_suffix(".lock"), "install"):
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
        f"{INSTALLED}/tiny",
        f"{INSTALLED}/stranger",
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session", autouse=True)
def measuring() -> Mapping[str, str]:
    """Take coverage's variables out of the environment: it doubles what a short process takes, so few are measured."""
    return {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith("COVERAGE_")}


@pytest.fixture(scope="session")
def server(measuring: Mapping[str, str]) -> Iterator[warm.Server]:
    """Start the process that runs are forked from."""
    made = warm.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def project_at(
    fake: Upstream, goroot: str, site: Path, measuring: Mapping[str, str], server: warm.Server
) -> Callable[..., Project]:
    """Return a function that makes a project of the tiny distribution; projects share the upstream's cache."""

    def make(root: Path, config: str = "", *, stranger: bool = False, measured: bool = False) -> Project:
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**fake.env, "PYTHONPATH": path, "K8SBUILD_TOOLCHAIN": goroot}
        env |= {} if stranger else {"K8SBUILD_NO_PLUGIN": "stranger"}
        env |= measuring if measured else {}
        made = project.make(root, config=f'target = "tiny"\n{config}', env=env)
        return warm.Warm(root=made.root, env=made.env, server=server)

    return make


@pytest.fixture
def new_project(
    project_at: Callable[..., Project], tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[..., Project]:
    """Return a function that makes such a project in the test's own folder."""
    measured = request.node.get_closest_marker("measured") is not None

    def make(name: str = "project", config: str = "", *, stranger: bool = False) -> Project:
        return project_at(tmp_path / name, config, stranger=stranger, measured=measured)

    return make


def _built(project: Project) -> Project:
    outcome = project.run("build")
    assert outcome.code == 0, outcome
    return project


@pytest.fixture(scope="session")
def plain(project_at: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that is built, to compare others with; no test changes it."""
    return _built(project_at(tmp_path_factory.mktemp("plain") / "project", measured=True))


@pytest.fixture(scope="session")
def whole(project_at: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the same with the stranger's plugin."""
    return _built(project_at(tmp_path_factory.mktemp("whole") / "project", stranger=True, measured=True))
