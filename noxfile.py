"""Developer sessions: ``nox -s test lint``; ``nox --list`` shows the others."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["test", "lint"]
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml()
PACKAGES = (".", *(str(path.parent) for path in sorted(Path("plugins").glob("*/pyproject.toml"))))


def _install(session: nox.Session, *groups: str) -> None:
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    session.install(*editable, *nox.project.dependency_groups(PYPROJECT, *groups))


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests on this interpreter, with coverage of the library."""
    _install(session, "test")
    workers = ["--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal"]
    session.run("pytest", *workers, "--cov", "--cov-report=term", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the code to ruff and mypy --strict."""
    _install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session(default=False)
def gotest(session: nox.Session) -> None:
    """Run the distribution's Go tests and linters against the prepared tree."""
    _install(session)
    session.run("invoke", "test", *session.posargs)
    session.run("invoke", "lint", "--set", "single-binary.staticcheck=true")


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
    chosen = ["-k", session.posargs[0]] if session.posargs else []
    session.run("pytest", "-m", "e2e", "tests/e2e", *chosen)
    if not chosen:
        session.run("pytest", "-m", "hypothesis", "--hypothesis-profile=large", "tests")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the numbers of docs/benchmarks.md; ``-- NAMES`` measures some of its lines."""
    _install(session)
    session.run("python", "-m", "bench", *session.posargs)


if __name__ == "__main__":
    nox.main()
