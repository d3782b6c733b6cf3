"""The kubelet's image: what it adds to its base, how soon it works, and what a rebuild costs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.images import added, build, chosen, facts, image_of, project, pulled, started
from bench.line import Line, Outcome
from bench.stats import median, spread_text
from k8sbuild.store.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.timing import Run
    from bench.workspace import Workspace

_SIZE, _HEALTHZ, _POD, _REBUILD = 100.0, 10.0, 20.0, 5.0
_CONFIG = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: {}\n"
#: Files that are named in the row, each at least of this many bytes.
_LARGE = 1 << 20


def size(workspace: Workspace) -> Outcome:
    """Look at the files that the image adds to its base."""
    with project(workspace, "image-size") as made:
        layers = dict(facts(build(workspace, made))["layers"])
        base = added(made, {"base": layers.pop("base")})
        found = added(made, layers)
        compressed = pulled(made, layers) / 1e6
    total = sum(found.values()) / 1e6
    return Outcome(
        measured=f"{total:.1f} MB, {compressed:.1f} MB compressed",
        met=total <= _SIZE if chosen(workspace).runtime == "cri-dockerd" else None,
        samples={"added, MB": [total], "compressed, MB": [compressed]},
        facts={
            "runtime": chosen(workspace).runtime,
            "files, MB": _large(found),
            "of the base, MB": _large(base),
        },
        notes=chosen(workspace).notes,
    )


def _large(files: Mapping[str, int]) -> dict[str, float]:
    return {name: round(size / 1e6, 1) for name, size in files.items() if size >= _LARGE}


def healthz(workspace: Workspace) -> Outcome:
    """Start the image until its kubelet is healthy."""
    return _start(workspace, "kubelet healthy, s", started(workspace).healthz, _HEALTHZ)


def pod(workspace: Workspace) -> Outcome:
    """Start the image until the static pod answers."""
    return _start(workspace, "pod answers, s", started(workspace).pod, _POD)


def _start(workspace: Workspace, what: str, seconds: list[float], target: float) -> Outcome:
    return Outcome(
        measured=f"{median(seconds):.1f} s",
        met=median(seconds) <= target,
        samples={what: seconds},
        facts={"runtime": chosen(workspace).runtime},
        notes=chosen(workspace).notes,
    )


def rebuild(workspace: Workspace) -> Outcome:
    """Change one value of the kubelet's configuration, and build again."""
    took, cpu, changed = [], [], set()
    with project(workspace, "image-rebuild") as made:
        before = _with_pods(workspace, made, 100)[1]
        for number in range(workspace.rounds):
            done, now = _with_pods(workspace, made, 101 + number)
            changed |= {name for name in now if now[name] != before[name]}
            before = now
            took.append(done.seconds)
            cpu.append(done.cpu)
    return Outcome(
        measured=f"{median(took):.1f} s, {len(changed)} layer changed",
        met=median(took) <= _REBUILD and len(changed) == 1,
        samples={"wall, s": took, "CPU, s": cpu},
        facts={"wall": spread_text(took), "CPU": spread_text(cpu), "changed": ", ".join(sorted(changed))},
        notes=chosen(workspace).notes,
    )


def _with_pods(workspace: Workspace, made: Path, pods: int) -> tuple[Run, Mapping[str, str]]:
    """Build with a number of pods in the user's configuration; return the run, and the layers' digests."""
    own = made / "kubelet.yaml"
    own.write_text(_CONFIG.format(pods), encoding="utf-8")
    done = build(workspace, made, f"--kubelet-config={own}")
    return done, facts(done)["layers"]


def digest(workspace: Workspace) -> Outcome:
    """Build in two folders with two stores; Go's compile cache is shared, its content has no folder in it."""
    cache = workspace.side_cache("image-else-cache", "gocache")
    with project(workspace, "image-here") as made:
        here = _digests(workspace, made, workspace.cache)
    with project(workspace, "image-else/other folder") as made:
        there = _digests(workspace, made, cache)
    shutil.rmtree(cache)
    return Outcome(
        measured="the same" if here == there else "different",
        met=here == there,
        facts={"image": here[0], "sha256 of image.oci.tar": here[1], **({"other": there} if here != there else {})},
        notes=chosen(workspace).notes,
    )


def _digests(workspace: Workspace, made: Path, cache: Path) -> tuple[str, str]:
    done = build(workspace, made, "--skip-validate", cache=cache)
    return str(facts(done)["image"]), sha256_of(image_of(made))


_WHERE = (
    "`invoke build --target=kubelet-image --base=debian`, started by a Docker daemon from Debian's packages in name "
    "spaces of its own, without `CAP_SYS_RESOURCE`, on an empty volume. "
)

LINES = (
    Line(
        name="image-size",
        what="kubelet's image: content added over the base",
        target=f"≤ {_SIZE:.0f} MB with cri-dockerd",
        how="The sizes of the files in the layers that are not the base's, uncompressed; compressed as Docker pushes "
        "them. The layer that makes Debian's packages equal to kicbase, with entrypoint and crictl, is of the base.",
        measure=size,
    ),
    Line(
        name="image-healthz",
        what="kubelet's image: container start → kubelet's healthz ok",
        target=f"≤ {_HEALTHZ:.0f} s",
        how=_WHERE + "From `docker start` until `curl` in the container says ok.",
        measure=healthz,
    ),
    Line(
        name="image-pod",
        what="kubelet's image: container start → static pod answers, images loaded",
        target=f"≤ {_POD:.0f} s",
        how=_WHERE + "From `docker start` until the pod answers on the port that it has on the node.",
        measure=pod,
    ),
    Line(
        name="image-rebuild",
        what="kubelet's image: rebuild after a change of kubelet.yaml only",
        target=f"≤ {_REBUILD:.0f} s, one layer changed",
        how="A file given as `--kubelet-config` is changed; then `invoke build --target=kubelet-image`, with checks, "
        "in a process of its own. The layers' digests are compared with those before.",
        measure=rebuild,
    ),
    Line(
        name="image-digest",
        what="kubelet's image: two builds in two folders",
        target="the same image digest",
        how="Two projects in two folders, with two stores: nothing but downloads and Go's compile cache is shared. The "
        "manifest's digest and the whole tar are compared.",
        measure=digest,
    ),
)
