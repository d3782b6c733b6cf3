"""The project: its root folder and what its configuration files say."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["STATE", "Project", "at_home", "cache_folder", "find_project"]

#: Folder of a project for what its builds leave: run logs, work trees, edit trees.
STATE = ".k8sbuild"

#: The tables, and what their values are.
_TABLES: Mapping[str, type[Any]] = {"plugins": dict, "sources": dict, "patches": str, "budget": int}
#: The keys of the tables whose keys are not names: of each ``[sources.NAME]``, and of ``[budget]``.
_SOURCE_KEYS = ("provider", "location")
_BUDGET_KEYS = ("max-raised-modules",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A distribution's repository.

    ``files`` are ``(name, table)`` of its configuration, strongest first;
    ``sources``, ``patches`` and ``budget`` are their merged tables.
    """

    root: Path
    files: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    patches: Mapping[str, str] = field(default_factory=dict)
    budget: Mapping[str, int] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        """Where ``k8sbuild.lock`` is."""
        return self.root / "k8sbuild.lock"

    @property
    def state(self) -> Path:
        """Folder for run logs, work trees and edit trees."""
        return self.root / STATE


def find_project(start: Path) -> Project:
    """Return the project that ``start`` is in: the nearest folder upwards with a configuration.

    Without one, ``start`` itself is the root and everything has its default.

    Raises:
        ConfigError: ``config-syntax``, ``unknown-key`` or ``bad-value``.
    """
    for folder in (start, *start.parents):
        files = _read_files(folder)
        if files:
            return _project(folder, files)
    return Project(root=start)


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of store, module cache and compile cache; ``K8SBUILD_CACHE_DIR`` overrides."""
    if env.get("K8SBUILD_CACHE_DIR"):
        return Path(env["K8SBUILD_CACHE_DIR"]).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("k8sbuild", appauthor=False)


def at_home(text: str) -> Path:
    """Return a path with ``~`` as the user's folder; one of a user that there is none of stays as it is."""
    with suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _read_files(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    if (folder / "k8sbuild.toml").exists():
        found.append(("k8sbuild.toml", _read(folder / "k8sbuild.toml")))
    if (folder / "pyproject.toml").is_file():
        tool = _read(folder / "pyproject.toml").get("tool", {})
        table = tool.get("k8sbuild") if isinstance(tool, dict) else None
        if table is not None:
            found.append(("pyproject.toml", table))
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: {why}", reason="config-syntax") from error


def _check(name: str, key: str, table: Any) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{name}: {key} is not a table", reason="bad-value")
    words = {dict: "a table", str: "a folder", int: "a number"}
    for entry, value in table.items():
        if not isinstance(value, _TABLES[key]):
            raise ConfigError(f"{name}: [{key}] {entry} = {value!r} is not {words[_TABLES[key]]}", reason="bad-value")
        if key == "sources":
            _known(name, f"[sources.{entry}]", value, _SOURCE_KEYS)
            for part, text in value.items():
                if not isinstance(text, str) or not text:
                    raise ConfigError(f"{name}: [sources.{entry}] {part} = {text!r} is no text", reason="bad-value")
        if value == "":
            raise ConfigError(f"{name}: [{key}] {entry} is empty", reason="bad-value", hint="name a folder")
        if key == "budget" and (value < 0 or isinstance(value, bool)):
            raise ConfigError(f"{name}: [budget] {entry} = {value!r} is no number from 0 on", reason="bad-value")
    if key == "budget":
        _known(name, "[budget]", table, _BUDGET_KEYS)


def _known(name: str, table: str, keys: Iterable[str], known: tuple[str, ...]) -> None:
    for key in keys:
        if key not in known:
            raise ConfigError(f"{name}: {table}: unknown key {key!r}{suggest(key, known)}", reason="unknown-key")


def _project(root: Path, files: list[tuple[str, dict[str, Any]]]) -> Project:
    merged: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for name, table in reversed(files):
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: tool.k8sbuild is not a table", reason="bad-value")
        for key, value in table.items():
            if isinstance(value, dict) or key in _TABLES:
                if key not in _TABLES:
                    raise ConfigError(f"{name}: unknown table [{key}]{suggest(key, _TABLES)}", reason="unknown-key")
                _check(name, key, value)
                merged[key].update(value)
    return Project(
        root=root,
        files=tuple(files),
        sources=merged["sources"],
        patches=merged["patches"],
        budget=merged["budget"],
    )
