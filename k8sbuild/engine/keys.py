"""Keys: sha256 over a step's named components, so that any difference has a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["as_data", "compact", "digest", "key_of"]

#: Longer component values are replaced by their digest; the name stays.
_LITERAL = 200


def digest(data: bytes) -> str:
    """Return ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value: Any) -> str:
    """Return the canonical JSON of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(components: Mapping[str, str]) -> str:
    """Return the key of a step (hex) from its named components."""
    return hashlib.sha256(compact(dict(components)).encode()).hexdigest()


def literal(value: Any) -> str:
    """Return a component's value: short ones readable, long ones as digest."""
    text = compact(value)
    return text if len(text) <= _LITERAL else digest(text.encode())


def as_data(value: Any) -> Any:
    """Return a kind as JSON data; fields equal to their default are left out, so that new fields change no key."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: as_data(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != f.default and (getattr(value, f.name) or f.default_factory is not dict)
        }
    if isinstance(value, Mapping):
        return {str(k): as_data(v) for k, v in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [as_data(item) for item in value]
    return value
