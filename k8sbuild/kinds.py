"""What plugins yield: plain, frozen data.

Each kind has a ``name`` that is unique per plugin and kind. Plugins describe
with these; only the engine touches disk, network and processes. Everything
that builds something is lowered to one primitive, :class:`Step`.

Outputs have addresses, ``stage:plugin/name[/path]``, for example
``compile:single-binary/k8s/k8s`` (the file ``k8s`` of the step
``compile:single-binary/k8s``). Paths that point into a plugin (``root``,
``path``) are relative to the folder of the plugin's Python package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from .archives import Archive, ArchiveFile, Artifact
from .images import ImageBundle, ImageFile, ImageLayer, OciImage, RootFs
from .offers import ALL_TARGETS, Finding, Option, PluginInfo, Provider, Target

__all__ = [
    "ALL_TARGETS",
    "API",
    "STAGES",
    "Archive",
    "ArchiveFile",
    "Artifact",
    "Check",
    "Collect",
    "Edit",
    "Finding",
    "Generator",
    "GoBinary",
    "GoModule",
    "GoReplace",
    "GoRequire",
    "ImageBundle",
    "ImageFile",
    "ImageLayer",
    "OciImage",
    "Option",
    "Overlay",
    "PatchSeries",
    "PluginInfo",
    "Provider",
    "RootFs",
    "Source",
    "Stage",
    "Step",
    "SystemdUnit",
    "Target",
    "Template",
    "on_github",
]

#: Version of the hook API; ``PluginInfo.api`` is a specifier over it.
API = "1.0"

Stage = Literal["fetch", "patch", "codegen", "compile", "package", "validate"]
STAGES: tuple[Stage, ...] = ("fetch", "patch", "codegen", "compile", "package", "validate")

#: A value that has a JSON form.
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Upstream source to fetch.

    ``locations`` maps a provider's kind to where that provider finds it
    (module path, repository, URL with ``{version}``, folder); the first is the
    default. ``layout``: ``canonical`` (Kubernetes' own tree with staging
    modules), ``module`` (a Go module's tree), ``bare`` (the same, with a go.mod
    that requires nothing: it raises no module of those who use it, and what its
    packages need is required by :class:`GoRequire`) or ``as-is``. :meth:`target`
    gives another target's artifacts.
    """

    name: str
    version: str
    locations: Mapping[str, str]
    layout: Literal["canonical", "module", "bare", "as-is", "toolchain"] = "module"

    @classmethod
    def target(cls, name: str) -> Source:
        """Return another target's artifacts as a source, built for the same Kubernetes version and platform.

        Files have their artifact's name, without ``{suffix}``: ``Source.target("etcd")`` of a plugin ``p``
        is used as ``fetch:p/etcd/etcd``.
        """
        return cls(name=name, version="", locations={"target": name}, layout="as-is")

    @classmethod
    def kubernetes(cls, version: str) -> Source:
        """Return Kubernetes itself as a source, from wherever it is to be had; usually of the version ``build.k8s``.

        >>> sorted(Source.kubernetes("v1.31.4").locations)
        ['archive', 'git', 'gomod']
        """
        locations = {"gomod": "k8s.io/kubernetes", **on_github("kubernetes/kubernetes")}
        return cls(name="kubernetes", version=version, locations=locations, layout="canonical")

    @classmethod
    def debian(cls, name: str, suite: str, packages: Sequence[str], arch: str) -> Source:
        """Return Debian packages with all that they need as a source, one ``.deb`` each.

        ``suite`` is one that this machine's apt knows (``bookworm``), ``arch`` in Debian's words. ``?essential``
        among the packages stands for those without which a system does not work. The lock's entry is for this list.
        """
        location = f"{' '.join(sorted(set(packages)))}#{arch}"
        mark = sha256(location.encode()).hexdigest()[:8]
        return cls(name=name, version=f"{suite}+{mark}", locations={"deb": location}, layout="as-is")


def on_github(repository: str) -> dict[str, str]:
    """Return where the providers ``git`` and ``archive`` find a repository of GitHub that tags its releases.

    >>> on_github("k3s-io/kine")["archive"]
    'https://github.com/k3s-io/kine/archive/refs/tags/{version}.tar.gz'
    """
    address = f"https://github.com/{repository}"
    return {"git": address, "archive": f"{address}/archive/refs/tags/{{version}}.tar.gz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSeries:
    """A folder of ``.patch`` files (with ``series`` and ``ledger.toml``) for one source.

    Every build checks that the ledger says why each patch is there.
    ``only`` restricts the series to some of its files, by name.
    """

    name: str
    source: str
    root: str
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A declarative edit of files of one source; must match exactly ``count`` times.

    ``path`` may be a glob; ``count`` is over all matching files. ``text`` is
    what is found (``delete-lines``, ``replace``, ``insert-*``: whole lines or
    text; ``drop-import``: a Go import path), ``new`` what is put.
    ``why`` goes into the ledger report.
    """

    name: str
    source: str
    path: str
    op: Literal["delete-file", "delete-lines", "drop-import", "replace", "insert-after", "insert-before"]
    text: str = ""
    new: str = ""
    count: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A Go main module that the build assembles from overlays, requirements and generated files.

    Its tree is ``codegen:<plugin>/<name>``. Overlays and generators name it by
    ``<plugin>/<name>``; if a target has only one, they need not. ``go`` is the
    module's own go line (minor release).

    With ``source`` it is nothing of that, but that source's own tree, patched
    or not, whose ``go.mod`` says the same ``path``: programs are compiled with
    its ``vendor/`` folder, so that no build list is made and no module fetched.
    The layout must be ``as-is``, which keeps that folder; the toolchain is that
    of ``go``, or of its own go line if that is higher.

    The other fields are for ``k8sbuild test``, and for ``lint``, which is a check of every build: ``coverage`` is the
    percentage of statements that the tests of each package must reach (0 asks
    for none). ``test_inputs`` maps an environment variable of the tests to an
    address, for example of the compiled program; it names the file. ``linters``
    are addresses of programs that are run with the names of packages, as
    staticcheck is, on the packages that link nothing of the build's sources.
    """

    name: str
    path: str
    go: str
    source: str = ""
    coverage: float = 0.0
    test_inputs: Mapping[str, str] = field(default_factory=dict)
    linters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A folder of files that is added to a Go module.

    ``replaces`` names the files of other overlays that this one may replace.
    ``labels`` are facts that generators can :class:`Collect`.
    """

    name: str
    root: str
    into: str = ""
    module: str = ""
    replaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text file of the plugin with ``@NAME@`` replaced by values; gives the file ``file``.

    An unknown or unused name is an error. ``values`` may use the placeholders
    of a build (``{k8s}``, ``{arch}``, …).
    """

    name: str
    path: str
    file: str
    values: Mapping[str, str] = field(default_factory=dict)
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """In a step's params: every ``(plugin, name, value)`` of ``kind`` that carries ``label``.

    In a step's inputs: the addresses of every step that ``kind`` lowers to.
    """

    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A function of the plugin that writes files into a Go module.

    ``run`` is ``module:function``; it gets a step context and writes below ``ctx.out``.
    """

    name: str
    run: str
    module: str = ""
    inputs: tuple[str | Collect, ...] = ()
    params: Mapping[str, Json | Collect] = field(default_factory=dict)
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GoRequire:
    """A requirement of a Go module.

    With ``source`` the module's code is that (patched) source's tree and
    ``version`` is taken from it. With ``cgo`` programs of the module are
    compiled with cgo, which needs a C compiler.
    """

    name: str
    path: str
    version: str = ""
    source: str = ""
    module: str = ""
    cgo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GoReplace:
    """Replaces every version of ``path`` by ``version`` of it (or of ``by``)."""

    name: str
    path: str
    version: str
    by: str = ""
    module: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoBinary:
    """One statically linked program.

    ``ldflags`` maps ``package.variable`` to a value, which may use the
    placeholders ``{k8s}``, ``{commit}``, ``{tree_state}``, ``{date}``,
    ``{major}``, ``{minor}``. ``module`` is a :class:`GoModule`.

    ``cc`` is the C compiler of a program with cgo, for C code and for linking:
    the address of a program of a fetched source, and its arguments, for example
    ``fetch:me/ziglang/ziglang/zig cc -target aarch64-linux-musl``. Without it,
    it is ``CC`` of ``env``, or this machine's.

    With ``host`` it is a tool for other steps of the build: compiled for this machine, whatever the platform is. With
    ``test`` it is the program that runs the package's tests, as ``go test -c`` makes it.
    """

    name: str
    package: str
    module: str = ""
    output: str = ""
    tags: tuple[str, ...] = ()
    ldflags: Mapping[str, str] = field(default_factory=dict)
    cgo: bool = False
    cc: str = ""
    host: bool = False
    test: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemdUnit:
    """A unit file made from a template, with checks of its sections."""

    name: str
    path: str
    file: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of the validate stage; ``run`` raises ``ValidateError`` or returns a list of facts.

    ``live`` checks run what was built: they are left out by ``--fast`` and
    ``--skip-validate``, and skipped in a build for another platform than this
    machine's; ``build.platform`` tells others. ``enabled=False`` lists the check as skipped, with ``why``.

    ``module`` is a :class:`GoModule` whose code the check looks at: what compiles it is an input too, for ``ctx.go``.
    """

    name: str
    run: str
    inputs: tuple[str | Collect, ...]
    params: Mapping[str, Json | Collect] = field(default_factory=dict)
    module: str = ""
    live: bool = False
    enabled: bool = True
    why: str = ""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The one primitive: declared inputs, parameters and outputs, and a run function.

    Args:
        name: unique per plugin and stage; gives the address ``stage:plugin/name``.
        stage: one of :data:`STAGES`; a step depends on the same or earlier stages.
        run: ``module:function``; called as ``run(ctx)`` with a
            :class:`k8sbuild.engine.context.StepContext`.
        inputs: addresses; each is given to ``run`` as a tree or file.
        outputs: files or folders (not empty) that must be below ``ctx.out`` when ``run`` returns.
        params: data for ``run``; part of the key.
        env: extra environment of external commands; part of the key.
        secrets: names of values that only the engine resolves, from the user's
            ``K8SBUILD_SECRET_<NAME>`` or the file that
            ``K8SBUILD_SECRET_<NAME>_FILE`` names, into the environment of what
            ``ctx.exec`` runs. Names are part of the key, values never; logs,
            errors and facts have ``***`` for them.
        needs_network: allowed only in the fetch stage.
        reuse: ``False`` runs the step every time.
        revision: raised by the author when imported code changes meaning.
        cores, memory: what it takes from the pool (cores; MiB).
    """

    name: str
    stage: Stage
    run: str
    inputs: tuple[str | Collect, ...] = ()
    outputs: tuple[str, ...] = ()
    params: Mapping[str, Json | Collect] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    needs_network: bool = False
    reuse: bool = True
    revision: int = 1
    cores: int = 1
    memory: int = 64
