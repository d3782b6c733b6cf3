"""Kubernetes' own generators: what they are run for, and which of them a change concerns.

The facts are those of upstream's ``hack/update-codegen.sh``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "OPENAPI",
    "TOOLS",
    "Package",
    "Tool",
    "concerned",
    "declarations",
    "import_path",
    "is_source",
    "scan",
    "type_declarations",
]

STAGING = "staging/src/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A generator.

    Args:
        tag: packages ask for it by ``+k8s:<tag>=``.
        program: its import path.
        file: what it writes into each package.
        flags: as upstream runs it.
        whole: it must see all packages that ask for it at once: it finds functions of others among them.
    """

    tag: str
    program: str
    file: str
    flags: tuple[str, ...] = ()
    whole: bool = False


_CODE = "k8s.io/code-generator/cmd"
_PEERS = ("k8s.io/kubernetes/pkg/apis/core", "k8s.io/kubernetes/pkg/apis/core/v1", "k8s.io/api/core/v1")

#: In upstream's order: conversion calls what defaulter makes.
TOOLS = (
    Tool(
        tag="deepcopy-gen",
        program=f"{_CODE}/deepcopy-gen",
        file="zz_generated.deepcopy.go",
        flags=("--bounding-dirs=k8s.io/kubernetes,k8s.io/api",),
    ),
    Tool(
        tag="prerelease-lifecycle-gen",
        program=f"{_CODE}/prerelease-lifecycle-gen",
        file="zz_generated.prerelease-lifecycle.go",
    ),
    Tool(tag="defaulter-gen", program=f"{_CODE}/defaulter-gen", file="zz_generated.defaults.go", whole=True),
    Tool(
        tag="conversion-gen",
        program=f"{_CODE}/conversion-gen",
        file="zz_generated.conversion.go",
        flags=tuple(f"--extra-peer-dirs={path}" for path in _PEERS),
        whole=True,
    ),
)
#: It writes one file for many packages.
OPENAPI = Tool(tag="openapi-gen", program="k8s.io/kube-openapi/cmd/openapi-gen", file="zz_generated.openapi.go")

_TAG = re.compile(r"^// *\+(?:k8s:([a-z-]+-gen)[=:]|(genclient)$)", re.MULTILINE)
_IMPORT = re.compile(r'^(?:import\s|\t)\s*(?:[\w.]+\s+)?"([^"\s]+)"$', re.MULTILINE)
_MADE = re.compile(r"(?:^|/)(?:zz_generated\.[^/]*|generated\.pb|types_swagger_doc_generated)\.go$")
#: How lines of a declaration begin after its first one, as gofmt writes them.
_BELOW = ("", "\t", " ", "}", ")")
_PACKAGE = re.compile(r"package \w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Go package of the tree: its folder, import path, the generators that it asks for, what it imports."""

    folder: str
    path: str
    tags: frozenset[str]
    imports: frozenset[str]


def is_source(path: str) -> bool:
    """Say whether a file is Go that people write and that generators read.

    >>> is_source("pkg/a/types.go"), is_source("pkg/a/zz_generated.deepcopy.go"), is_source("pkg/a/a_test.go")
    (True, False, False)
    """
    return path.endswith(".go") and not path.endswith("_test.go") and not _MADE.search(path)


def declarations(text: str) -> str:
    r"""Return a Go file without its variables and the bodies of its functions: generators do not read them.

    >>> declarations("type A int\n\nfunc f() {\n\tg()\n}\n\nvar B = []int{\n\t1,\n}\n\nconst C = 1\n")
    'type A int\n\nfunc f() {\n\nconst C = 1'
    """
    kept = []
    inside = signature = variable = False
    for line in text.splitlines():
        if inside:
            inside = line != "}"
            continue
        if line.startswith("var ") or (variable and line[:1] in _BELOW):
            variable = True
            continue
        variable = False
        kept.append(line)
        signature = line.startswith("func ") or (signature and not line.startswith(")"))
        if (signature or line.startswith(")")) and line.endswith("{"):
            inside, signature = True, False
        elif line.endswith("}"):
            signature = False
    text = "\n".join(kept).strip("\n")
    return "" if _PACKAGE.fullmatch(text) else text


def type_declarations(text: str) -> str:
    r"""Return the type declarations of a Go file, without comments.

    >>> type_declarations("// A is one.\ntype A struct {\n\t// B is two.\n\tB int\n}\n\nvar C = 1\n")
    'type A struct {\n\tB int\n}'
    """
    kept = []
    inside = ""
    for line in declarations(text).splitlines():
        if line.startswith("type "):
            inside = {"{": "}", "(": ")"}.get(line[-1], "")
            kept.append(line)
        elif inside:
            inside = "" if line == inside else inside
            kept += [] if not line.strip() or line.lstrip().startswith("//") else [line]
    return "\n".join(kept)


def scan(files: Iterable[tuple[str, str]]) -> dict[str, Package]:
    """Return the packages that ask for a generator, by import path.

    Args:
        files: path and text of the tree's Go files.
    """
    tags: dict[str, set[str]] = {}
    imports: dict[str, set[str]] = {}
    for path, text in files:
        folder = path.rpartition("/")[0]
        if is_source(path):
            tags.setdefault(folder, set()).update(one or other for one, other in _TAG.findall(text))
        imports.setdefault(folder, set()).update(_IMPORT.findall(text))
    return {
        (name := import_path(folder)): Package(
            folder=folder, path=name, tags=frozenset(found), imports=frozenset(imports[folder])
        )
        for folder, found in sorted(tags.items())
        if found
    }


def import_path(folder: str) -> str:
    """Return the import path of a folder of the canonical tree.

    >>> import_path("pkg/apis/core"), import_path("staging/src/k8s.io/api/core/v1")
    ('k8s.io/kubernetes/pkg/apis/core', 'k8s.io/api/core/v1')
    """
    return folder.removeprefix(STAGING) if folder.startswith(STAGING) else f"k8s.io/kubernetes/{folder}"


def concerned(packages: Mapping[str, Package], changed: Collection[str]) -> set[str]:
    """Return the import paths of the packages that changed, and of all that import one directly or over others.

    Args:
        packages: those that ask for a generator; other packages pass nothing on.
        changed: import paths.
    """
    users: dict[str, set[str]] = {}
    for package in packages.values():
        for name in package.imports & packages.keys():
            users.setdefault(name, set()).add(package.path)
    found: set[str] = set()
    queue = [name for name in changed if name in packages]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += users.get(name, ())
    return found
