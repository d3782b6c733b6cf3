"""What live checks create through the API, and find again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from .servers import Server

__all__ = ["check", "deploy", "fill"]

OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: proof}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: proofs.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: proofs, singular: proof, kind: Proof}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
CUSTOM = """
apiVersion: example.org/v1
kind: Proof
metadata: {name: one, namespace: proof}
spec: {value: 42}
"""


def fill(server: Server) -> None:
    """Create a namespace, a deployment whose pods the controllers make, a CRD and a custom resource."""
    server.kubectl("apply", "-f", "-", text=OBJECTS)
    server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/proofs.example.org")
    server.kubectl("apply", "-f", "-", text=CUSTOM)
    deploy(server, "web")


def deploy(server: Server, name: str, within: float = 30) -> None:
    """Create a deployment and wait until controllers made its pods and the scheduler looked at them.

    Args:
        within: seconds until the pods must be there.

    Raises:
        ValidateError: ``live-controllers``.
    """
    server.kubectl("-n", "proof", "create", "deployment", name, "--replicas=2", "--image=example.invalid/web:1")
    pods = ("-n", "proof", "get", "pods", "-l", f"app={name}")
    # No node is there, so what the scheduler says of each pod is that it fits nowhere.
    seen = '-o=jsonpath={.items[*].status.conditions[?(@.type=="PodScheduled")].status}'
    end = time.monotonic() + within
    while server.kubectl(*pods, seen).split() != ["False", "False"]:
        if time.monotonic() > end:
            raise ValidateError(
                f"the controllers and the scheduler did not deal with two pods within {within:.0f} s: "
                f"{server.kubectl(*pods, '-o=name').split()}",
                reason="live-controllers",
            )
        time.sleep(0.2)


def check(server: Server, k8s: str) -> None:
    """Hold what is there against what :func:`fill` created.

    Raises:
        ValidateError: ``live-lost``.
    """
    value = server.kubectl("-n", "proof", "get", "proofs.example.org", "one", "-o", "jsonpath={.spec.value}")
    server.kubectl("-n", "proof", "get", "deployment", "web", "-o", "name")
    version = server.kubectl("get", "--raw", "/version")
    if value != "42" or f'"gitVersion": "{k8s}"' not in version:
        raise ValidateError(f"not as created: value {value!r}, version {version[:200]}", reason="live-lost")
