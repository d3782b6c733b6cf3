from __future__ import annotations

import doctest
import importlib

import pytest

from k8sbuild.golang.modfile import parse
from k8sbuild.golang.render import render_go_mod, render_go_sum


def test_go_mod_reads_back() -> None:
    requires = {"b.c/d": "v1.0.0", "a.b/c": "v2.0.0+incompatible"}
    replaces = {"b.c/d": ("../with space", ""), "a.b/c@v2.0.0+incompatible": ("x.y/z", "v1.0.0")}
    text = render_go_mod(module="m", go="1.22", requires=requires, replaces=replaces, godebug={"default": "go1.21"})
    mod = parse(text)
    assert (mod.requires, mod.replaces, mod.godebug) == (requires, replaces, {"default": "go1.21"})
    flipped = dict(reversed(requires.items()))
    assert text == render_go_mod(module="m", go="1.22", requires=flipped, replaces=replaces, godebug=mod.godebug)


def test_go_sum_is_sorted_by_version() -> None:
    sums = {"a@v1.10.0": ("h1:a", "h1:b"), "a@v1.9.0": ("", "h1:c")}
    assert render_go_sum(sums) == "a v1.9.0/go.mod h1:c\na v1.10.0 h1:a\na v1.10.0/go.mod h1:b\n"


@pytest.mark.parametrize("name", ["client", "dirhash", "failures", "modfile", "render", "semver"])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"k8sbuild.golang.{name}"))
    assert found.attempted
    assert not found.failed
