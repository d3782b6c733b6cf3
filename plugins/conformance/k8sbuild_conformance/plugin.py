"""The target ``conformance``: upstream's e2e tests, the program that runs them in parallel, and their images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import debian, hookimpl
from k8sbuild.kinds import (
    Check,
    Finding,
    GoBinary,
    GoModule,
    GoRequire,
    ImageBundle,
    OciImage,
    Option,
    PluginInfo,
    RootFs,
    Source,
    Step,
    Target,
    Template,
)
from k8sbuild.upstream import KUBERNETES_RELEASE, Upstream, address, checked

from .images import APPLETS, BUSYBOX, NAME, PACKAGES, STATIC, images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

IMAGES = "conformance-images-{k8s}-{os}-{arch}.tar.zst"
TESTS = f"compile:{NAME}/tests/e2e.test"
_MANIFEST = f"fetch:{NAME}/kubernetes/test/utils/image/manifest.go"
#: Programs for this platform, all of the build list that Kubernetes itself has.
_PROGRAMS = {
    "agnhost": "k8s.io/kubernetes/test/images/agnhost",
    # The one that runs the tests is of the release that they are written for.
    "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
    "nnp": "k8s.io/kubernetes/test/images/nonewprivs",
}
#: Upstream's image has this release, to try an API server that is older than the cluster.
SAMPLE = Upstream(plugin=NAME, name="sample-apiserver", path="k8s.io/sample-apiserver", version="v0.29.2", go="1.25.0")


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, targets=(NAME,))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``conformance``."""
    yield Target(
        name=NAME,
        help="upstream's conformance tests: the programs, and the images that they run",
        artifacts={
            # The name's end is how ginkgo tells a program of tests.
            "e2e{suffix}.test": TESTS,
            "ginkgo{suffix}": address(NAME, "ginkgo"),
            IMAGES: f"package:{NAME}/images/{IMAGES}",
        },
        defaults={"k8s": "v1.31.4"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare which Debian the images stand on, and the version of the sample."""
    yield from SAMPLE.options()
    yield Option(
        name="suite", help="of Debian, for what the images have besides upstream's programs", default="bookworm"
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch Kubernetes and Debian's packages, and take etcd."""
    yield Source.kubernetes(build.k8s)
    yield SAMPLE.source(build)
    yield Source.target("etcd")
    suite, arch = str(build.option("suite")), build.platform.arch
    yield Source.debian("root", suite, PACKAGES, arch)
    yield Source.debian("static", suite, tuple(STATIC.values()), arch)


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Template]:
    """Make the module that the programs are compiled from, which has no package of its own, and texts of images."""
    # The go line is the one of newer distributions: one toolchain for both.
    yield GoModule(name="programs", path="k8sbuild.dev/conformance", go="1.25.0")
    programs = f"{NAME}/programs"
    yield GoRequire(name="kubernetes", path="k8s.io/kubernetes", source="kubernetes", module=programs)
    # Samples are no part of the tree; the tests use its types.
    yield GoRequire(name="sample-types", path=SAMPLE.path, version=SAMPLE.chosen(build), module=programs)
    yield from SAMPLE.code()
    for name in ("passwd", "group"):
        yield Template(name=name, path=f"files/{name}", file=name)


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the tests, what runs them, and what they run."""
    tests = "k8s.io/kubernetes/test/e2e"
    module = f"{NAME}/programs"
    yield GoBinary(name="tests", package=tests, module=module, test=True, output="e2e.test", ldflags=KUBERNETES_RELEASE)
    for name, package in _PROGRAMS.items():
        yield GoBinary(name=name, package=package, module=module)
    yield GoBinary(name=SAMPLE.name, package=SAMPLE.path, module=f"{NAME}/{SAMPLE.name}")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage | ImageBundle | RootFs | Step]:
    """Make the images, and put them into one file."""
    yield RootFs(name="root", file="root.tar", packages=f"fetch:{NAME}/root")
    yield Step(
        name="static",
        stage="package",
        run=f"{__package__}.packages:programs",
        inputs=(f"fetch:{NAME}/static",),
        outputs=tuple(STATIC),
        params={"packages": f"fetch:{NAME}/static", "programs": STATIC},
    )
    yield from images()
    yield ImageBundle(name="images", file=IMAGES)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check the programs, the names of the images, and what busybox can."""
    yield checked(build, {TESTS: build.k8s}, ["--version"])
    yield Check(
        name="names",
        run=f"{__package__}.checks:names",
        inputs=(_MANIFEST,),
        params={"manifest": _MANIFEST, "references": [image.reference for image in images()]},
    )
    yield Check(
        name="applets",
        run=f"{__package__}.checks:applets",
        inputs=(BUSYBOX,),
        params={"busybox": BUSYBOX, "applets": APPLETS},
    )


@hookimpl
def k8sbuild_doctor() -> Iterator[Finding]:
    """Say whether a root file system of Debian's packages can be assembled here."""
    yield from debian.findings()
