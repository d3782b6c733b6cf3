"""Upstream's own tree and programs, made the way somebody without ``k8sbuild`` would."""

from __future__ import annotations

import os
import shutil
import zipfile
from typing import TYPE_CHECKING

from k8sbuild.golang.client import escape
from k8sbuild.golang.environment import with_network
from k8sbuild.golang.modfile import staging_modules
from k8sbuild.golang.semver import staging_version
from k8sbuild.providers.layout import STAGING, canonical

from .lone import binary
from .timing import run
from .workspace import go_of

if TYPE_CHECKING:
    from pathlib import Path

    from .workspace import Workspace

__all__ = ["K8S", "build_programs", "unpack"]

K8S = "v1.31.4"
#: The release that Kubernetes 1.31 is tested with.
ETCD = "v3.5.16"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")


def unpack(workspace: Workspace, name: str) -> Path:
    """Return Kubernetes' tree as its modules publish it: staging modules in their place, nothing made canonical."""
    folder = workspace.fresh(name)
    _extract(workspace, "k8s.io/kubernetes", K8S, folder)
    for path in staging_modules((folder / "go.mod").read_text(encoding="utf-8")):
        _extract(workspace, path, staging_version(K8S), folder / STAGING / path)
    return folder


def _extract(workspace: Workspace, path: str, version: str, folder: Path) -> None:
    cached = workspace.cache / "download" / "cache" / "download" / escape(path) / "@v" / f"{version}.zip"
    prefix = f"{path}@{version}/"
    with zipfile.ZipFile(cached) as file:
        for member in file.infolist():
            target = folder / member.filename.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)


def build_programs(workspace: Workspace) -> Path:
    """Build upstream's servers from the tree that no patch has touched, and etcd; return their folder.

    Static and stripped with the same toolchain, as ours. What an earlier run built is kept.
    """
    bin_folder = workspace.root / f"upstream-{K8S}-etcd-{ETCD}"
    bin_folder.mkdir(exist_ok=True)
    missing = [name for name in PROGRAMS if not (bin_folder / name).exists()]
    if missing:
        tree = unpack(workspace, "upstream")
        canonical(tree, K8S)
        for name in missing:
            _go(workspace, tree, "build", *_FLAGS, "-o", str(bin_folder / name), f"./cmd/{name}")
        shutil.rmtree(tree)
    if not (bin_folder / "etcd").exists():
        _build_etcd(workspace, bin_folder / "etcd")
    return bin_folder


def _build_etcd(workspace: Workspace, output: Path) -> None:
    module = workspace.fresh("etcd-module")
    (module / "go.mod").write_text("module benchmark.invalid/etcd\n\ngo 1.23\n", encoding="utf-8")
    package = "go.etcd.io/etcd/server/v3"
    _go(workspace, module, "get", f"{package}@{ETCD}")
    _go(workspace, module, "build", *_FLAGS, "-o", str(output), package)


def _go(workspace: Workspace, folder: Path, *args: str) -> None:
    """Run the build's own Go with the user's module proxy."""
    go = go_of(workspace, binary(workspace).parents[2])
    env = with_network(workspace.cache / "download", os.environ)
    mine = {"GOCACHE": str(workspace.cache / "gocache"), "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw -mod=mod"}
    workspace.say(f"go {args[0]} {args[-1]}")
    run([go, *args], cwd=folder, env={**env, **mine}, log=workspace.log(f"go-{args[0]}"))
