"""An image with a program that pods of tests run: it looks names up, and waits. Nothing comes from a registry."""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["IMAGE", "archive", "pod"]

IMAGE = "tests.invalid/tool:v1"
_PROGRAM = """\
// Command tool looks a name up, until there is an answer or a minute is over; without a name it waits.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		select {}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		found, err := net.LookupHost(os.Args[1])
		if err == nil {
			fmt.Println(strings.Join(found, " "))
			return
		}
		if time.Now().After(end) {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
"""


def archive(folder: Path) -> Path:
    """Return a tar with the image, as ``docker save`` writes it."""
    tree = {"go.mod": "module tests.invalid/tool\n\ngo 1.21\n", "main.go": _PROGRAM}
    binary = programs.compiled(folder / "tool", tree) / "tool"
    layer = _tar({"tool": binary.read_bytes()})
    config = {
        "architecture": host_platform().arch,
        "os": "linux",
        "config": {"Entrypoint": ["/tool"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    parts = {"config.json": config, "manifest.json": manifest}
    made = folder / "tool.tar"
    made.write_bytes(_tar({"layer.tar": layer, **{name: json.dumps(part).encode() for name, part in parts.items()}}))
    return made


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pod(name: str, *args: str) -> str:
    """Return a pod that runs the tool once."""
    container = {"name": "tool", "image": IMAGE, "imagePullPolicy": "Never", "args": list(args)}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
