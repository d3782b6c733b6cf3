"""Programs of other projects: what every plugin that builds some declares in the same way.

A plugin keeps what it builds from as a constant, and its hooks yield what is made of it::

    ETCD = Upstream(plugin="etcd", name="etcd", path="go.etcd.io/etcd/server/v3", version="v3.5.15", go="1.25.0")

    @hookimpl
    def k8sbuild_fetch(build):
        yield ETCD.source(build)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .kinds import Check, Generator, GoModule, GoRequire, OciImage, Option, Source, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .build import Build

__all__ = ["KUBERNETES_RELEASE", "Shipped", "Upstream", "address", "checked", "target", "unlinked"]

#: With these ldflags a program of Kubernetes' own code says its release, as upstream's do.
KUBERNETES_RELEASE: Mapping[str, str] = {
    f"{package}.{name}": value
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in {
        "gitVersion": "{k8s}",
        "gitCommit": "{commit}",
        "gitTreeState": "{tree_state}",
        "buildDate": "{date}",
        "gitMajor": "{major}",
        "gitMinor": "{minor}",
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A Go module of another project, whose programs are compiled with a build list and a toolchain of their own.

    Args:
        plugin: whose it is.
        name: of the source.
        path: of the Go module.
        version: the default of its option.
        go: the go line of the module that its programs are compiled in; one for several of them is one toolchain.
        option: name of the option for the version; the source's by default.
        env: other names of that option in the environment.
        module: name of the module that its programs are compiled in; the source's by default.
    """

    plugin: str
    name: str
    path: str
    version: str
    go: str
    option: str = ""
    env: tuple[str, ...] = ()
    module: str = ""

    def options(self) -> Iterator[Option]:
        """Yield the option for the version."""
        yield Option(
            name=self.option or self.name,
            help=f"version of {self.path}",
            type="version",
            default=self.version,
            env=self.env,
            source=self.name,
        )

    def chosen(self, build: Build) -> str:
        """Return the version in a build."""
        return str(build.option(f"{self.plugin}.{self.option or self.name}"))

    def source(self, build: Build) -> Source:
        """Return the module as a source; the modules that it needs come with the build list."""
        return Source(name=self.name, version=self.chosen(build), locations={"gomod": self.path})

    def code(self) -> Iterator[GoModule | GoRequire]:
        """Yield the module that the programs are compiled in, which requires the other project's."""
        module = self.module or self.name
        yield GoModule(name=module, path=f"k8sbuild.dev/{self.name}", go=self.go)
        yield GoRequire(name=self.name, path=self.path, source=self.name, module=f"{self.plugin}/{module}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Programs of a plugin's own target, as the image in which builds of other targets ship them.

    Args:
        upstream: what the programs are of.
        programs: their names; the image runs the first.
        repository: what manifests and mirrors call the image, without its version.
        file: of the image.
        options: keys of the options that all have to be set, of whichever plugins.
        source: under which name another target takes the programs: the module has that of their own target.
    """

    upstream: Upstream
    programs: tuple[str, ...]
    repository: str
    file: str
    options: tuple[str, ...]
    source: str = "program"

    def wanted(self, build: Build) -> bool:
        """Say whether a build ships them."""
        return build.target != self.upstream.plugin and all(build.enabled(key) for key in self.options)

    def taken(self) -> Source:
        """Return the target's programs as a source."""
        return replace(Source.target(self.upstream.plugin), name=self.source)

    def program(self, name: str) -> str:
        """Return where one of the programs is in a build that takes them."""
        return f"fetch:{self.upstream.plugin}/{self.source}/{name}"

    def reference(self, build: Build) -> str:
        """Return the image's name, with the version."""
        return f"{self.repository}:{self.upstream.chosen(build)}"

    def constant(self, build: Build, file: str) -> Generator:
        """Return what tells a Go package the image's name, as its constant ``image``."""
        return Generator(
            name="image",
            run="k8sbuild.stages.constants:generate",
            params={"file": file, "constants": {"image": self.reference(build)}},
        )

    def image(self, build: Build) -> OciImage:
        """Return the image, which runs as the user that images of distroless bases call ``nonroot``."""
        programs = {name: self.program(name) for name in self.programs}
        return OciImage.of_programs(
            "image",
            file=self.file,
            reference=self.reference(build),
            programs=programs,
            user="65532:65532",
            licences=tuple(programs.values()),
        )


def address(plugin: str, program: str) -> str:
    """Return where a :class:`~k8sbuild.kinds.GoBinary` is that has the name of its program.

    >>> address("etcd", "etcdctl")
    'compile:etcd/etcdctl/etcdctl'
    """
    return f"compile:{plugin}/{program}/{program}"


def target(plugin: str, programs: Iterable[str], *, help: str, k8s: str) -> Target:  # noqa: A002 - the target's word
    """Return the target that has a plugin's name and gives its programs.

    ``k8s`` is the Kubernetes release that they are built beside, unless the user says another.

    >>> dict(target("etcd", ["etcd"], help="etcd as one static program", k8s="v1.31.4").artifacts)
    {'etcd{suffix}': 'compile:etcd/etcd/etcd'}
    """
    artifacts = {f"{name}{{suffix}}": address(plugin, name) for name in programs}
    return Target(name=plugin, help=help, artifacts=artifacts, defaults={"k8s": k8s})


def checked(
    build: Build, programs: Mapping[str, str], words: Sequence[str], env: Mapping[str, str] | None = None
) -> Check:
    """Return the check that programs are static, for the build's platform and, where they run here, of their version.

    Args:
        programs: versions by address.
        words: with which the programs say their version.
        env: environment in which they do.
    """
    return Check(
        name="programs",
        run="k8sbuild.stages.programs:check",
        inputs=tuple(programs),
        params={"programs": programs, "arch": build.platform.arch, "words": words, "env": env or {}},
    )


def unlinked(
    program: str, *, module: str, packages: Iterable[str], modules: Iterable[str], hint: str
) -> Iterator[Check]:
    """Yield the checks that a program links nothing of what was removed from its code.

    Args:
        program: its address.
        module: the :class:`~k8sbuild.kinds.GoModule` that it is compiled in.
        packages: import paths that must not be linked.
        modules: paths of modules that must not be.
        hint: said where one is: how to keep it.

    >>> [check.name for check in unlinked("compile:a/b/b", module="a/m", packages=["c/d"], modules=["e"], hint="")]
    ['linked-modules', 'linked-functions', 'dependencies']
    """
    denied = {"packages": tuple(packages), "modules": tuple(modules)}
    for name, function, what, code in (
        ("linked-modules", "modules", "modules", ""),
        ("linked-functions", "functions", "packages", ""),
        ("dependencies", "dependencies", "packages", module),
    ):
        yield Check(
            name=name,
            run=f"k8sbuild.stages.linked:{function}",
            inputs=(program,),
            params={"binary": program, "hint": hint, what: denied[what]},
            module=code,
        )
