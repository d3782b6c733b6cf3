"""Secrets of steps: values by name from the user's environment, kept out of every text that leaves a step.

A step that names ``TOKEN`` gets the value of ``K8SBUILD_SECRET_TOKEN``, or what the file
holds that ``K8SBUILD_SECRET_TOKEN_FILE`` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["mask", "resolve"]

_PREFIX = "K8SBUILD_SECRET_"
_MASK = "***"
#: A line of a secret that is as short stays: it would be masked in words that have nothing to do with it.
_SHORT = 4


def resolve(step: str, names: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that a step names, by name.

    Args:
        step: for messages.
        env: the user's environment.

    Raises:
        ConfigError: ``secret-missing``, ``secret-unreadable``.
    """
    found = {name: env.get(f"{_PREFIX}{name}") or _file(env, f"{_PREFIX}{name}_FILE") for name in names}
    if missing := [name for name, value in found.items() if not value]:
        raise ConfigError(
            f"{step} needs the secret {', '.join(missing)}, which is not set",
            reason="secret-missing",
            hint=f"set {_PREFIX}{missing[0]}, or {_PREFIX}{missing[0]}_FILE to a file that holds it",
        )
    return found


def _file(env: Mapping[str, str], variable: str) -> str:
    if not env.get(variable):
        return ""
    try:
        return Path(env[variable]).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"${variable}: {error}", reason="secret-unreadable", hint="name a file with text") from error


def mask(data: Any, hidden: Collection[str]) -> Any:
    r"""Return data without secrets, and without the lines of those that have several.

    >>> mask({"said": ["token hunter22"]}, ["hunter22"])
    {'said': ['token ***']}
    >>> mask("a line: BEGIN", ["BEGIN\nkey"])
    'a line: ***'
    """
    if not hidden:
        return data
    if isinstance(data, str):
        lines = {line for value in hidden for line in value.splitlines() if len(line) > _SHORT}
        for text in sorted({*hidden, *lines}, key=len, reverse=True):
            data = data.replace(text, _MASK)
        return data
    if isinstance(data, Mapping):
        return {mask(name, hidden): mask(value, hidden) for name, value in data.items()}
    return [mask(item, hidden) for item in data] if isinstance(data, (list, tuple)) else data
