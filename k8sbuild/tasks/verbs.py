"""All commands; what they do is a few lines over :mod:`k8sbuild.api` each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from k8sbuild.kinds import Option
from k8sbuild.options import CORE

from . import editing, looking, running, testing, upkeep
from .command import Answer, Call, Command
from .helping import help_about

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.kinds import Stage

__all__ = ["COMMANDS"]

_ALL = tuple(option.name for option in CORE)
#: What changes a stage's results or how they are made.
_BUILD = tuple(name for name in _ALL if name not in ("fast", "skip-validate", "verify", "out"))
#: What decides how the trees are prepared that developers' commands work in; those are for this machine.
_PREPARE = tuple(name for name in _BUILD if name != "arch")


def _build(name: str, about: str, options: tuple[str, ...], *, aliases: tuple[str, ...] = (), **how: Any) -> Command:
    """Return a command that builds, so that its dry run is the plan."""
    return Command(
        name=name,
        help=about,
        aliases=aliases,
        run=partial(running.build, **how),
        dry=partial(running.plan, **how),
        options=options,
        plugins=True,
    )


def _stage(stage: Stage, about: str, *more: str, aliases: tuple[str, ...] = ()) -> Command:
    return _build(stage, about, (*_BUILD, *more), aliases=aliases, until=stage)


def _change(name: str, about: str, run: Callable[..., Answer], **rest: Any) -> Command:
    """Return a command that changes files and says with ``dry`` what it would change."""
    return Command(name=name, help=about, run=run, dry=partial(run, dry=True), **rest)


def _look(name: str, about: str, run: Callable[[Call], Answer], **rest: Any) -> Command:
    """Return a command that changes nothing, so that its dry run is itself."""
    return Command(name=name, help=about, run=run, dry=run, **rest)


_RUNNING = (
    _build("build", "Build, package and prove a target.", _ALL),
    _build(
        "build-fast",
        "Build the same binary without live checks.",
        tuple(name for name in _ALL if name != "fast"),
        flags={"fast": True},
    ),
    Command(
        name="setup",
        help="Fetch the toolchain, look at this machine.",
        run=running.setup,
        dry=None,
        options=_BUILD,
        plugins=True,
    ),
    _stage("fetch", "Fetch sources, modules and toolchains.", aliases=("download",)),
    _stage("patch", "Apply patches and edits to the sources."),
    _stage("codegen", "Generate go.mod, registries, templates.", aliases=("generate",)),
    _stage("compile", "Compile the programs."),
    _stage("package", "Make archives and other artifacts.", "fast", "out"),
    _stage("validate", "Check the artifacts.", "fast", "out"),
    Command(
        name="lock",
        help="Complete k8sbuild.lock; --check only looks.",
        run=running.lock,
        dry=None,
        options=tuple(name for name in _BUILD if name != "locked"),
        plugins=True,
        own=(
            Option(name="check", help="fail where the lock lacks something", type="bool", default=False),
            Option(name="update", help="SOURCE@VERSION to fetch and lock as it is now", type="list"),
        ),
    ),
)

_LOOKING = (
    _look(
        "plan",
        "Say which steps will run, and why.",
        running.plan,
        options=tuple(name for name in _ALL if name != "verify"),
        plugins=True,
    ),
    _look(
        "explain",
        "Say why steps ran, failed or were reused.",
        looking.explain,
        own=(
            Option(name="step", help="a part of the step's address; all steps without it"),
            Option(name="run", help="a part of the run log's name; the last run with such steps without it"),
            Option(name="against", help="the run to compare with; the one before without it"),
        ),
    ),
    _look(
        "plugins",
        "List plugins and targets; --options too.",
        looking.plugins,
        options=("plugin", "no-plugin"),
        own=(Option(name="options", help="list all options too", type="bool", default=False),),
    ),
    _look(
        "deps",
        "List Go modules and why each has its version.",
        looking.deps,
        options=_BUILD,
        plugins=True,
        own=(Option(name="module", help="a part of the module's path; all without it"),),
    ),
    _look("doctor", "Look at this machine and the plugins.", looking.doctor, options=("plugin", "no-plugin")),
    _look(
        "versions",
        "Say which versions are used and known.",
        looking.versions,
        options=("target", "plugin", "no-plugin"),
    ),
)

_SOURCE = Option(name="source", help="the source to work on; the target's own without it")

_DEVELOPING = (
    Command(
        name="test",
        help="Test the distribution's own Go packages.",
        run=testing.test,
        dry=None,
        options=_PREPARE,
        plugins=True,
        own=(
            Option(name="package", help="patterns of go, relative to the module (./pkg/certs/...)", type="list"),
            Option(name="run", help="only tests whose name matches (go test -run)"),
            Option(name="no-race", help="leave the race detector out", type="bool", default=False),
            Option(name="short", help="leave out what takes minutes (go test -short)", type="bool", default=False),
            Option(name="no-inputs", help="leave out tests that need compiled programs", type="bool", default=False),
        ),
    ),
    Command(
        name="lint",
        help="Check overlays (gofmt, vet, linters) and ledgers.",
        run=testing.lint,
        dry=None,
        options=_PREPARE,
        plugins=True,
    ),
    Command(
        name="patch-refresh",
        help="Turn an edit tree's changes into a patch.",
        run=editing.patch_refresh,
        dry=None,
        options=tuple(name for name in _PREPARE if name != "plugin"),
        plugins=True,
        own=(
            Option(name="start", help="lay out the edit tree, .k8sbuild/edit/SOURCE", type="bool", default=False),
            _SOURCE,
            Option(name="plugin", help="whose series gets the patch; the project's own without it"),
            Option(name="name", help="a new patch's name, without number and ending"),
            Option(name="patch", help="change this patch of the series: 0003-name.patch, or 0003"),
            Option(name="why", help="what the ledger says about it"),
        ),
    ),
    Command(
        name="shell",
        help="Open a shell in an edit tree.",
        run=editing.shell,
        dry=None,
        options=_PREPARE,
        plugins=True,
        own=(_SOURCE, Option(name="command", help="run this instead of a shell")),
    ),
)

_UPKEEP = (
    _change(
        "install",
        "Install what was built; --root stages it.",
        upkeep.install,
        options=("target", "arch", "out", "plugin", "no-plugin"),
        own=(Option(name="root", help="the folder that is the system's root", default="/", type="path"),),
    ),
    _change("clean", "Remove artifacts and work trees.", upkeep.clean, options=("out",)),
    _change(
        "clean-all",
        "Remove run logs too; the store stays.",
        partial(upkeep.clean, everything=True),
        options=("out",),
    ),
    _change(
        "gc",
        "Make room in the cache.",
        upkeep.gc,
        own=(
            Option(name="max-age", help="days without use after which something goes", type="int", default=30),
            Option(name="max-size", help="GB that may stay in the cache (0: any)", type="int", default=0),
        ),
    ),
)

_INIT = _change(
    "init",
    "Start a repository for a distribution.",
    upkeep.init,
    own=(
        Option(name="name", help="the plugin's name; the folder's without it"),
        Option(name="folder", help="where to put it; the current folder without it, if that is empty", type="path"),
    ),
)

_NAMED = (_INIT, *_RUNNING, *_LOOKING, *_DEVELOPING, *_UPKEEP)

COMMANDS: tuple[Command, ...] = (
    *_NAMED,
    _look("help", "Describe commands: help build.", partial(help_about, commands=_NAMED)),
)
