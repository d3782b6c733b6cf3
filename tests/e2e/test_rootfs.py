"""A root file system from real Debian packages, and an image on it: the same bytes in two folders."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from k8sbuild import api
from k8sbuild.errors import FetchError
from k8sbuild.kinds import ImageFile, ImageLayer, OciImage, RootFs, Source, Target
from k8sbuild.providers import _apt
from k8sbuild.stages import rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor

pytestmark = pytest.mark.e2e


@pytest.fixture
def suite() -> str:
    """Return the suite of this machine's first archive."""
    if shutil.which("mmdebstrap", path=rootfs.PATH) is None:
        pytest.skip("no mmdebstrap: root file systems from packages are NOT tested here")
    known = [r for r in _apt.configured({}) if "main" in r.components and "-" not in r.suite]
    if not known:
        pytest.skip("apt has no archive here: root file systems from packages are NOT tested")
    return known[0].suite


def test_a_system_from_packages_is_the_same_in_two_folders(
    plugin: Make, request_for: RequestFor, suite: str, tmp_path: Path
) -> None:
    link = ImageFile(name="on", path="/etc/on", link="off")
    toy = plugin(
        targets=[Target(name="toy", help="", artifacts={n: f"package:toy/{n}/{n}.tar" for n in ("root", "image")})],
        fetch=[Source.debian("debs", suite, ["?essential"], "amd64")],
        package=[
            RootFs(name="root", file="root.tar", packages="fetch:toy/debs"),
            OciImage(
                name="image",
                file="image.tar",
                reference="toy:v1",
                base="package:toy/root/root.tar",
                layers=(ImageLayer(name="l", files=(link,)),),
            ),
        ],
    )
    made = []
    for name in ("one", "two"):
        cache = {"K8SBUILD_CACHE_DIR": str(tmp_path / f"cache-{name}")}
        request = request_for(toy, root=tmp_path / name, env=cache, arch="amd64")
        if made:
            shutil.copy(tmp_path / "one/k8sbuild.lock", request.root)
        try:
            api.build(request)
        except FetchError as error:
            if error.reason != "network-error":
                raise
            pytest.skip(f"no archive of packages can be reached, so this is NOT tested: {error.message}")
        made.append({n: (request.root / "dist/artifacts" / n).read_bytes() for n in ("root", "image")})
    assert made[0] == made[1]
    assert "://" not in (tmp_path / "one/k8sbuild.lock").read_text(), "no host of an archive"
    with tarfile.open(fileobj=io.BytesIO(made[0]["root"])) as tar:
        names = {info.name.removeprefix("./").rstrip("/") for info in tar}
    assert {"usr/bin/dash", "etc/passwd", "var/lib/dpkg/status"} <= names
    assert names.isdisjoint({"etc/hostname", "etc/resolv.conf", "etc/apt/sources.list"})
    assert not [name for name in names if "k8sbuild" in name or name.startswith("etc/apt/sources.list.d/")]
    with tarfile.open(fileobj=io.BytesIO(made[0]["image"])) as tar:
        (said,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert len(said["Layers"]) == 2
