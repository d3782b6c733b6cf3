"""Developer sessions: ``nox -s test lint``; ``nox --list`` shows the others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["test", "lint"]
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml()
PACKAGES = (".", *(str(path.parent) for path in sorted(Path("plugins").glob("*/pyproject.toml"))))
WORKERS = ("--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

if shutil.which("pyenv"):
    # Without this, only one of the Pythons that pyenv has is to be seen.
    known = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True).stdout.split()
    current = subprocess.run(["pyenv", "version-name"], capture_output=True, text=True).stdout.strip()
    os.environ.setdefault("PYENV_VERSION", ":".join([current, *(name for name in known if name != current)]))


def _install(session: nox.Session, *groups: str, flags: Sequence[str] = ()) -> None:
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    session.install(*flags, *editable, *nox.project.dependency_groups(PYPROJECT, *groups))


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests on this interpreter, with coverage of the library."""
    _install(session, "test")
    # Chosen tests cover what they cover.
    enough = [] if session.posargs else ["--cov-fail-under=90"]
    session.run("pytest", *WORKERS, "--cov", "--cov-report=term", *enough, *session.posargs)


@nox.session(name="tests-matrix", python=PYTHONS, default=False)
@nox.parametrize("bounds", ["oldest", "newest"])
def tests_matrix(session: nox.Session, bounds: str) -> None:
    """Run the tests on each Python that is there, with the oldest and the newest of what the packages ask for."""
    # Not create_tmp(): tests would have their folders inside the checkout, whose configuration they would find.
    oldest = Path(session.virtualenv.location, "oldest.txt")
    oldest.write_text("".join(f"{line}\n" for line in _lower_bounds()), encoding="utf-8")
    _install(session, "test", flags=["-c", str(oldest)] if bounds == "oldest" else ["--upgrade"])
    session.run("pytest", *WORKERS, *session.posargs)


def _lower_bounds() -> list[str]:
    """Return what the packages ask for at least, as constraints."""
    tables = [nox.project.load_toml(Path(package, "pyproject.toml"))["project"] for package in PACKAGES]
    wanted = {line for table in tables for line in table["dependencies"] if ">=" in line}
    return sorted(re.sub(r">=([^,]+).*", r"==\1", line) for line in wanted)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the code to ruff and mypy --strict."""
    _install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(default=False)
def gotest(session: nox.Session) -> None:
    """Run the distribution's Go tests and linters against the prepared tree; ``-- FLAGS``: flags of invoke test."""
    _install(session)
    session.run("invoke", "test", *(session.posargs or ["--node", "--validate-ha", "--short"]))
    session.run("invoke", "lint", "--node", "--set", "single-binary.staticcheck=true")


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Do to the storage what crashes and disks do, count losses, run upstream's tests; ``-- FLAGS``: of invoke test."""
    _install(session)
    # One after the other: each may take as long as the tests of a package may.
    for run in ("Chaos", "StorageSuites"):
        session.run("invoke", "test", "--package=./pkg/kine", f"--run={run}", "--no-inputs", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Make the documentation; a warning is an error."""
    _install(session, "docs")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "--jobs=auto", "docs", "docs/_build", *session.posargs)


@nox.session(default=False)
def dist(session: nox.Session) -> None:
    """Make sdist and wheel of every package, install the wheels without a checkout, and build with them."""
    _install(session, "dist")
    session.run("pytest", "-m", "dist", "tests/dist", *session.posargs)


@nox.session(default=False)
def e2e(session: nox.Session) -> None:
    """Build real Kubernetes and look at what came out, try many more examples; ``-- smoke``: the shortest ones."""
    _install(session, "test")
    chosen = ["-k", session.posargs[0].replace("-", "_")] if session.posargs else []
    session.run("pytest", "-m", "e2e", "tests/e2e", *chosen)
    if not chosen:
        session.run("pytest", "-m", "hypothesis", "--hypothesis-profile=large", "tests")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the numbers of docs/benchmarks.md; ``-- NAMES`` measures some of its lines."""
    _install(session)
    session.run("python", "-m", "bench", *session.posargs)


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """Run upstream's conformance tests against a node and write docs/conformance.md; ``-- FOCUS`` runs some of them."""
    _install(session)
    session.run("python", "-m", "conformance", *session.posargs)


if __name__ == "__main__":
    nox.main()
