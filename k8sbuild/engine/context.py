"""What a step's run function sees: its declared inputs, an empty output folder, nothing else."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import BuildError, PlanError, ToolError
from k8sbuild.store.files import disk_full, is_full

from .address import parse
from .go import prepared
from .inside import lay_out
from .secrets import mask

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from k8sbuild.store.tree import Tree

    from .go import Go
    from .inside import Inside
    from .local import Files

__all__ = ["StepContext"]


@dataclass(slots=True, kw_only=True)
class StepContext:
    """The one argument of a step's run function.

    Attributes:
        name: the step's address.
        params: the step's parameters, JSON data.
        out: an empty folder; what is in it when ``run`` returns is the output.
        cores: cores that the pool gave.
        env: the environment of external commands, without secrets.
        progress: called as ``progress(what, done, total)``; total is 0 where not known.
        warn: called with a text that the run's closing table shows.
        facts: small JSON facts to remember with the result (shown in reports, in build.json).
    """

    name: str
    params: Mapping[str, Any]
    out: Path
    cores: int
    env: Mapping[str, str]
    progress: Callable[[str, int, int], None]
    warn: Callable[[str], None]
    _inside: Inside = field(repr=False)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def log_file(self) -> Path:
        """Where the output of this step's commands goes."""
        return self._inside.folders.log_of(self.name)

    def tree(self, address: str) -> Tree:
        """Return an input as a tree of the store (nothing is written to disk).

        Raises:
            PlanError: ``undeclared-input``.
        """
        wanted = parse(address)
        if not self._inside.declares(wanted):
            raise PlanError(f"{self.name} reads {address}, which it does not declare", reason="undeclared-input")
        tree = self._inside.trees[wanted.step]
        try:
            return tree.subtree(wanted.path) if wanted.path else tree
        except KeyError:
            raise PlanError(f"{wanted.step} has no output {wanted.path!r}", reason="missing-output") from None

    def path(self, address: str) -> Path:
        """Return where an input is on disk: in the build's work tree, made equal to the input once a step."""
        wanted = parse(address)
        self.tree(address)
        folder = self._inside.folders.work / wanted.folder
        if wanted.step not in self._inside.laid_out:
            lay_out(self, self._inside.trees[wanted.step], folder)
            self._inside.laid_out.add(wanted.step)
        return folder / wanted.path if wanted.path else folder

    def paths(self, addresses: Sequence[str]) -> list[Path]:
        """Return where inputs are on disk, as :meth:`path` does, all made equal at the same time."""
        with ThreadPoolExecutor(max_workers=max(1, len(addresses))) as pool:
            return list(pool.map(self.path, addresses))

    def go(self, module: str, *, os: str = "", arch: str = "", cgo: bool = False) -> Go:
        """Return ``go`` in a Go module of the build, as its programs are compiled.

        Args:
            module: address of a ``GoModule`` that is an input, as well as its zips, sources and toolchain
                (``Check.module`` takes those of one; ``Collect`` of ``GoModule``, ``GoModules``, ``Patches``,
                ``Generated`` and ``Source`` takes all).
            os, arch: of the platform, in Go's words; this machine's by default.
            cgo: compile C code.

        Raises:
            PlanError: ``undeclared-input``.
        """
        return prepared(self, module, os=os, arch=arch, cgo=cgo)

    @property
    def go_modules(self) -> tuple[str, ...]:
        """The addresses of the Go modules among the inputs."""
        return tuple(address for address in self._inside.go_parts if address in self._inside.trees)

    def local(self, name: str) -> Files:
        """Return the files of a folder of a plugin, or one file, as they were when the step's key was made."""
        return self._inside.local_files[name]

    def read(self, address: str) -> bytes:
        """Return the content of an input file, verified.

        Raises:
            PlanError: ``not-a-file`` where the address is a folder with more or less than one file.
        """
        entries = list(self.tree(address).entries.values())
        if len(entries) != 1:
            raise PlanError(f"{self.name} reads {address}, which has {len(entries)} files", reason="not-a-file")
        return self._inside.store.read(entries[0])

    def log(self, text: str) -> None:
        """Append a line to the step's log file."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(mask(text, list(self._inside.secrets.values())).rstrip("\n") + "\n")

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        check: bool = True,
    ) -> str:
        """Run a command with an allow-listed environment and return its output; in it secrets are masked.

        Args:
            argv: program and arguments; no shell.
            cwd: where; :attr:`out` by default.
            env: added to the step's environment.
            check: a non-zero exit is an error.

        Raises:
            BuildError: ``command-failed``, naming the log.
            ToolError: ``command-not-started``.
        """
        words = [str(word) for word in argv]
        with self._starting(words):
            code, output = self._inside.processes.run(
                words,
                cwd=cwd or self.out,
                env={**self.env, **self._inside.secrets, **(env or {})},
                log=self.log_file,
                on_line=on_line,
                hidden=list(self._inside.secrets.values()),
            )
        if code and check:
            raise self._failed(words[0], code, output)
        return output

    @contextmanager
    def _starting(self, words: list[str]) -> Iterator[None]:
        """Name a command that cannot be started; what the block raises besides is its own."""
        if not words or any("\0" in word for word in words):
            raise self._not_started(f"{words} is no command: it is empty, or has a NUL", "mend the step's function")
        try:
            yield
        except OSError as error:
            if error.filename != words[0]:
                raise
            hint = f"install it, or name it by its path; programs are looked for in {self.env.get('PATH', '')}"
            raise self._not_started(f"{words[0]} cannot be started: {error.strerror}", hint) from error

    def _not_started(self, what: str, hint: str) -> ToolError:
        return ToolError(f"{self.name}: {what}", reason="command-not-started", hint=hint)

    def _failed(self, program: str, code: int, output: str) -> BuildError:
        message = f"{self.name}: {program} failed with exit code {code}\n{_tail(output)}"
        if is_full(output) or code == -signal.SIGXFSZ:
            return disk_full(message, log=str(self.log_file))
        return BuildError(message, reason="command-failed", log=str(self.log_file))

    @contextmanager
    def running(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server during a block; its output goes to the step's log, it is killed at the end. No secrets.

        Raises:
            ToolError: ``command-not-started``.
        """
        words = [str(word) for word in argv]
        env = {**self.env, **(env or {})}
        processes, log = self._inside.processes, self.log_file
        with self._starting(words), processes.running(words, cwd=self.out, env=env, log=log) as child:
            yield child


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-12:])
