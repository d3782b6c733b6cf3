"""The fake upstream: one release in four forms that hold the same, byte for byte, every time."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang import modfile
from k8sbuild.golang.dirhash import hash_zip
from k8sbuild.testing import upstream
from k8sbuild.testing.goproxy import publish, zip_members

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.testing.upstream import Upstream


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return upstream.make(tmp_path_factory.mktemp("upstream"), go="1.24")


def _folder_files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _git(fake: Upstream, *args: str) -> str:
    argv = ["git", "--git-dir", str(fake.git), *args]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_git_accepts_the_repository_and_knows_its_tag(fake: Upstream) -> None:
    _git(fake, "fsck", "--strict")
    assert _git(fake, "rev-parse", f"{fake.version}^{{commit}}").strip() == fake.commit


def test_git_and_folder_hold_the_same_files(fake: Upstream) -> None:
    listed = _git(fake, "ls-tree", "-r", "--name-only", fake.version).splitlines()
    files = _folder_files(fake.folder)
    assert sorted([*files, "hack/start.sh"]) == sorted(listed)
    assert _git(fake, "show", f"{fake.version}:go.mod").encode() == files["go.mod"]
    assert "120000" in _git(fake, "ls-tree", fake.version, "hack/start.sh")
    assert "100755" in _git(fake, "ls-tree", fake.version, "hack/run.sh")


def test_archive_has_one_top_folder_and_the_same_files(fake: Upstream) -> None:
    with tarfile.open(fake.archive) as archive:
        content = {m.name: archive.extractfile(m) for m in archive.getmembers() if m.isfile()}
        read = {name.partition("/")[2]: stream.read() for name, stream in content.items() if stream}
    assert {name.partition("/")[0] for name in content} == {"kubernetes-1.99.3"}
    assert read == _folder_files(fake.folder)


def test_module_zip_holds_what_go_would_put_into_it(fake: Upstream) -> None:
    with zipfile.ZipFile(fake.goproxy / "k8s.io/kubernetes/@v/v1.99.3.zip") as archive:
        names = archive.namelist()
    inside = {name.removeprefix("k8s.io/kubernetes@v1.99.3/") for name in names}
    assert all(name.startswith("k8s.io/kubernetes@v1.99.3/") for name in names)
    assert {"go.mod", "go.work", "LICENSE", "vendor/modules.txt", "pkg/cloud/cloud.go"} <= inside
    assert not [name for name in inside if name.startswith(("staging/", "hack/tools/", "vendor/example.org/"))]


def test_go_mod_names_staging_modules_as_upstream_writes_them(fake: Upstream) -> None:
    trunk = (fake.folder / "go.mod").read_bytes()
    assert modfile.staging_modules(trunk) == ("k8s.io/api", "k8s.io/apimachinery", "k8s.io/component-base")
    assert modfile.parse(trunk).requires["k8s.io/api"] == "v0.0.0"
    published = modfile.parse((fake.goproxy / "k8s.io/api/@v/v0.99.3.mod").read_bytes())
    assert published.requires == {"example.org/dep": "v1.0.0", "k8s.io/apimachinery": "v0.99.3"}
    assert not published.replaces


def test_storage_module_raises_the_third_party(fake: Upstream) -> None:
    mod = modfile.parse((fake.goproxy / "example.org/store/@v/v0.1.0.mod").read_bytes())
    assert mod.requires == {"example.org/dep": "v1.1.0"}
    assert (fake.goproxy / "example.org/dep/@v/list").read_text() == "v1.0.0\nv1.1.0\n"


def test_go_sum_is_of_what_the_proxy_gives(fake: Upstream) -> None:
    digest = hash_zip(fake.goproxy / "example.org/dep/@v/v1.0.0.zip")
    assert f"example.org/dep v1.0.0 {digest}\n" in (fake.folder / "go.sum").read_text()


def test_same_arguments_give_the_same_bytes(fake: Upstream, tmp_path: Path) -> None:
    again = upstream.make(tmp_path, go="1.24")
    root = fake.goproxy.parent
    assert _folder_files(tmp_path) == _folder_files(root)
    assert again.commit == fake.commit
    assert upstream.make(tmp_path / "other", go="1.25").commit != fake.commit


def test_environment_reaches_the_fake_only(fake: Upstream) -> None:
    assert fake.env["GOPROXY"] == f"file://{fake.goproxy}"
    assert fake.env["GOSUMDB"] == "off"


def test_a_second_upstream_in_one_folder_is_refused(fake: Upstream) -> None:
    with pytest.raises(FileExistsError):
        upstream.make(fake.goproxy.parent, go="1.24")


def test_capitals_in_a_module_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="capitals"):
        publish(tmp_path, "example.org/Dep", "v1.0.0", {"go.mod": b""}, time=upstream.TIME)


def test_vendored_packages_stay_out_but_their_list_does_not() -> None:
    files = {"go.mod": b"", "vendor/modules.txt": b"", "vendor/a/a.go": b"", "pkg/vendor.go": b""}
    assert sorted(zip_members(files)) == ["go.mod", "pkg/vendor.go", "vendor/modules.txt"]
