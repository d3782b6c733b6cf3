"""Errors as values of a small tree.

::

    BuildError                 something stopped the build           exit 10
    ├── UsageError             the command line or its values        exit 11
    ├── ConfigError            k8sbuild.toml, options                exit 12
    ├── PluginError            a plugin cannot be loaded or raised   exit 13
    ├── ResolveError           versions, build list, lock            exit 14
    ├── FetchError             download, digest, extraction          exit 15
    ├── PatchError             a patch or Edit does not apply        exit 16
    ├── CodegenError           overlays, templates, generators       exit 17
    ├── CompileError           the Go compiler said no               exit 18
    ├── PackageError           archives and images                   exit 19
    ├── ValidateError          a check failed                        exit 20
    ├── PlanError              addresses, cycles, declarations       exit 21
    ├── StoreError             store, work trees, disk               exit 22
    ├── ToolError              a host tool is missing or wrong       exit 23
    └── Interrupted            SIGINT or SIGTERM                     exit 130

Every error has a stable ``reason`` (kebab-case, documented in the reference),
a message that says what failed and where, and a ``hint`` that names the next
command. Only the front ends turn errors into exit codes and text.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BuildError",
    "CodegenError",
    "CompileError",
    "ConfigError",
    "FetchError",
    "Interrupted",
    "PackageError",
    "PatchError",
    "PlanError",
    "PluginError",
    "ResolveError",
    "StoreError",
    "ToolError",
    "UsageError",
    "ValidateError",
    "suggest",
]


class BuildError(Exception):
    """Base of all errors that a user may see.

    Args:
        message: what failed and where, one or more lines.
        reason: stable kebab-case identifier; tests and the JSON form rely on it.
        hint: what to try next, a command where there is one.
        details: structured facts for the JSON form (paths, digests, hunks).
        log: path of the file that holds an external command's output.

    >>> error = FetchError("kine: digest differs", reason="digest-mismatch", hint="k8sbuild lock")
    >>> error.reason, error.exit_code
    ('digest-mismatch', 15)
    """

    exit_code: ClassVar[int] = 10

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
        log: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.log = log
        #: Address of the step that failed; the engine sets it.
        self.step = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; empty fields are left out."""
        fields: dict[str, Any] = {
            "reason": self.reason,
            "message": self.message,
            "hint": self.hint,
            "step": self.step,
            "log": self.log,
            "details": self.details,
            "exit_code": self.exit_code,
        }
        return {name: value for name, value in fields.items() if value not in ("", {})}


class UsageError(BuildError):
    """The command line, or a value on it, is wrong."""

    exit_code = 11


class ConfigError(BuildError):
    """A configuration file or an option is wrong."""

    exit_code = 12


class PluginError(BuildError):
    """A plugin cannot be loaded, clashes, or raised in a hook."""

    exit_code = 13


class ResolveError(BuildError):
    """A version, a build list or the lock cannot be resolved."""

    exit_code = 14


class FetchError(BuildError):
    """A source could not be fetched, or is not what the lock says."""

    exit_code = 15


class PatchError(BuildError):
    """A patch or an Edit does not apply."""

    exit_code = 16


class CodegenError(BuildError):
    """Overlays, templates or generators disagree or failed."""

    exit_code = 17


class CompileError(BuildError):
    """The compiler failed."""

    exit_code = 18


class PackageError(BuildError):
    """An archive or image could not be made."""

    exit_code = 19


class ValidateError(BuildError):
    """A check of the validate stage failed."""

    exit_code = 20


class PlanError(BuildError):
    """The declarations of a build do not fit together."""

    exit_code = 21


class StoreError(BuildError):
    """The store, a work tree or the disk failed."""

    exit_code = 22


class ToolError(BuildError):
    """A tool of the host is missing or has the wrong version."""

    exit_code = 23


class Interrupted(BuildError):  # noqa: N818 - it is an end that somebody wants
    """The user or the system asked to stop."""

    exit_code = 130


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known word, or one that begins so, else ``""``.

    >>> suggest("kins", ["kine", "k8s"]), suggest("kine", ["kine-integration"])
    ("; did you mean 'kine'?", "; did you mean 'kine-integration'?")
    """
    words = sorted(known)
    close = get_close_matches(word, words, n=1) or [other for other in words if word and other.startswith(f"{word}-")]
    return f"; did you mean {close[0]!r}?" if close else ""
