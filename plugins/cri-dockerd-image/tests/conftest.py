"""A small disk, as the library's tests have it, and the plugin without compilers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from disks import disk
from k8sbuild_cri_dockerd_image import plugin
from k8sbuild_cri_dockerd_image.choice import NAME

from k8sbuild.plugins import manager
from k8sbuild.project import Request

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["disk"]


@pytest.fixture
def request_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Request]:
    """Return a function that asks for the image in a project and with a cache of its own, with no other plugin."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(manager, "_installed", list)
    import without_compilers

    # Templates are files of the plugin's folder.
    monkeypatch.setattr(without_compilers, "__file__", plugin.__file__)

    def make(name: str = "project", *, config: str = "", env: dict[str, str] | None = None, **flags: Any) -> Request:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        (root / "k8sbuild.toml").write_text(config)
        given = {"target": plugin.TARGET, "k8s": "v1.34.0", "arch": "amd64", "jobs": 2}
        own = {f"{NAME}.{option.replace('_', '-')}": value for option, value in flags.items() if option not in _CORE}
        core = {option: value for option, value in flags.items() if option in _CORE}
        cache = {"K8SBUILD_CACHE_DIR": str(tmp_path / f"cache-{name}")}
        return Request(
            flags={**given, **core, **own}, env={**cache, **(env or {})}, root=root, extra=((NAME, without_compilers),)
        )

    return make


#: Options of the library that tests give.
_CORE = ("k8s", "offline", "locked", "plugin")
