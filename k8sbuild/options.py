"""Options with one source: each gives a flag, an environment variable, a config key and a doc row.

Precedence: flag > ``K8SBUILD_*`` > named aliases (``K8S_VERSION``) > k8sbuild.toml
> ``[tool.k8sbuild]`` in pyproject.toml > the target's defaults > the option's default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import at_home
from .errors import ConfigError, UsageError, suggest
from .kinds import Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CORE", "Declared", "Value", "declare", "given", "parse", "resolve"]

_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
#: Flags of all commands, Invoke's among them.
_TAKEN = frozenset({"--help", "--format", "--dry", "--version"})

Value = str | int | bool | tuple[str, ...]

CORE: tuple[Option, ...] = (
    Option(name="target", help="what to build; see `k8sbuild plugins`"),
    Option(
        name="k8s",
        help="Kubernetes version, for example v1.31.4",
        type="version",
        env=("K8S_VERSION",),
        source="kubernetes",
    ),
    Option(name="arch", help="platform to build for", choices=("amd64", "arm64")),
    Option(name="plugin", help="use only these plugins (and what they require)", type="list"),
    Option(name="no-plugin", help="leave these plugins out", type="list"),
    Option(name="provider", help="where sources come from: KIND or SOURCE=KIND", type="list"),
    Option(name="jobs", help="cores to use (0: all)", type="int", default=0),
    Option(name="offline", help="use no network; what is missing is an error", type="bool", default=False),
    Option(name="locked", help="refuse sources that k8sbuild.lock does not have", type="bool", default=False),
    Option(name="fast", help="no live checks, fastest compression", type="bool", default=False),
    Option(
        name="skip-validate", help="leave the validate stage out", type="bool", default=False, env=("SKIP_VALIDATE",)
    ),
    Option(
        name="verify",
        help="build twice, the second time with an empty compile cache (a cold compile), and compare",
        type="bool",
        default=False,
    ),
    Option(name="check-store", help="re-hash everything that is reused", type="bool", default=False),
    Option(name="toolchain", help="folder of a Go toolchain to use instead of the pinned one", type="path"),
    Option(name="out", help="folder for the artifacts", type="path", default="dist"),
    Option(name="set", help="PLUGIN.OPTION=VALUE; may be repeated", type="list"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An option and the plugin that declares it (``""`` for the library's own)."""

    plugin: str
    option: Option

    @property
    def key(self) -> str:
        """``name`` of a library option, ``plugin.name`` of a plugin's."""
        return f"{self.plugin}.{self.option.name}" if self.plugin else self.option.name

    @property
    def flag(self) -> str:
        """The flag without dashes; empty where only ``--set`` reaches the option."""
        return self.option.flag.lstrip("-") if self.plugin else self.option.name

    @property
    def only_flag(self) -> bool:
        """Say whether the option is nothing but a way to give others on the command line."""
        return self.key == "set"

    @property
    def variable(self) -> str:
        """The environment variable that always works; empty for an option of the command line."""
        return "" if self.only_flag else "K8SBUILD_" + self.key.upper().replace("-", "_").replace(".", "_")


def declare(plugins: Iterable[tuple[str, Option]]) -> dict[str, Declared]:
    """Return all options by key; a clash of names or flags names both owners.

    Args:
        plugins: ``(plugin, option)`` pairs.

    Raises:
        ConfigError: ``option-clash``, ``bad-contribution``.
    """
    declared: dict[str, Declared] = {}
    owner: dict[str, Declared] = {}
    for item in [
        *(Declared(plugin="", option=o) for o in CORE),
        *(Declared(plugin=p, option=o) for p, o in plugins),
    ]:
        _check_names(item)
        for name in {item.key, item.flag or item.key, item.variable or item.key, *item.option.env}:
            other = owner.setdefault(name, item)
            if other is not item:
                who = " and ".join(d.plugin or "k8sbuild" for d in (other, item))
                raise ConfigError(f"option {name!r} is declared twice, by {who}", reason="option-clash")
        declared[item.key] = item
    return declared


def _check_names(item: Declared) -> None:
    """Refuse names that no command line could give, and flags that every command has itself."""
    option = item.option
    problem = ""
    if not _WORD.fullmatch(option.name):
        problem = f"the name {option.name!r} is not lower-case words joined by dashes"
    elif option.flag and not (option.flag.startswith("--") and _WORD.fullmatch(option.flag[2:])):
        problem = f"the flag {option.flag!r} is not -- and lower-case words joined by dashes"
    elif option.flag in _TAKEN:
        problem = f"every command has a flag {option.flag} of its own"
    if problem:
        raise ConfigError(
            f"plugin {item.plugin}: Option {option.name}: {problem}",
            reason="bad-contribution",
            hint=f"mend the plugin, or --no-plugin={item.plugin}",
        )


def parse(item: Declared, raw: Any, where: str) -> Value:
    """Read a value of an option from text or TOML.

    Args:
        raw: a string, or what TOML gave.
        where: named in the error (``--jobs``, ``k8sbuild.toml``).

    Raises:
        UsageError: ``bad-value``.
    """
    option = item.option
    value = _convert(option, raw)
    if value is None:
        raise UsageError(
            f"{where}: {raw!r} is not a value of type {option.type} for {item.key}",
            reason="bad-value",
            hint=f"{item.key}: {option.help}",
        )
    if option.choices and value not in ("", *option.choices):
        raise UsageError(
            f"{where}: {raw!r} is not one of {', '.join(option.choices)}" + suggest(str(value), option.choices),
            reason="bad-value",
        )
    return value


def _convert(option: Option, raw: Any) -> Value | None:
    if option.type == "bool":
        return _boolean(raw)
    if option.type == "int":
        text = str(raw).strip()
        return int(text) if text.isascii() and text.isdigit() and not isinstance(raw, bool) else None
    if option.type == "list":
        parts = raw if isinstance(raw, (list, tuple)) else str(raw).split(",")
        return tuple(str(part).strip() for part in parts if str(part).strip())
    return str(raw) if isinstance(raw, (str, int)) and not isinstance(raw, bool) and "\0" not in str(raw) else None


def _boolean(raw: Any) -> bool | None:
    if isinstance(raw, bool):
        return raw
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }.get(str(raw).strip().lower(), False if str(raw).strip() == "" else None)


def resolve(
    declared: Mapping[str, Declared],
    *,
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    files: Iterable[tuple[str, Mapping[str, Any]]],
    defaults: Mapping[str, str],
    root: Path = Path(),
) -> dict[str, Value]:
    """Return the value of every option.

    Args:
        flags: by key, what the command line gave (``set`` included).
        files: ``(name, table)`` of configuration files, the strongest first.
        defaults: a target's defaults by key.
        root: the files' folder: relative paths in them are seen from there.

    Raises:
        UsageError: ``bad-value``, ``unknown-option``, ``option-unused``.
        ConfigError: ``unknown-option``.
    """
    tables = [(name, _flatten(table)) for name, table in files]
    _refuse_unknown(declared, tables)
    _refuse_flags(env, tables)
    _refuse_left_out(declared, flags)
    tables = [(name, {key: _seen_from(root, declared[key], raw) for key, raw in t.items()}) for name, t in tables]
    settings = _settings(declared, flags)
    return {key: _value(item, flags, settings, env, tables, defaults) for key, item in declared.items()}


def _value(
    item: Declared,
    flags: Mapping[str, Any],
    settings: Mapping[str, str],
    env: Mapping[str, str],
    tables: list[tuple[str, dict[str, Any]]],
    defaults: Mapping[str, str],
) -> Value:
    if item.key in settings:
        return parse(item, settings[item.key], f"--set {item.key}")
    if _is_given(flags.get(item.key)):
        return parse(item, flags[item.key], f"--{item.flag or item.key}")
    for name in (item.variable, *item.option.env):
        if env.get(name):
            return parse(item, env[name], name)
    for name, table in tables:
        if item.key in table:
            return parse(item, table[item.key], name)
    return parse(item, defaults.get(item.key, item.option.default), "default")


def _is_given(flag: Any) -> bool:
    """Say whether the command line has a flag; ``0`` is a value, a switch that is off is none."""
    return flag is not None and flag is not False and flag not in ("", (), [])


def _settings(declared: Mapping[str, Declared], flags: Mapping[str, Any]) -> dict[str, str]:
    """Read ``--set plugin.option=value``; repeated list values are joined."""
    found: dict[str, str] = {}
    for text in flags.get("set") or ():
        key, equals, value = str(text).partition("=")
        if not equals or key not in declared:
            raise UsageError(
                f"--set {text}: " + (_unknown(declared, key) if equals else "expected KEY=VALUE"),
                reason="unknown-option" if equals else "bad-value",
                hint="k8sbuild plugins --options",
            )
        if not value and declared[key].option.type not in ("list", "str"):
            raise UsageError(
                f"--set {text}: the value is empty", reason="bad-value", hint=f"give a value, or leave --set {key} out"
            )
        joined = f"{found[key]},{value}" if key in found and declared[key].option.type == "list" else value
        found[key] = joined
    return found


def _unknown(declared: Mapping[str, Declared], key: str) -> str:
    plugin = key.rpartition(".")[0]
    missing = plugin and not any(item.plugin == plugin for item in declared.values())
    return f"no option {key!r}" + (f", no plugin {plugin!r} takes part" if missing else suggest(key, declared))


def _flatten(table: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in table.items() if not isinstance(value, dict)}
    for plugin, options in table.get("plugins", {}).items():
        flat.update({f"{plugin}.{name}": value for name, value in options.items()})
    return flat


def _seen_from(root: Path, item: Declared, raw: Any) -> Any:
    return str(root / at_home(raw)) if item.option.type == "path" and isinstance(raw, str) and raw else raw


def _refuse_flags(env: Mapping[str, str], tables: list[tuple[str, dict[str, Any]]]) -> None:
    """Refuse ``set`` where it is no flag: there every option has a name of its own."""
    places = [f"{name}: set" for name, table in tables if "set" in table]
    places += ["K8SBUILD_SET"] if env.get("K8SBUILD_SET") else []
    for place in places:
        raise ConfigError(
            f"{place} is not read; --set is for the command line",
            reason="unknown-option",
            hint="[plugins.<plugin>] <option> = … in k8sbuild.toml, or K8SBUILD_<PLUGIN>_<OPTION>",
        )


def _refuse_left_out(declared: Mapping[str, Declared], flags: Mapping[str, Any]) -> None:
    """Refuse what the command line gives to a plugin that it leaves out."""
    for key, value in flags.items():
        if _is_given(value) and key not in declared:
            plugin = key.rpartition(".")[0]
            raise UsageError(
                f"the option {key} is of the plugin {plugin}, which is left out",
                reason="option-unused",
                hint=f"leave the option out, or let {plugin} take part: --plugin and --no-plugin choose",
            )


def given(declared: Mapping[str, Declared], flags: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that the command line sets, each with how: ``--kine``, ``--set kine-integration.kine``."""
    named = {key: f"--{declared[key].flag or key}" for key, value in flags.items() if _is_given(value)}
    return {**named, **{key: f"--set {key}" for key in _settings(declared, flags)}}


def _refuse_unknown(declared: Mapping[str, Declared], tables: list[tuple[str, dict[str, Any]]]) -> None:
    for name, table in tables:
        for key in table:
            plugin = key.rpartition(".")[0]
            if plugin and not any(item.plugin == plugin for item in declared.values()):
                raise ConfigError(
                    f"{name}: [plugins.{plugin}]: no installed plugin {plugin!r} has options",
                    reason="unknown-option",
                    hint="pip install -r requirements.txt, or k8sbuild plugins",
                )
            if key not in declared:
                raise ConfigError(
                    f"{name}: unknown key {key!r}{suggest(key, declared)}",
                    reason="unknown-option",
                    hint="k8sbuild plugins --options",
                )
