"""Developer sessions: ``nox -s test lint``; ``nox --list`` shows the others."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["test", "lint"]
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml()
PLUGINS = ("single-binary", "kine-integration", "remove-cloud-providers")
PACKAGES = (".", *(f"plugins/{name}" for name in PLUGINS))


def _install(session: nox.Session, *groups: str) -> None:
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    session.install(*editable, *nox.project.dependency_groups(PYPROJECT, *groups))


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests on this interpreter, with coverage of the library."""
    _install(session, "test")
    session.run("pytest", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the code to ruff and mypy --strict."""
    _install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session(default=False)
def gotest(session: nox.Session) -> None:
    """Run the distribution's Go tests against the prepared tree."""
    _install(session)
    session.run("invoke", "test", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Make the documentation; a warning is an error."""
    _install(session, "docs")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "--jobs=auto", "docs", "docs/_build", *session.posargs)


@nox.session(default=False)
def dist(session: nox.Session) -> None:
    """Build sdist and wheel of every package and install the wheels without a checkout."""
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            session.run("python", "-m", "build", "--quiet", "--outdir", f"{folder}/dist", package)
        session.run("python", "-m", "venv", f"{folder}/venv")
        wheels = sorted(str(path) for path in Path(folder, "dist").glob("*.whl"))
        session.run(f"{folder}/venv/bin/python", "-m", "pip", "install", "--quiet", *wheels, external=True)
        with session.chdir(folder):
            session.run(f"{folder}/venv/bin/k8sbuild", "plugins", external=True)
            # A plan reads every patch, overlay and template out of the installed packages.
            session.run(f"{folder}/venv/bin/k8sbuild", "plan", external=True)


@nox.session(default=False)
def e2e(session: nox.Session) -> None:
    """Build real Kubernetes and look at what came out; ``-- smoke`` runs the shortest ones."""
    _install(session, "test")
    chosen = ["-k", session.posargs[0]] if session.posargs else []
    session.run("pytest", "-m", "e2e", "tests/e2e", *chosen)


if __name__ == "__main__":
    nox.main()
