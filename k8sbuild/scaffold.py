"""A repository for a new distribution: tasks, configuration and a plugin."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import UsageError
from .plugins import load

__all__ = ["init"]

#: Template by path in the new repository.
_FILES = {
    "tasks.py": "tasks.py.in",
    "k8sbuild.toml": "k8sbuild.toml.in",
    "requirements.txt": "requirements.txt.in",
    ".gitignore": "gitignore.in",
    "README.md": "README.md.in",
    "plugin/pyproject.toml": "plugin/pyproject.toml.in",
    "plugin/@PACKAGE@/__init__.py": "plugin/package/__init__.py.in",
}


def init(folder: Path | None = None, *, name: str = "", dry: bool = False) -> tuple[str, ...]:
    """Write tasks, configuration and a plugin into a folder, and return their paths; nothing is written over.

    Args:
        folder: made when needed; without it the current one, which must be empty but for hidden files.
        name: the plugin's; the folder's by default.
        dry: only say what would be written.

    Raises:
        UsageError: ``file-exists``, ``folder-not-empty``, ``bad-value``; ``name-taken``: a plugin of that name is
            installed.
    """
    if folder is None:
        _refuse_full(folder := Path())
    name = name or folder.resolve().name
    made = _render(name)
    _refuse_taken(name)
    there = [path for path in made if (folder / path).exists()]
    if there:
        raise UsageError(
            f"{folder / there[0]} exists already", reason="file-exists", hint="k8sbuild init --folder=NEW-FOLDER"
        )
    for path, text in {} if dry else made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return tuple(made)


def _refuse_full(folder: Path) -> None:
    if any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UsageError(
            f"{folder.resolve()} is not empty",
            reason="folder-not-empty",
            hint="k8sbuild init --folder=NEW-FOLDER, or --folder=. for this one all the same",
        )


def _refuse_taken(name: str) -> None:
    found = load()
    if name in {item.name for item in (*found, *found.broken)}:
        raise UsageError(
            f"a plugin {name!r} is installed already", reason="name-taken", hint="k8sbuild init --name=OTHER-NAME"
        )


def _render(name: str) -> dict[str, str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"{name!r} cannot name a plugin: lower-case words joined by dashes can",
            reason="bad-value",
            hint="k8sbuild init --name=my-distribution",
        )
    values = {
        "@NAME@": name,
        "@PROJECT@": f"k8sbuild-{name}",
        "@PACKAGE@": f"k8sbuild_{name}".replace("-", "_"),
        "@REQUIREMENTS@": "\n".join(_requirements()),
    }
    root = files(__package__) / "skeleton"
    return {
        _fill(path, values): _fill((root / template).read_text("utf-8"), values) for path, template in _FILES.items()
    }


def _requirements() -> list[str]:
    """Return a line for the library and each installed plugin: by name, or by folder where that is where it is from."""
    names = dict.fromkeys(["k8sbuild", *(plugin.distribution for plugin in load() if plugin.distribution)])
    return [_requirement(name) for name in names]


def _requirement(name: str) -> str:
    try:
        origin = json.loads(distribution(name).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return name
    folder = origin.get("url", "") if "dir_info" in origin else ""
    return f"-e {shlex.quote(unquote(urlsplit(folder).path))}" if folder.startswith("file:") else name


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
