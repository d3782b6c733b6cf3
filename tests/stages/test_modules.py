"""A compile from modules that somebody, or the disk, changed."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from k8sbuild.engine.inside import inside
from k8sbuild.errors import BuildError, CompileError
from k8sbuild.golang.dirhash import hash1
from k8sbuild.stages.modules import Modules
from k8sbuild.testing import steps
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

NAMES = ("example.org/a@v1.0.0", "example.org/b@v1.0.0")
TEXT = "package x\n"
SUMS = {name: hash1([(f"{name}/x.go", sha256(TEXT.encode()).hexdigest())]) for name in NAMES}
ZIPS = "fetch:p/modules"


class Compiler:
    """Extracts what is missing, as ``go`` does, and notes what it compiled; fails as often as it is told.

    What goes meanwhile, since it is looked at beside it and is wrong, is noted as gone.
    """

    def __init__(self, modcache: Path, failures: int = 0, reason: str = "command-failed", extracts: str = TEXT) -> None:
        self.modcache, self.failures, self.reason, self.extracts = modcache, failures, reason, extracts
        self.seen: list[dict[str, str]] = []

    def __call__(self) -> None:
        for name in NAMES:
            if not (self.modcache / name).is_dir():
                write(self.modcache / name, {"x.go": self.extracts})
        self.seen.append({name: _text(self.modcache / name / "x.go") for name in NAMES})
        if len(self.seen) <= self.failures:
            raise BuildError("go ended with 1", reason=self.reason)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return "gone"


@pytest.fixture
def warnings() -> list[str]:
    """Collect what the step warns of."""
    return []


@pytest.fixture
def ctx(tmp_path: Path, warnings: list[str]) -> StepContext:
    """Return a step with two modules, of which the first is extracted."""
    sums = json.dumps({name: [value, ""] for name, value in SUMS.items()}).encode()
    made = steps.context(tmp_path, {}, inputs={ZIPS: {"sums.json": (0o644, sums)}}, warn=warnings.append)
    write(inside(made).folders.cache / "modcache" / NAMES[0], {"x.go": TEXT})
    return made


def modcache(ctx: StepContext) -> Path:
    return inside(ctx).folders.cache / "modcache"


def spoil(folder: Path) -> None:
    (folder / "x.go").write_text("package evil\n")


def test_sound_modules_are_compiled_once(ctx: StepContext, warnings: list[str]) -> None:
    compiler = Compiler(modcache(ctx))
    Modules(ctx, ZIPS).sound(compiler)
    assert (len(compiler.seen), warnings) == (1, [])


@pytest.mark.parametrize("failures", [0, 1])
def test_a_wrong_module_is_extracted_anew_and_all_compiled_again(
    ctx: StepContext, warnings: list[str], failures: int
) -> None:
    spoil(modcache(ctx) / NAMES[0])
    compiler = Compiler(modcache(ctx), failures)
    Modules(ctx, ZIPS).sound(compiler)
    assert len(compiler.seen) == 2
    assert set(compiler.seen[-1].values()) == {TEXT}
    assert [NAMES[0] in text for text in warnings] == [True]


def fails(ctx: StepContext, compiler: Callable[[], object]) -> BuildError:
    with pytest.raises(BuildError) as caught:
        Modules(ctx, ZIPS).sound(compiler)
    return caught.value


def test_a_failure_with_sound_modules_is_the_compilers(ctx: StepContext) -> None:
    compiler = Compiler(modcache(ctx), failures=1)
    assert fails(ctx, compiler).reason == "command-failed"
    assert len(compiler.seen) == 1


def test_what_is_no_failure_of_a_command_ends_at_once(ctx: StepContext) -> None:
    spoil(modcache(ctx) / NAMES[0])
    compiler = Compiler(modcache(ctx), failures=1, reason="interrupted")
    assert fails(ctx, compiler).reason == "interrupted"
    assert len(compiler.seen) == 1


def test_what_is_extracted_wrong_twice_is_an_error(ctx: StepContext) -> None:
    compiler = Compiler(modcache(ctx), extracts="package evil\n")
    error = fails(ctx, compiler)
    assert isinstance(error, CompileError)
    assert (error.reason, len(compiler.seen)) == ("digest-mismatch", 2)
    assert NAMES[1] in error.message
