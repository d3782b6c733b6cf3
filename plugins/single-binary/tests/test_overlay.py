"""The overlay's packages keep apart from Kubernetes where they say so."""

from __future__ import annotations

import re
from pathlib import Path

import k8sbuild_single_binary
import pytest
from k8sbuild_single_binary.plugin import MODULE

OVERLAY = Path(k8sbuild_single_binary.__file__).parent / "overlay"
#: Packages whose tests, race detector and staticcheck run in seconds. klog is a module of its own.
APART = (
    "admin", "certs", "check", "cleanup", "config", "host", "inspect", "install", "kubeconfig", "lock", "logs",
    "memory", "nodeidentity", "notify", "server", "service", "uninstall", "version",
)  # fmt: skip

_IMPORT = re.compile(r'^(?:import\s|\t)(?:[\w.]+\s+)?"([^"\s]+)"$', re.MULTILINE)


def imports(package: str) -> set[str]:
    """Return what a package of the overlay imports, its tests included, directly and over others of the overlay."""
    found: set[str] = set()
    queue = [package]
    while queue:
        texts = [file.read_text(encoding="utf-8") for file in (OVERLAY / queue.pop()).glob("*.go")]
        new = {path for text in texts for path in _IMPORT.findall(text.partition("\nfunc ")[0])} - found
        queue += [path.removeprefix(f"{MODULE}/") for path in new if path.startswith(f"{MODULE}/")]
        found |= new
    return found


@pytest.mark.parametrize("name", APART)
def test_package_imports_no_kubernetes(name: str) -> None:
    assert [path for path in imports(f"pkg/{name}") if path.startswith("k8s.io/") and path != "k8s.io/klog/v2"] == []


def test_imports_are_found() -> None:
    assert {"time", f"{MODULE}/pkg/config", "github.com/spf13/pflag"} <= imports("pkg/kubeconfig")
    assert any(path.startswith("k8s.io/kubernetes/") for path in imports("pkg/components/apiserver"))
