"""Sources from a git repository: one tag, without hooks, filters or settings of the repository or the machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError, ResolveError, ToolError
from k8sbuild.golang.semver import newest

from . import layout
from .base import Context, Fetched, Request, check_lock, normal_version, offline, unknown_version
from .extract import extract_tar
from .process import NETWORK, Finished, pick, run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command", "fetch", "resolve"]

#: The user's settings that say how to reach a server. All others are left out.
_REACH = r"^(credential\.|http\.|url\..*\.insteadof$|core\.sshcommand$|core\.askpass$)"
_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "core.autocrlf=input"),
    *("core.eol=lf", "safe.directory=*", "tar.umask=0022"),
)
_SAFE = tuple(word for setting in _SETTINGS for word in ("-c", setting))
_ENV = (
    *NETWORK,
    "PATH",
    "XDG_CONFIG_HOME",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
)


def resolve(ctx: Context, request: Request) -> str:
    """Return the tag: the newest release for ``latest`` and ``v1.31``.

    Raises:
        ResolveError: reasons ``unknown-version``, ``malformed-version``.
        FetchError: the repository cannot be reached.
    """
    version = normal_version(request)
    if ctx.offline and not _local(request):
        if version == "latest" or version.count(".") < 2:
            raise ResolveError(
                f"{request.name}: {version} needs the network", reason="offline", hint="give an exact version"
            )
        return version
    listed = command(ctx, ["ls-remote", "--tags", "--refs", _url(request)], cwd=ctx.log.parent, network=True)
    if listed.code:
        raise _failure(ctx, request, listed.err)
    known = tuple(line.partition("refs/tags/")[2] for line in listed.out.decode().splitlines())
    found = version if version in known else newest(known, "" if version == "latest" else version)
    if not found:
        raise unknown_version(request, known)
    return found


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Clone one tag at depth 1 and lay its tree out below ``dest``.

    Raises:
        FetchError: reasons ``unknown-version``, ``network-error``, ``auth-failed``,
            ``repository-not-found``, ``git-failed``, ``digest-mismatch`` (another commit than locked).
        ToolError: reason ``git-missing``.
    """
    if ctx.offline and not _local(request):
        raise offline(request)
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    ctx.progress(request.name, 0, 1)
    with TemporaryDirectory(dir=ctx.scratch) as folder:
        bare = Path(folder, "clone.git")
        options = ["--bare", "--depth=1", "--single-branch", "--template=", f"--branch={request.version}"]
        _git(ctx, request, ["clone", *options, "--", _url(request), str(bare)], network=True)
        answer = _git(ctx, request, [f"--git-dir={bare}", "log", "-1", "--format=%H %ct", request.version])
        commit, seconds = answer.decode().split()
        check_lock(ctx, request, {"commit": commit})
        # Go makes module zips so: files as they are in the repository, nothing filled in or left out.
        (bare / "info").mkdir(exist_ok=True)
        (bare / "info" / "attributes").write_text("* -export-subst -export-ignore\n")
        archive = Path(folder, "tree.tar")
        _git(ctx, request, [f"--git-dir={bare}", "archive", "--format=tar", f"--output={archive}", commit])
        # A module zip holds no links, so no other layout does.
        extract_tar(archive, dest, links=request.layout == "as-is")
    layout.apply(dest, request)
    ctx.progress(request.name, 1, 1)
    time = datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Fetched(transports={"commit": commit}, trust="first-use", time=time, commit=commit)


def command(ctx: Context, args: Sequence[str], *, cwd: Path, network: bool = False) -> Finished:
    """Run git with nothing of the machine's settings; with ``network``, those that say how to reach a server.

    Raises:
        ToolError: reason ``git-missing``.
    """
    env = {**pick(ctx.env, _ENV), "LC_ALL": "C", "TZ": "UTC", "GIT_TERMINAL_PROMPT": "0"}
    cwd.mkdir(parents=True, exist_ok=True)
    try:
        reach = _reach(ctx, env, cwd) if network else {}
        closed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        return run(["git", *_SAFE, *args], cwd=cwd, env={**env, **closed, **reach}, log=ctx.log)
    except FileNotFoundError:
        raise ToolError(
            "git is not on PATH", reason="git-missing", hint="install git, or use another provider"
        ) from None


def _reach(ctx: Context, env: dict[str, str], cwd: Path) -> dict[str, str]:
    # GIT_DIR keeps a repository around us from adding its settings. Values go by
    # environment: a command line is seen by every user of the machine.
    listed = run(["git", "config", "--list", "-z"], cwd=cwd, env={**env, "GIT_DIR": "/dev/null"}, log=ctx.log)
    pairs = [entry.partition("\n")[::2] for entry in listed.out.decode(errors="replace").split("\0")]
    chosen = [(name, value) for name, value in pairs if re.match(_REACH, name, re.IGNORECASE)]
    found = {"GIT_CONFIG_COUNT": str(len(chosen))}
    for number, (name, value) in enumerate(chosen):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _local(request: Request) -> bool:
    return request.location.startswith("file://") or Path(request.location).is_dir()


def _url(request: Request) -> str:
    # A plain path would be cloned by linking its objects, whatever --depth says.
    path = Path(request.location)
    return path.absolute().as_uri() if path.is_dir() else request.location


def _git(ctx: Context, request: Request, args: Sequence[str], *, network: bool = False) -> bytes:
    done = command(ctx, args, cwd=ctx.scratch, network=network)
    if done.code:
        raise _failure(ctx, request, done.err)
    return done.out


_REASONS = (
    ("unknown-version", r"Remote branch .* not found", "`k8sbuild versions` lists what is known"),
    ("auth-failed", r"Authentication failed|could not read (?:Username|Password)|Permission denied|error: 40[13]",
     "set up a credential helper or an SSH key"),
    ("repository-not-found", r"not found|does not appear to be a git repository|does not exist|error: 404",
     "check the location"),
    ("network-error", r"Could not resolve|unable to access|Connection|timed out|early EOF|RPC failed",
     "check the network and HTTPS_PROXY"),
)  # fmt: skip


def _failure(ctx: Context, request: Request, text: str) -> FetchError:
    found = (row for row in _REASONS if re.search(row[1], text))
    reason, _, hint = next(found, ("git-failed", "", "the log has the whole output"))
    last = "\n".join(text.strip().splitlines()[-3:])
    return FetchError(
        f"{request.name} {request.version} from {request.location}: {last}", reason=reason, hint=hint, log=str(ctx.log)
    )
