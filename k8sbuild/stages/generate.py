"""Runs Kubernetes' own generators where a patch changes what they generate from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.engine.go import environment_of
from k8sbuild.engine.inside import inside, lay_out
from k8sbuild.errors import BuildError, CodegenError

from .codegen import go_files
from .generators import OPENAPI, TOOLS, concerned, declarations, import_path, is_source, scan, type_declarations
from .modules import Modules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from k8sbuild.engine.context import StepContext
    from k8sbuild.store.tree import Tree

    from .generators import Package, Tool

    #: A tool, its flags, the packages that it is run for.
    _Row = tuple[Tool, tuple[str, ...], list[str]]

__all__ = ["regenerate"]

_PROTOBUF = "generated.pb.go"
_SWAGGER = "types_swagger_doc_generated.go"
_HEADER = "hack/boilerplate/boilerplate.generatego.txt"
_NOT_OPENAPI = "staging/src/k8s.io/code-generator/"
#: What openapi-gen reads for every module of its own beside that module's packages.
_ALWAYS = tuple(f"k8s.io/apimachinery/pkg/{name}" for name in ("apis/meta/v1", "runtime", "version"))
#: How a module's script names packages of other modules that it documents as well.
_EXTRA = re.compile(r"--extra-pkgs[ =](\S+)")


def regenerate(ctx: StepContext) -> None:
    """Give the patched tree with what the generators make of it; most patches concern none, and nothing is run."""
    before, after = ctx.tree(ctx.params["fetched"]), ctx.tree(ctx.params["patched"])
    touched = dict(inside(ctx).input_facts.get(ctx.params["patched"], {}).get("touched", {}))
    differing = _differing(before, after)
    _refuse_bindings(ctx, before, after, differing)
    changed = _changed(ctx, before, after, differing)
    changed = {folder: changed[folder] for folder in _asking(ctx, after, changed)}
    if changed:
        _refuse_protobuf(ctx, before, after, changed)
        made = _Generating(ctx, after).run(set(changed))
        after = inside(ctx).store.edit(after, {path: (0o644, data) for path, (_, data) in made.items()})
        touched |= {path: [["k8sbuild", tool]] for path, (tool, _) in made.items()}
        ctx.facts["generated"] = sorted(made)
    ctx.facts["touched"] = touched
    inside(ctx).kept = after


def _differing(before: Tree, after: Tree) -> list[str]:
    """Return the files that are not the same in both, without a look at each of the 20,000 that are."""
    return sorted({path for path, _ in before.states().items() ^ after.states().items()})


def _changed(ctx: StepContext, before: Tree, after: Tree, differing: list[str]) -> dict[str, list[str]]:
    """Return the files whose declarations differ, by folder."""
    found: dict[str, list[str]] = {}
    for path in filter(is_source, differing):
        if declarations(_text(ctx, before, path)) != declarations(_text(ctx, after, path)):
            found.setdefault(path.rpartition("/")[0], []).append(path)
    return found


def _same(before: Tree, after: Tree, path: str) -> bool:
    old, new = before.entries.get(path), after.entries.get(path)
    return old is not None and new is not None and old.digest == new.digest


def _text(ctx: StepContext, tree: Tree, path: str) -> str:
    entry = tree.entries.get(path)
    return inside(ctx).store.read(entry).decode(errors="replace") if entry else ""


def _asking(ctx: StepContext, tree: Tree, folders: Collection[str]) -> list[str]:
    """Return the folders whose packages ask for any generator."""
    own = [path for path in tree.entries if path.rpartition("/")[0] in folders and is_source(path)]
    return [package.folder for package in scan((path, _text(ctx, tree, path)) for path in own).values()]


def _refuse_protobuf(ctx: StepContext, before: Tree, after: Tree, changed: dict[str, list[str]]) -> None:
    """Refuse changed types whose protobuf code is as it was: objects would lose the new fields when they are stored.

    Raises:
        CodegenError: ``protobuf-not-generated``.
    """
    for folder, paths in changed.items():
        made = f"{folder}/{_PROTOBUF}"
        if made not in after.entries or not _same(before, after, made):
            continue
        for path in paths:
            if type_declarations(_text(ctx, before, path)) != type_declarations(_text(ctx, after, path)):
                raise _not_generated(path, "its types", made, "protobuf", " and generated.proto")


def _refuse_bindings(ctx: StepContext, before: Tree, after: Tree, differing: list[str]) -> None:
    """Refuse changed protocols whose Go code is as it was, whoever wrote them.

    Raises:
        CodegenError: ``protobuf-not-generated``.
    """
    for path in differing:
        if path.endswith(".proto") and path in after.entries:
            made = f"{path.removesuffix('.proto')}.pb.go"
            differs = _messages(_text(ctx, before, path)) != _messages(_text(ctx, after, path))
            if differs and made in after.entries and _same(before, after, made):
                what = "protobuf" if path.endswith("/generated.proto") else "protobindings"
                raise _not_generated(path, "its messages", made, what)


def _messages(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("//")]


def _not_generated(path: str, what: str, made: str, target: str, others: str = "") -> CodegenError:
    return CodegenError(
        f"{path}: {what} changed, and {made} did not: it is made by protoc, which no build has",
        reason="protobuf-not-generated",
        hint=f"in an upstream checkout with the patch run `hack/update-codegen.sh {target}` "
        f"and put its changes of {made}{others} into the patch",
        details={"file": path, "generated": made},
    )


class _Generating:
    """One run of generators: a copy of the tree that they write into, and a Go module that sees it."""

    def __init__(self, ctx: StepContext, tree: Tree) -> None:
        self._ctx = ctx
        self._inside = inside(ctx)
        self._tree = tree
        self._root = ctx.out / "tree"
        self._module = ctx.out / "module"
        self._parts = self._inside.go_parts[ctx.params["module"]]
        self._env = environment_of(ctx, self._parts)

    def run(self, changed: set[str]) -> dict[str, tuple[str, bytes]]:
        """Return what differs: tool and content by path."""
        lay_out(self._ctx, self._tree, self._root)
        packages = scan(self._files())
        self._warn(packages, changed)
        reached = concerned(packages, {import_path(folder) for folder in changed})
        rows = [*self._plain(packages, reached), *self._openapi(packages, reached)]
        self._build({tool for tool, _, _ in rows})
        for number, (tool, flags, names) in enumerate(rows):
            self._ctx.progress("generators", number, len(rows))
            self._generate(tool, flags, names)
        return dict(self._made())

    def _files(self) -> Iterator[tuple[str, str]]:
        for path in self._tree.entries:
            if path.endswith(".go") and not path.endswith("_test.go") and "/testdata/" not in path:
                yield path, (self._root / path).read_text(encoding="utf-8", errors="replace")

    def _warn(self, packages: dict[str, Package], changed: set[str]) -> None:
        known = {tool.tag for tool in TOOLS} | {OPENAPI.tag, "protobuf-gen"}
        before = self._ctx.tree(self._ctx.params["fetched"])
        for folder in sorted(changed):
            left = sorted(packages[import_path(folder)].tags - known)
            docs = f"{folder}/{_SWAGGER}"
            left += [_SWAGGER] if docs in self._tree.entries and _same(before, self._tree, docs) else []
            if left:
                self._ctx.warn(f"{folder}: not generated anew, put it into the patch if you need it: {', '.join(left)}")

    def _plain(self, packages: dict[str, Package], reached: set[str]) -> Iterator[_Row]:
        for tool in TOOLS:
            asking = {name for name, package in packages.items() if tool.tag in package.tags}
            if asking & reached:
                names = asking if tool.whole else asking & reached
                yield tool, (f"--output-file={tool.file}", *tool.flags), sorted(names)

    def _openapi(self, packages: dict[str, Package], reached: set[str]) -> Iterator[_Row]:
        for path in sorted(self._tree.entries):
            folder, _, name = path.rpartition("/")
            module = folder.removesuffix("pkg/generated/openapi")
            if name != OPENAPI.file or module == folder:
                continue
            asking = (p for p in packages.values() if OPENAPI.tag in p.tags and not p.folder.startswith(_NOT_OPENAPI))
            others = (*_ALWAYS, *self._extra(module)) if module else ()
            names = sorted({*others, *(p.path for p in asking if p.folder.startswith(module))})
            if not reached.isdisjoint(names):
                flags = (f"--output-file={name}", f"--output-dir={self._root / folder}")
                yield OPENAPI, (*flags, f"--output-pkg={import_path(folder)}", "--report-filename=/dev/null"), names

    def _extra(self, module: str) -> list[str]:
        """Return the packages of other modules whose types a module documents, as its own script names them."""
        return _EXTRA.findall(_text(self._ctx, self._tree, f"{module}hack/update-codegen.sh"))

    def _build(self, tools: set[Tool]) -> None:
        # Its godebug line counts: older generators know no types.Alias, which newer Go gives them by default.
        go_mod, go_sum = go_files(
            self._ctx,
            module="generate",
            go=self._ctx.params["go_line"],
            zips=self._parts.zips,
            folder=lambda _: str(self._root),
        )
        self._module.mkdir()
        (self._module / "go.mod").write_text(go_mod, encoding="utf-8")
        (self._module / "go.sum").write_text(go_sum, encoding="utf-8")
        programs = sorted(tool.program for tool in tools)
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-p={self._ctx.cores}"]
        go = str(Path(self._env["GOROOT"]) / "bin/go")
        argv = [go, "build", *flags, "-o", str(self._ctx.out / "bin") + "/", *programs]
        Modules(self._ctx, self._parts.zips).sound(lambda: self._run(argv))

    def _generate(self, tool: Tool, flags: tuple[str, ...], names: list[str]) -> None:
        program = self._ctx.out / "bin" / tool.program.rpartition("/")[2]
        self._run([str(program), f"--go-header-file={self._root / _HEADER}", *flags, *names])

    def _run(self, argv: list[str]) -> None:
        try:
            self._ctx.exec(argv, cwd=self._module, env={**self._env, "GOFLAGS": "-mod=readonly"})
        except BuildError as error:
            if error.reason != "command-failed":
                raise
            raise CodegenError(
                error.message,
                reason="generator-failed",
                hint="mend the patch; or generate in an upstream checkout with `hack/update-codegen.sh` "
                "and put the result into the patch",
                log=error.log,
            ) from error

    def _made(self) -> Iterator[tuple[str, tuple[str, bytes]]]:
        tools = {tool.file: tool for tool in (*TOOLS, OPENAPI)}
        for path in sorted(found.relative_to(self._root).as_posix() for found in self._root.rglob("zz_generated.*.go")):
            tool = tools.get(path.rpartition("/")[2])
            data = (self._root / path).read_bytes() if tool else b""
            entry = self._tree.entries.get(path)
            if tool and (entry is None or self._inside.store.read(entry) != data):
                yield path, (tool.tag, data)
