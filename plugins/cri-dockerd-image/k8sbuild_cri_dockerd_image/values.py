"""What users give, looked at before anything is fetched: it is there, and of the kind that is wanted.

Whether a kubelet takes all of a file, the tool of :mod:`.config` says later, which is made of the kubelet's sources.
"""

from __future__ import annotations

import re
from pathlib import Path

from k8sbuild.errors import ConfigError, UsageError, suggest

from .choice import is_kicbase

__all__ = ["base", "client_ca", "has_authority", "kubelet_config", "manifest", "source"]

#: A mapping's own ``kind``, where it is written in lines.
_KIND = re.compile(r"""(?m)^["']?kind["']?[ \t]*:[ \t]*["']?(\w*)""")


def base(value: str) -> None:
    """Check ``--base``.

    Raises:
        UsageError: ``bad-value``.
    """
    if value == "debian" or is_kicbase(value):
        return
    if re.match("kicbase[:@]", value):
        hint = f"kicbase:v0.0.47, kicbase@sha256:{'0' * 64}, or both"
        raise UsageError(f"--base={value}: no version or no digest", reason="bad-value", hint=hint)
    if not Path(value).expanduser().exists():
        raise UsageError(
            f"--base={value}: there is no such file{suggest(value, ('kicbase', 'debian'))}",
            reason="bad-value",
            hint="kicbase[:VERSION][@DIGEST], debian, or the tar of a root file system",
        )


def source(value: str) -> None:
    """Check where cri-dockerd shall come from: the address of a repository, or a folder.

    Raises:
        UsageError: ``bad-value``.
    """
    if "://" not in value and not value.startswith("git@") and not Path(value).expanduser().is_dir():
        raise UsageError(
            f"cri-dockerd-source: {value} is no folder",
            reason="bad-value",
            hint="a folder, or the address of a repository",
        )


def kubelet_config(value: str) -> None:
    """Check ``--kubelet-config``.

    Raises:
        UsageError: ``bad-value``, there is no such file.
        ConfigError: ``kubelet-config``, with file and line.
    """
    _of_kind(value, _text("--kubelet-config", value), "KubeletConfiguration", "a configuration of a kubelet")


def manifest(value: str) -> None:
    """Check the file of the static pod, as :func:`kubelet_config` does."""
    _of_kind(value, _text("--set cri-dockerd-image.manifest", value), "Pod", "a static pod")


def client_ca(value: str) -> None:
    """Check ``--expose-kubelet``.

    Raises:
        UsageError: ``bad-value``, there is no such file.
        ConfigError: ``kubelet-config``.
    """
    has_authority(value, _text("--expose-kubelet", value))


def has_authority(name: str, text: str) -> None:
    """Refuse a file without certificates, or with a key beside them.

    Raises:
        ConfigError: ``kubelet-config``.
    """
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise ConfigError(
            f"{name} has no certificate, or a key beside it",
            reason="kubelet-config",
            hint="--expose-kubelet=FILE: PEM, the certificates of those who sign clients' certificates",
        )


def _text(option: str, value: str) -> str:
    """Return what is in the file that an option names."""
    try:
        return Path(value).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"{option}={value}: {why}", reason="bad-value", hint="name a file that is there") from None


def _of_kind(name: str, text: str, kind: str, what: str) -> None:
    """Refuse a file that says to be of another kind; other ways to write a mapping are left to the tool."""
    found = _KIND.search(text)
    if found and found[1] != kind:
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(
            f"{name}:{line}: {what} must be a {kind}, not a {found[1] or 'thing without a kind'}",
            reason="kubelet-config",
            hint=f"kind: {kind}",
        )
