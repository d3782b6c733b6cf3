"""Clients that watch: what an orderly stop must not wait for."""

from __future__ import annotations

import json
import ssl
from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .servers import Server

__all__ = ["watched"]

PATH = "/api/v1/namespaces/proof/pods?watch=true"


@contextmanager
def watched(server: Server, count: int = 50) -> Iterator[None]:
    """Hold open watches during a block, each on a connection of its own, from outside the server's process.

    Raises:
        ValidateError: ``watch-failed``.
    """
    view = json.loads(server.kubectl("config", "view", "--raw", "-o", "json"))
    cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    tls.load_cert_chain(user["client-certificate"], user["client-key"])
    with ExitStack() as stack:
        for _ in range(count):
            connection = HTTPSConnection(urlsplit(cluster["server"]).netloc, context=tls, timeout=30)
            stack.callback(connection.close)
            connection.request("GET", PATH)
            status = connection.getresponse().status
            if status != 200:
                raise ValidateError(f"a watch is answered with {status}", reason="watch-failed")
        yield
