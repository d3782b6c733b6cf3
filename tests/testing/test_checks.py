"""The conformance checks: our own test plugins pass, and each fault of a bad one is named."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.kinds import Check, GoBinary, Option, Overlay, PluginInfo, Target
from k8sbuild.testing import checks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture(params=["tiny", "stranger"])
def plugin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(PLUGINS / request.param)
    module = __import__(f"k8sbuild_{request.param}.plugin", fromlist=["plugin"])
    yield module
    for name in [name for name in sys.modules if name.startswith(f"k8sbuild_{request.param}")]:
        del sys.modules[name]


def test_the_test_plugins_conform(plugin: ModuleType) -> None:
    checks.conforms(plugin, checks.sample_build(plugin, target="tiny", k8s="v1.99.3"))


def test_options_of_a_sample_build(plugin: ModuleType) -> None:
    build = checks.sample_build(plugin, target="tiny", greeting="Hi")
    assert build.options.get("stranger.greeting", "Hi") == "Hi"


class Bad:
    """A plugin that does most things wrong."""

    calls = count()

    def k8sbuild_plugin(self) -> PluginInfo:
        """Say who this is."""
        return PluginInfo(name="bad", pins="none.toml")

    def k8sbuild_targets(self) -> Iterator[Target]:
        """Offer a target without help."""
        yield Target(name="bad", help=" ", artifacts={})

    def k8sbuild_options(self) -> Iterator[Option]:
        """Offer nothing."""
        return iter(())

    def k8sbuild_codegen(self, build: Any) -> Iterator[Overlay]:
        """Name a folder that is not there, twice."""
        yield Overlay(name="same", root="nowhere")
        yield Overlay(name="same", root="nowhere")

    def k8sbuild_compile(self, build: Any) -> Iterator[Any]:
        """Yield other data each time, a value without JSON form, and what is no kind."""
        yield GoBinary(name=f"bad-{next(self.calls)}", package="./cmd", env={"A": object()})  # type: ignore[dict-item]
        yield object()

    def k8sbuild_validate(self, build: Any) -> Iterator[Check]:
        yield Check(name="a", run="no_such_module:run", inputs=())
        yield Check(name="b", run="json:none", inputs=())
        yield Check(name="c", run="json", inputs=())
        yield Check(name="d", run="json:JSONDecodeError.msg", inputs=())


@pytest.mark.parametrize(
    "words",
    [
        "k8sbuild_compile: yields other data when it is called again",
        "k8sbuild_codegen: two Overlay are named 'same'",
        "k8sbuild_compile: yields object, which is no kind",
        ".env: Object of type object is not JSON serializable",
        "No module named 'no_such_module'",
        "has no attribute 'none'",
        "is not module:function",
        "Overlay 'same': no nowhere",
        "k8sbuild_plugin: no none.toml",
        "k8sbuild_validate: no docstring",
        "Target 'bad' has no help",
    ],
)
def test_every_fault_is_named(words: str) -> None:
    bad = Bad()
    with pytest.raises(AssertionError) as caught:
        checks.conforms(bad, checks.sample_build(bad, target="bad"))
    assert words in str(caught.value)
