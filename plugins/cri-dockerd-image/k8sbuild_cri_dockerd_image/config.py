"""Steps that look at the user's files with the kubelet's own types, before anything is packed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8sbuild.errors import BuildError, ConfigError
from k8sbuild.kinds import Step

from .choice import NAME
from .content import HELLO, PAUSE
from .values import has_authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8sbuild.build import Build
    from k8sbuild.engine.context import StepContext

__all__ = ["kubelet_config", "manifest", "steps"]

_TOOL = f"compile:{NAME}/kubelet-config/kubelet-config"


def steps(build: Build) -> Iterator[Step]:
    """Yield the steps that look at the user's files, or at ours."""
    base = f"codegen:{NAME}/kicbase.yml/kicbase.yml"
    own = f"fetch:{NAME}/kubelet-config" if build.option("kubelet-config") else ""
    exposed = f"fetch:{NAME}/expose-kubelet" if build.option("expose-kubelet") else ""
    yield Step(
        name="kubelet.yaml",
        stage="package",
        run=f"{__name__}:kubelet_config",
        inputs=(_TOOL, base, *filter(None, (own, exposed))),
        outputs=("kubelet.yaml",),
        params={"tool": _TOOL, "base": base, "file": own, "exposed": exposed},
    )
    file = f"fetch:{NAME}/manifest" if build.option("manifest") else f"codegen:{NAME}/hello-world.yaml"
    images = [text.format(**build.placeholders()) for text in (PAUSE, HELLO)]
    yield Step(
        name="manifest",
        stage="package",
        run=f"{__name__}:manifest",
        inputs=(_TOOL, file),
        outputs=("pod.yaml",),
        params={"tool": _TOOL, "file": file, "images": images},
    )


def kubelet_config(ctx: StepContext) -> None:
    """Write ``kubelet.yaml``: ours, with the user's file over it; of an exposed kubelet also ``client-ca.crt``.

    Raises:
        ConfigError: ``kubelet-config``, with file and line.
    """
    p = ctx.params
    words: list[str | Path] = ["merge", *(["-exposed"] if p["exposed"] else []), ctx.path(p["base"])]
    if p["exposed"]:
        _client_ca(ctx, p["exposed"])
    text = _tool(ctx, words, p["file"], "a KubeletConfiguration: https://kubernetes.io/docs/reference/config-api/")
    (ctx.out / "kubelet.yaml").write_text(text, encoding="utf-8")


def manifest(ctx: StepContext) -> None:
    """Write ``pod.yaml``, a static pod; whose images are not those of this build is a fact.

    Raises:
        ConfigError: ``kubelet-config``, with file and line.
    """
    p = ctx.params
    images = _tool(ctx, ["pod"], p["file"], "a file of kind: Pod, apiVersion: v1").split()
    ctx.facts["to pull"] = [image for image in images if image not in p["images"]]
    (ctx.out / "pod.yaml").write_bytes(ctx.read(p["file"]))


def _client_ca(ctx: StepContext, address: str) -> None:
    """Write ``client-ca.crt``: the file of ``--expose-kubelet``, if it has certificates and no key."""
    data = ctx.read(address)
    has_authority(f"{ctx.name}: {_file(ctx, address).name}", data.decode(errors="replace"))
    (ctx.out / "client-ca.crt").write_bytes(data)


def _file(ctx: StepContext, address: str) -> Path:
    """Return the one file of an input."""
    place = ctx.path(address)
    return place if place.is_file() else next(path for path in place.iterdir() if path.is_file())


def _tool(ctx: StepContext, words: list[str | Path], address: str, hint: str) -> str:
    """Run the tool on a file, which it names as its user does; with none, on what ``words`` say."""
    file = _file(ctx, address) if address else None
    argv = [ctx.path(ctx.params["tool"]), *words, *([file.name] if file else [])]
    try:
        return ctx.exec(argv, cwd=file.parent if file else None)
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        said = re.sub(r"(?s)^.*?exit code \d+\n", "", error.message)
        raise ConfigError(f"{ctx.name}: {said}", reason="kubelet-config", hint=hint, log=error.log) from None
