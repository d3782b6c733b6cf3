"""The ``go`` client, run with an environment of ours and a module cache of ours."""

from __future__ import annotations

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import FetchError, ToolError
from k8sbuild.providers.process import Finished, run

from .dirhash import hash_mod, hash_zip
from .environment import hermetic, with_network
from .failures import failure, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from k8sbuild.progress import Progress

__all__ = ["Downloaded", "GoClient"]

#: Modules a `go mod download` is asked for at once: bounds what one failure costs.
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """A module in our module cache, checked.

    Args:
        path, version: which.
        zip, mod, info: files in the cache.
        sum, mod_sum: ``h1:`` sums of zip and .mod, computed from the files.
        time: RFC 3339, from the module's metadata.
        trust: ``checksum-db``, or ``first-use`` where the user's settings ask no checksum database.
    """

    path: str
    version: str
    zip: Path
    mod: Path
    info: Path
    sum: str
    mod_sum: str
    time: str = ""
    trust: str = "first-use"

    @property
    def name(self) -> str:
        """``path@version``."""
        return f"{self.path}@{self.version}"


@dataclass(slots=True, kw_only=True)
class GoClient:
    """Runs ``go`` for resolve and fetch.

    Args:
        go: the program.
        modcache: module cache, ours and never the user's.
        env: the user's environment; only what counts for downloads is used.
        log: file for error output.
        offline: never use the network, whatever a call allows.
        newest: gives the ``go`` that takes over where a module needs a newer one.
    """

    go: Path
    modcache: Path
    env: Mapping[str, str]
    log: Path
    offline: bool = False
    newest: Callable[[], Path] | None = None
    _settings: dict[str, str] | None = field(default=None, repr=False)

    def run(
        self,
        args: Sequence[str],
        cwd: Path,
        *,
        network: bool,
        log: Path | None = None,
        take: Callable[[str], bool] = lambda _: False,
    ) -> str:
        """Run ``go ARGS`` in ``cwd`` and return its output.

        Args:
            take: as of :func:`k8sbuild.providers.process.run`.

        Raises:
            FetchError: it failed; the reason is told from its output.
            ToolError: reason ``go-missing``.
        """
        done = self._try(args, cwd, network=network, log=log, take=take)
        if done.code:
            raise failure(f"go {' '.join(args[:3])}", done.err, log=str(log or self.log))
        return done.out.decode()

    def download(
        self, modules: Sequence[str], progress: Progress = lambda _what, _done, _total: None, *, log: Path | None = None
    ) -> list[Downloaded]:
        """Download modules (``path@version``) in bounded batches; what is cached is checked, not fetched again.

        Returns:
            one entry per module, in the order asked.

        Raises:
            FetchError: reasons ``module-not-found``, ``checksum-mismatch``, ``checksum-missing``, ``proxy-error``,
                ``network-error``, ``offline``; the message names each module.
        """
        found: list[Downloaded] = []
        for start in range(0, len(modules), BATCH):
            progress("modules", start, len(modules))
            found += self._batch(modules[start : start + BATCH], log or self.log)
        progress("modules", len(modules), len(modules))
        return found

    def query(self, module: str) -> dict[str, Any]:
        """Return what ``go list -m -json`` says of ``path@query``: Path, Version, Time, GoMod.

        Raises:
            FetchError: as :meth:`download`.
        """
        with TemporaryDirectory() as folder:
            done = self._try(["list", "-m", "-json", module], Path(folder), network=True)
        if done.code:
            raise failure(module, done.err, log=str(self.log))
        answer: dict[str, Any] = json.loads(done.out)
        return answer

    def versions(self, path: str) -> tuple[str, ...]:
        """Return the versions of a module that the proxy lists; none where it cannot tell."""
        with TemporaryDirectory() as folder:
            done = self._try(["list", "-m", "-versions", path], Path(folder), network=True)
        return tuple(done.out.decode().split()[1:]) if not done.code else ()

    def trust(self, path: str) -> str:
        """Return who vouches for a module under the user's settings: ``checksum-db`` or ``first-use``."""
        settings = self._sum_settings()
        patterns = settings["GONOSUMDB"].split(",")
        unchecked = settings["GOSUMDB"] == "off" or any(_covers(pattern, path) for pattern in patterns if pattern)
        return "first-use" if unchecked else "checksum-db"

    def _sum_settings(self) -> dict[str, str]:
        # The Go release's own defaults count where the user set nothing, so Go is asked.
        if self._settings is None:
            with TemporaryDirectory() as folder:
                done = self._try(["env", "-json", "GOSUMDB", "GONOSUMDB"], Path(folder), network=True, ask_only=True)
            self._settings = json.loads(done.out)
        return self._settings

    def _try(
        self,
        args: Sequence[str],
        cwd: Path,
        *,
        network: bool,
        log: Path | None = None,
        ask_only: bool = False,
        take: Callable[[str], bool] = lambda _: False,
    ) -> Finished:
        allowed = network and (ask_only or not self.offline)
        env = with_network(self.modcache, self.env) if allowed else hermetic(self.modcache)
        self.modcache.mkdir(parents=True, exist_ok=True)
        used = self.go
        how: dict[str, Any] = {"cwd": cwd, "env": env, "log": log or self.log, "take": take}
        done = self._run(used, args, how)
        if self.newest and done.code and reason_of(done.err + done.out.decode(errors="replace")) == "go-too-old":
            self.go = self.newest()
            return done if self.go == used else self._run(self.go, args, how)
        return done

    def _run(self, go: Path, args: Sequence[str], how: Mapping[str, Any]) -> Finished:
        try:
            return run([go, *args], **how)
        except FileNotFoundError:
            raise ToolError(f"no Go at {go}", reason="go-missing", hint="run `k8sbuild setup`") from None

    def _batch(self, modules: Sequence[str], log: Path) -> list[Downloaded]:
        fresh = [name for name in modules if not self._cached(name)]
        reports = self._reports(modules, log)
        for name in fresh:
            self._mark(name, reports[name])
        with ThreadPoolExecutor(max_workers=2) as pool:
            return list(pool.map(lambda name: self._checked(name, reports[name], log), modules))

    def _reports(self, modules: Sequence[str], log: Path) -> dict[str, dict[str, Any]]:
        with TemporaryDirectory() as folder:
            done = self._try(["mod", "download", "-json", *modules], Path(folder), network=True, log=log)
        answers = list(documents(done.out.decode()))
        failed = [answer for answer in answers if answer.get("Error")]
        if failed:
            raise _together([failure(_asked(answer), answer["Error"], log=str(log)) for answer in failed])
        if done.code or len(answers) != len(set(modules)):
            raise failure(", ".join(modules[:3]), done.err, log=str(log))
        return {_asked(answer): answer for answer in answers}

    def _cached(self, name: str) -> bool:
        """Tell whether the zip is there; one that nobody vouched for is dropped once somebody would."""
        path = zip_of(self.modcache, name)
        unchecked = path.with_suffix(".first-use")
        if unchecked.exists() and self.trust(name.partition("@")[0]) != "first-use":
            forget(path)
        return path.exists()

    def _mark(self, name: str, report: Mapping[str, Any]) -> None:
        if self.trust(report["Path"]) == "first-use":
            zip_of(self.modcache, name).with_suffix(".first-use").touch()

    def _checked(self, name: str, report: Mapping[str, Any], log: Path) -> Downloaded:
        """Hash the files themselves: `go` trusts a sum that it noted when it downloaded."""
        try:
            return self._read(report)
        except (zipfile.BadZipFile, EOFError, OSError, _DamagedError):
            forget(Path(report["Zip"]))
        try:
            return self._read(self._reports([name], log)[name])
        except (zipfile.BadZipFile, EOFError, _DamagedError) as error:
            raise FetchError(
                f"{name}: the downloaded zip is damaged: {error}",
                reason="checksum-mismatch",
                hint="the module proxy gives broken files: try another GOPROXY",
                log=str(log),
            ) from None

    def _read(self, report: Mapping[str, Any]) -> Downloaded:
        mod, path = Path(report["GoMod"]), Path(report["Zip"])
        found = {"Sum": hash_zip(path), "GoModSum": hash_mod(mod.read_bytes())}
        for key, value in found.items():
            if report[key] != value:
                raise _DamagedError(f"{key} is {value}, not {report[key]}")
        info = Path(report["Info"])
        return Downloaded(
            path=report["Path"],
            version=report["Version"],
            zip=path,
            mod=mod,
            info=info,
            sum=found["Sum"],
            mod_sum=found["GoModSum"],
            time=json.loads(info.read_bytes()).get("Time", ""),
            trust="first-use" if path.with_suffix(".first-use").exists() else "checksum-db",
        )


class _DamagedError(Exception):
    """A cached file is not what ``go`` noted when it downloaded it."""


def escape(text: str) -> str:
    """Return a module path or version as proxies and caches spell it.

    >>> escape("github.com/Microsoft/go-winio")
    'github.com/!microsoft/go-winio'
    """
    return "".join(f"!{c.lower()}" if c.isascii() and c.isupper() else c for c in text)


def zip_of(modcache: Path, name: str) -> Path:
    """Return where a GOMODCACHE, or a folder laid out like one, has the zip of ``path@version``.

    >>> zip_of(Path("/m"), "github.com/Azure/go-ntlmssp@v0.1.0").as_posix()
    '/m/cache/download/github.com/!azure/go-ntlmssp/@v/v0.1.0.zip'
    """
    path, _, version = name.partition("@")
    return modcache / "cache" / "download" / escape(path) / "@v" / f"{escape(version)}.zip"


def forget(path: Path) -> None:
    """Drop a cached zip with all that ``go`` noted about it, so that it is downloaded again."""
    for suffix in (".zip", ".ziphash", ".info", ".mod", ".first-use"):
        path.with_suffix(suffix).unlink(missing_ok=True)


def _asked(report: Mapping[str, Any]) -> str:
    return f"{report['Path']}@{report.get('Query') or report['Version']}"


def documents(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    position = 0
    while (position := len(text) - len(text[position:].lstrip())) < len(text):
        document, position = decoder.raw_decode(text, position)
        yield document


def _covers(pattern: str, path: str) -> bool:
    # As golang.org/x/mod/module.MatchPrefixPatterns: a glob over as many leading elements as it has.
    depth = pattern.rstrip("/").count("/") + 1
    head = path.split("/")[:depth]
    globs = pattern.rstrip("/").split("/")
    return len(head) == depth and all(fnmatchcase(word, glob) for word, glob in zip(head, globs, strict=True))


def _together(errors: Sequence[Any]) -> FetchError:
    # One that is of no module (the disk is full) stands for all.
    first: FetchError = next((error for error in errors if "module" not in error.details), errors[0])
    if len(errors) == 1 or "module" not in first.details:
        return first
    return FetchError(
        "\n".join(error.message for error in errors),
        reason=first.reason,
        hint=first.hint,
        details={"modules": {error.details["module"]: error.reason for error in errors}},
        log=first.log,
    )
