"""The images that conformance tests run, under upstream's names: how each is made, and where it differs.

Which these are, ``test/utils/image/manifest.go`` of Kubernetes says, and a check of the build holds the names to it.
The image of a pod's sandbox, which tests run too, comes with every node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import ImageFile, ImageLayer, OciImage
from k8sbuild.upstream import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["APPLETS", "BUSYBOX", "DIFFERENCES", "NAME", "PACKAGES", "STATIC", "images"]

#: The plugin's name: the second part of its addresses.
NAME = "conformance"
_E2E = "registry.k8s.io/e2e-test-images"
_SOURCES = f"fetch:{NAME}/kubernetes/test/images"

#: Of Debian: what tests call by name in images that are more than a static program.
PACKAGES = ("?essential", "bind9-dnsutils", "curl", "iproute2", "netcat-openbsd", "wget")
_ROOT = f"package:{NAME}/root/root.tar"

#: Debian's packages of static programs, by program.
STATIC = {"busybox": "busybox-static", "bash-static": "bash-static"}
BUSYBOX = f"package:{NAME}/static/busybox"
#: What the tests, and people who look into a pod, call of it.
_APPLETS = (
    "[ [[ arch ash awk base64 basename cat chgrp chmod chown cp cut date dd df diff dirname dmesg du echo egrep "
    "env expand expr false fgrep find free grep gunzip gzip head hexdump hostname httpd id ifconfig ip kill "
    "killall less ln logger ls md5sum mkdir mkfifo mknod mktemp more mount mv nc netstat nslookup od paste pidof "
    "ping ping6 printf ps pwd readlink realpath rm rmdir route sed seq sha1sum sha256sum sha512sum sleep sort "
    "stat strings stty sync sysctl tail tar tee telnet test timeout top touch tr traceroute true tty umount uname "
    "uniq unzip uptime usleep vi watch wc wget which whoami xargs yes zcat"
)
APPLETS = tuple(_APPLETS.split())

_AGNHOST = ImageFile(name="agnhost", address=address(NAME, "agnhost"), path="/agnhost", mode=0o755)

_SERVES = "busybox's httpd serves the page: tests ask for one that runs and answers"
#: By image, what is in it that upstream's does not have; the others are upstream's own sources.
DIFFERENCES = {
    f"{_E2E}/agnhost:2.52": "Debian instead of Alpine; without CoreDNS and iperf, which no conformance test runs",
    f"{_E2E}/busybox:1.36.1-1": "Debian's busybox-static, with bash as its shell",
    f"{_E2E}/jessie-dnsutils:1.7": "the tools of today's Debian; without CoreDNS",
    f"{_E2E}/nautilus:1.7": "today's agnhost beside the picture, and nothing else",
    **{f"{_E2E}/httpd:{tag}": _SERVES for tag in ("2.4.38-4", "2.4.39-4")},
    **{f"{_E2E}/nginx:{tag}": _SERVES for tag in ("1.14-4", "1.15-4")},
}


def images() -> Iterator[OciImage]:
    """Yield the images."""
    yield _agnhost()
    yield _nautilus()
    yield _busybox()
    httpd, nginx = "/usr/local/apache2/htdocs", "/usr/share/nginx/html"
    for name, tag, folder in (
        ("httpd", "2.4.38-4", httpd),
        ("httpd-new", "2.4.39-4", httpd),
        ("nginx", "1.14-4", nginx),
        ("nginx-new", "1.15-4", nginx),
    ):
        yield _web(name, f"{_E2E}/{name.removesuffix('-new')}:{tag}", folder)
    yield OciImage(
        name="dnsutils",
        file="dnsutils.tar",
        reference=f"{_E2E}/jessie-dnsutils:1.7",
        base=_ROOT,
        layers=(),
        cmd=("bash",),
    )
    yield _program("nonewprivs", f"{_E2E}/nonewprivs:1.3", "nnp", "/usr/local/bin/nnp", mode=0o6755)
    yield _program("sample-apiserver", f"{_E2E}/sample-apiserver:1.29.2", "sample-apiserver", "/sample-apiserver")
    etcd = ImageFile(name="etcd", address=f"fetch:{NAME}/etcd/etcd", path="/usr/local/bin/etcd", mode=0o755)
    yield _static("etcd", "registry.k8s.io/etcd:3.5.15-0", etcd)


def _layer(name: str, files: Iterable[ImageFile]) -> ImageLayer:
    return ImageLayer(name=name, files=tuple(files))


def _sources(folder: str, *names: str) -> Iterable[ImageFile]:
    """Return files of upstream's folder of images, at the image's root."""
    return (ImageFile(name=name, address=f"{_SOURCES}/{folder}/{name}", path=f"/{name}") for name in names)


def _agnhost() -> OciImage:
    # Tests look whether an image's entrypoint can be another one.
    second = ImageFile(name="agnhost-2", path="/agnhost-2", link="agnhost")
    certificates = _sources("agnhost/porter", "localhost.crt", "localhost.key")
    uploads = ImageFile(name="uploads", path="/uploads")
    return OciImage(
        name="agnhost",
        file="agnhost.tar",
        reference=f"{_E2E}/agnhost:2.52",
        base=_ROOT,
        layers=(_layer("program", (_AGNHOST, second)), _layer("files", (*certificates, uploads))),
        entrypoint=("/agnhost",),
        cmd=("pause",),
        licences=(_AGNHOST.address,),
    )


def _nautilus() -> OciImage:
    files = _sources("nautilus/html", "nautilus.jpg", "data.json")
    return OciImage(
        name="nautilus",
        file="nautilus.tar",
        reference=f"{_E2E}/nautilus:1.7",
        layers=(_layer("program", (_AGNHOST,)), _layer("files", files)),
        entrypoint=("/agnhost",),
        cmd=("test-webserver",),
        licences=(_AGNHOST.address,),
    )


def _busybox() -> OciImage:
    program = ImageFile(name="busybox", address=BUSYBOX, path="/bin/busybox", mode=0o755)
    # Debian's busybox forgets variables that are no names of a shell's, such as tests give.
    shell = ImageFile(name="sh", address=f"package:{NAME}/static/bash-static", path="/bin/sh", mode=0o755)
    links = (ImageFile(name=name, path=f"/bin/{name}", link="busybox") for name in APPLETS)
    modes = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
    folders = (ImageFile(name=name, path=f"/{name}", mode=mode) for name, mode in modes.items())
    users = (
        ImageFile(name=name, address=f"codegen:{NAME}/{name}/{name}", path=f"/etc/{name}")
        for name in ("passwd", "group")
    )
    return OciImage(
        name="busybox",
        file="busybox.tar",
        reference=f"{_E2E}/busybox:1.36.1-1",
        layers=(_layer("program", (program, shell, *links)), _layer("files", (*folders, *users))),
        cmd=("sh",),
    )


def _web(name: str, reference: str, folder: str) -> OciImage:
    page = ImageFile(name="page", address=f"{_SOURCES}/httpd/index.html", path=f"{folder}/index.html")
    return OciImage(
        name=name,
        file=f"{name}.tar",
        reference=reference,
        base=f"package:{NAME}/busybox/busybox.tar",
        layers=(_layer("page", (page,)),),
        cmd=("httpd", "-f", "-p", "80", "-h", folder),
        # It has no way to end in order, and as the first process of a container it would wait for its end.
        stop_signal="SIGKILL",
    )


def _program(name: str, reference: str, program: str, path: str, mode: int = 0o755) -> OciImage:
    return _static(name, reference, ImageFile(name=program, address=address(NAME, program), path=path, mode=mode))


def _static(name: str, reference: str, program: ImageFile) -> OciImage:
    """Return an image of one static program and a folder for what it writes."""
    return OciImage(
        name=name,
        file=f"{name}.tar",
        reference=reference,
        layers=(_layer("program", (program, ImageFile(name="tmp", path="/tmp", mode=0o1777))),),  # noqa: S108 - the image's
        entrypoint=(program.path,),
        licences=(program.address,),
    )
