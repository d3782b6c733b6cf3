"""What is published works where there is no checkout: ``nox -s dist``."""

from __future__ import annotations

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import PACKAGES, TINY, run

if TYPE_CHECKING:
    from .conftest import Package

pytestmark = pytest.mark.dist

#: Runs in the environment that has only wheels: writes the fake upstream and says where it is and is to be found.
FAKE = """
import json, sys
from pathlib import Path
import k8sbuild
from k8sbuild.testing import project, upstream
fake = upstream.make(Path("upstream"), go="1.24")
made = project.make(Path("project"), config='target = "tiny"\\n', env={**fake.env, "K8SBUILD_TOOLCHAIN": sys.argv[1]})
outcome = made.run("build", "--format=json")
print(json.dumps({"library": k8sbuild.__file__, "code": outcome.code, "stderr": outcome.stderr,
                  "answer": outcome.json(), "artifacts": made.artifacts()}))
"""


@pytest.fixture(params=PACKAGES, ids=lambda folder: folder.name if folder.parent.name == "plugins" else "k8sbuild")
def package(request: pytest.FixtureRequest, made: list[Package]) -> Package:
    return next(package for package in made if package.folder == request.param)


def tracked(package: Package) -> dict[str, bytes]:
    """Return the files of the package's import folders that git knows, by path; links are followed."""
    return {path: data for module in package.modules for path, data in _tracked(package.folder, module).items()}


def _tracked(root: Path, module: str) -> dict[str, bytes]:
    folder = root / module
    names = [".", *(path.name for path in folder.iterdir() if path.is_symlink())]
    files = {}
    for name in names:
        place = (folder / name).resolve()
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=place, capture_output=True, text=True, check=True).stdout
        found = [path for path in listed.split("\0") if path and not (place / path).is_symlink()]
        files |= {(Path(module) / name / path).as_posix(): (place / path).read_bytes() for path in found}
    return files


def members(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_wheel_holds_every_file_and_nothing_foreign(package: Package) -> None:
    content, files = members(package.wheel), tracked(package)
    assert {f"{module}/py.typed" for module in package.modules} <= set(files) or package.folder == TINY
    assert {name: data for name, data in content.items() if name in files} == files
    foreign = [name for name in content if name not in files and ".dist-info/" not in name]
    assert foreign == []


def test_an_sdist_holds_the_wheels_files_and_how_to_make_it(package: Package) -> None:
    with tarfile.open(package.sdist) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers()}
    around = names - set(tracked(package))
    assert set(tracked(package)) <= names
    assert around <= {"PKG-INFO", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"}


def test_the_licence_comes_along(package: Package) -> None:
    if package.folder == TINY:
        pytest.skip("SKIPPED: tests/plugins/tiny is published nowhere and names no licence")
    content = {name.rpartition(".dist-info/")[2]: data for name, data in members(package.wheel).items()}
    assert b"Apache License" in content["licenses/LICENSE"]
    assert b"License-Expression: Apache-2.0\n" in content["METADATA"]


def test_each_kind_of_data_is_in_some_wheel(made: list[Package]) -> None:
    names = [name for package in made for name in members(package.wheel)]
    parts = ("patches/kubernetes/series", ".patch", "ledger.toml", "overlay/cmd/", ".service.in", "pins.toml")
    assert [part for part in parts if not any(part in name for name in names)] == []


def test_plugins_are_found_and_every_file_is_read_by_a_plan(installed: Path, tmp_path: Path) -> None:
    answer = json.loads(run(installed / "k8sbuild", "plugins", "--format=json", cwd=tmp_path))
    names = {folder.name for folder in PACKAGES if folder.parent.name == "plugins"}
    assert names <= {row["name"] for row in answer["plugins"]}
    assert answer["broken"] == []
    # A plan reads every patch, overlay and template out of the installed packages.
    steps = json.loads(run(installed / "k8sbuild", "plan", "--target=k8s", "--format=json", cwd=tmp_path))["steps"]
    assert {step["step"].partition(":")[0] for step in steps} >= {"fetch", "patch", "codegen", "compile", "package"}


def test_the_fake_upstream_is_built_in_an_empty_folder(installed: Path, goroot: str, tmp_path: Path) -> None:
    said = json.loads(run(installed / "python", "-c", FAKE, goroot, cwd=tmp_path).splitlines()[-1])
    assert said["code"] == 0, said["stderr"]
    assert Path(said["library"]).is_relative_to(installed.parent)
    assert sorted(said["artifacts"]) == ["SHA256SUMS", "tiny", "tiny-v1.99.3-linux-amd64.tar.zst"]
    states = {step["step"]: step["state"] for step in said["answer"]["steps"]}
    assert {name.partition(":")[0] for name in states} == {"fetch", "codegen", "compile", "package", "validate"}
    assert set(states.values()) == {"ran"}
