"""Checks that the fields of what a plugin yields are of the types that its kind declares."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from k8sbuild import kinds
from k8sbuild.errors import PluginError

__all__ = ["check"]

_Test = Callable[[Any], bool]


def check(plugin: str, item: Any) -> None:
    """Refuse a kind with a field that is not of its declared type; what is no kind is for others to judge.

    Args:
        plugin: named in the error.

    Raises:
        PluginError: ``bad-contribution``, naming kind, field, value and what is expected.
    """
    given: Any = type(item)
    for name, declared, test in _declared(given):
        value = getattr(item, name)
        if not _is(value, test):
            raise _misfit(plugin, item, name, value, declared)
        for part in value if isinstance(value, tuple) else ():
            check(plugin, part)


def _misfit(plugin: str, item: object, name: str, value: object, declared: Any) -> PluginError:
    kind, wanted = type(item).__name__, _said(declared)
    named = f"{kind} {getattr(item, 'name', '')!s}" if name != "name" else kind
    return PluginError(
        f"plugin {plugin}: {named}: {name} is {_shown(value)}; it must be {wanted}",
        reason="bad-contribution",
        hint=f"mend the plugin, or --no-plugin={plugin}",
        details={"plugin": plugin, "kind": kind, "field": name, "expected": wanted},
    )


@cache
def _declared(given: type) -> tuple[tuple[str, Any, _Test], ...]:
    kind = next((c for c in given.__mro__ if is_dataclass(c) and getattr(kinds, c.__name__, None) is c), None)
    types_ = [] if kind is None else [(f.name, _type(str(f.type))) for f in fields(kind)]
    return tuple((name, declared, _test(declared)) for name, declared in types_)


@cache
def _type(annotation: str) -> Any:
    # Several times as fast as typing.get_type_hints, which would resolve the recursive type Json as well.
    return eval(annotation, vars(kinds))  # noqa: S307 - text of our own kinds


def _is(value: object, test: _Test) -> bool:
    try:
        return test(value)
    except RecursionError:  # a list that is in itself
        return False


@cache
def _test(declared: Any) -> _Test:
    """Return the test of a type; made once, since looking at types takes longer than looking at values."""
    if isinstance(declared, str):  # Json in itself
        return lambda value: _test(_type(declared))(value)  # noqa: PLW0108 - it would never end
    origin, args = get_origin(declared), get_args(declared)
    if origin is Literal:
        return lambda value: value in args
    tests = [_test(one) for one in args if one is not ...]
    if origin in (UnionType, Union):
        return lambda value: any(test(value) for test in tests)
    if origin is Mapping:
        key, item = tests
        return lambda value: isinstance(value, Mapping) and all(key(k) and item(v) for k, v in value.items())
    if origin is not None:
        kinds_, (one,) = tuple if origin is tuple else (list, tuple), tests
        return lambda value: isinstance(value, kinds_) and all(map(one, value))
    return _PLAIN.get(declared) or (lambda value: isinstance(value, declared))


def _is_text(value: object) -> bool:
    """Say whether a value is text that can be written: half of a surrogate pair cannot."""
    return isinstance(value, str) and (value.isascii() or _encodes(value))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_PLAIN: dict[Any, _Test] = {
    str: _is_text,
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _said(declared: Any) -> str:
    args = get_args(declared)
    if get_origin(declared) is Literal:
        return f"one of {', '.join(map(repr, args))}"
    if get_origin(declared) is Mapping and get_args(args[1]):
        return "a mapping of names to JSON data"
    if args:
        return str(declared).replace("collections.abc.", "").replace("k8sbuild.kinds.", "")
    return str(declared.__name__)
