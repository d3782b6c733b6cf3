"""A small fake of Kubernetes: one content, given as module zips, tar.gz, git repository and folder."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = "v1.31.4"
STAGING = ("k8s.io/api", "k8s.io/apimachinery")
TIME = "2024-12-10T11:37:26Z"

_ROOT_MOD = """// made by a script
module k8s.io/kubernetes

go 1.21

require (
\texample.org/lib v1.0.0 // indirect
\tk8s.io/api v0.0.0
\tk8s.io/apimachinery v0.0.0
\tk8s.io/sample-apiserver v0.0.0
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/apimachinery => ./staging/src/k8s.io/apimachinery
\tk8s.io/sample-apiserver => ./staging/src/k8s.io/sample-apiserver
)
"""

BASE: Mapping[str, str] = {
    "go.mod": _ROOT_MOD,
    "go.sum": "example.org/lib v1.0.0 h1:x=\n",
    "README.md": "kube\n",
    "cmd/server/main.go": "package main\n\nfunc main() {}\n",
    "hack/lib/.gitattributes": "version.sh export-subst\n",
    "hack/lib/version.sh": "echo '$Format:%D$'\n",
    "naïve/ü.txt": "ä\n",
    "staging/README.md": "staging\n",
}
#: Content of the staging folders as git has them, and as they are published.
TREES: Mapping[str, Mapping[str, str]] = {
    "k8s.io/api": {"api.go": "package api\n", "LICENSE": "free\n"},
    "k8s.io/apimachinery": {
        "version/base.go": 'package version\n\nconst commit = "$Format:%H$"\n',
        "a/b.go": "package a\n",
    },
}
#: What git has and no module zip does.
ONLY_GIT: Mapping[str, str] = {
    "go.work": "go 1.21\n",
    "go.work.sum": "",
    "vendor/example.org/lib/lib.go": "package lib\n",
    "vendor/modules.txt": "# example.org/lib\n",
    "cmd/tool/vendor/x/x.go": "package x\n",
    "hack/tools/go.mod": "module k8s.io/kubernetes/hack/tools\n",
    "hack/tools/tools.go": "package tools\n",
    "staging/src/k8s.io/api/go.sum": "git's own\n",
    "staging/src/k8s.io/sample-apiserver/go.mod": "module k8s.io/sample-apiserver\n\ngo 1.21\n",
    "staging/src/k8s.io/sample-apiserver/main.go": "package main\n",
    "staging/src/k8s.io/apimachinery/version/.gitattributes": "base.go export-subst\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the fake lies: a file-system module proxy, a git repository, a tar.gz, a plain folder."""

    proxy: Path
    repository: Path
    archive: Path
    folder: Path
    commit: str
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """A user's environment in which the fake is what the world offers."""
        return {"GOPROXY": f"file://{self.proxy}", "GOSUMDB": "off", "HOME": str(self.home), "PATH": os.environ["PATH"]}


def make(root: Path) -> Upstream:
    """Generate the fake upstream below ``root``."""
    proxy, repository = root / "proxy", root / "kubernetes.git-work"
    add_module(proxy, "k8s.io/kubernetes", VERSION, BASE)
    for path, files in TREES.items():
        published = f"module {path}\n\ngo 1.21\n\nrequire example.org/lib v1.1.0\n"
        add_module(proxy, path, "v0.31.4", {**files, "go.mod": published, "go.sum": "published\n"})
    add_module(
        proxy, "example.org/lib", "v1.0.0", {"go.mod": "module example.org/lib\n\ngo 1.21\n", "l.go": "package lib\n"}
    )
    add_module(
        proxy, "example.org/lib", "v1.1.0", {"go.mod": "module example.org/lib\n\ngo 1.20\n", "l.go": "package lib\n"}
    )
    commit = _repository(repository)
    archive = root / "kubernetes.tar.gz"
    git(repository, "archive", "--format=tar.gz", "--prefix=kubernetes-1.31.4/", f"--output={archive}", VERSION)
    folder = root / "folder"
    _git_tree(folder)
    home = root / "home"
    home.mkdir()
    return Upstream(proxy=proxy, repository=repository, archive=archive, folder=folder, commit=commit, home=home)


def add_module(proxy: Path, path: str, version: str, files: Mapping[str, str]) -> None:
    """Publish a module in a file-system proxy."""
    folder = proxy / path / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{version}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{path}@{version}/{name}"), text)
    (folder / f"{version}.mod").write_text(files["go.mod"])
    (folder / f"{version}.info").write_text(json.dumps({"Version": version, "Time": TIME, "Origin": {"VCS": "git"}}))
    with (folder / "list").open("a") as stream:
        stream.write(f"{version}\n")


def _git_tree(folder: Path) -> None:
    files = {**BASE, **ONLY_GIT}
    for path, tree in TREES.items():
        replaced = "".join(f"replace {other} => ../{other.rpartition('/')[2]}\n" for other in STAGING if other != path)
        files |= {f"staging/src/{path}/{name}": text for name, text in tree.items()}
        files[f"staging/src/{path}/go.mod"] = f"module {path}\n\ngo 1.21\n\n{replaced}"
    write(folder, files)
    (folder / "cmd/server/main.go").chmod(0o755)
    (folder / "vendor/k8s.io").mkdir()
    (folder / "vendor/k8s.io/api").symlink_to("../../staging/src/k8s.io/api")


def _repository(folder: Path) -> str:
    _git_tree(folder)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "release")
    git(folder, "tag", VERSION)
    git(folder, "tag", "v1.31.3")
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *args: str) -> str:
    """Run git with nothing of the user's."""
    names = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": TIME, "GIT_COMMITTER_DATE": TIME}
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", **names, **dates}
    return subprocess.run(["git", *args], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def listing(folder: Path) -> dict[str, tuple[int, str]]:
    """Return mode and digest of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_mode & 0o777, sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a tar of given members."""
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
