"""Results: what a step with a given key gave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Result"]

_SCHEMA = "k8sbuild/result/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one step, found again by its key.

    Args:
        key: the step's key.
        step: its address.
        tree: digest of the tree it gave, ``sha256:<hex>``.
        components: the named components that the key was made from.
        seconds: how long the step took.
        made: when it ended, Unix time.
        facts: what else the step reports; plain JSON values.
    """

    key: str
    step: str
    tree: str
    components: Mapping[str, str]
    seconds: float
    made: float
    facts: Mapping[str, Any]

    def to_json(self) -> bytes:
        """Return the stored form, which carries its own checksum."""
        fields: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclass_fields(self)}
        fields |= {"components": dict(self.components), "facts": dict(self.facts)}
        document = {"schema": _SCHEMA, "sha256": _checksum(fields), "result": fields}
        return json.dumps(document, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Result:
        """Read the stored form.

        Raises:
            ValueError: it is damaged or of another version.
        """
        try:
            document = json.loads(data)
            fields = document["result"]
            if document["schema"] != _SCHEMA or document["sha256"] != _checksum(fields):
                raise ValueError("the result's checksum differs")
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a result: {error}") from error


def _checksum(fields: Mapping[str, Any]) -> str:
    return sha256(json.dumps(fields, separators=(",", ":"), sort_keys=True).encode("ascii")).hexdigest()
