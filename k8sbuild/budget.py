"""The budget of modules that may differ from Kubernetes' go.mod, and why a build may be far over it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from .build import matches
from .errors import ConfigError, PatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Patched", "check_budget"]

#: A folder of patches, the source that they change, its version, and the patches that are taken; None for all.
Patched: TypeAlias = "tuple[Path, str, str, tuple[str, ...] | None]"


def check_budget(allowed: int, raised: Mapping[str, Sequence[str]], patched: Iterable[Patched]) -> None:
    """Refuse a program of which more modules differ than may.

    Args:
        allowed: how many modules may differ.
        raised: the modules that differ, by program.
        patched: the build's series; those made for other versions are named first, as the likely cause.

    Raises:
        ConfigError: ``budget-raised-modules``.
    """
    for program, modules in raised.items():
        if len(modules) > allowed:
            over = (
                f"{program}: {len(modules)} modules differ from Kubernetes' go.mod, "
                f"max-raised-modules is {allowed}: {', '.join(modules[:5])}, …"
            )
            others = sorted({text for series in patched for text in _made_for_others(*series)})
            raise ConfigError("\n".join([*others, over]), reason="budget-raised-modules", hint=_hint(bool(others)))


def _hint(moving: bool) -> str:
    if not moving:
        return "lower them with GoReplace, or raise the budget in k8sbuild.toml"
    return (
        "take a version that the patches are for; or raise the budget in k8sbuild.toml and go on as the how-to says "
        "under 'move to a new Kubernetes version'"
    )


def _made_for_others(folder: Path, source: str, version: str, only: tuple[str, ...] | None) -> Iterator[str]:
    from .patching.ledger import parse_ledger

    # What is wrong with a ledger is for `lint` to say.
    with suppress(OSError, PatchError):
        for patch, entry in parse_ledger(str(folder), (folder / "ledger.toml").read_bytes()).items():
            if (only is None or patch in only) and entry.applies_to and not matches(version, entry.applies_to):
                yield f"patches of {source} are made for {entry.applies_to}, not for {version}"
