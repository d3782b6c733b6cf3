"""Temporary distribution repositories, and real runs of the command line in them.

::

    project = make(tmp_path, env=fake.env)
    project.kill_at("compile:tiny/tiny", "start", "build", "--k8s=v1.99.3")
    assert project.run("build", "--k8s=v1.99.3").code == 0
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, Literal

from k8sbuild.engine import events
from k8sbuild.engine.address import parse
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Moment", "Outcome", "Project", "make"]

#: The front end, of the running interpreter.
_INVOKE = (sys.executable, "-m", "invoke")

Moment = Literal["start", "middle", "end"]

#: Seconds between two looks at the run log; a look costs less than a tenth of it.
_LOOK = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a process ended: exit code (negative: the signal), standard output, standard error."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Return standard output as one JSON document (``--format=json``).

        Raises:
            AssertionError: it is none; the message shows both outputs.
        """
        try:
            return json.loads(self.stdout)
        except json.JSONDecodeError as error:
            raise AssertionError(f"not JSON ({error}):\n{self.stdout}\n{self.stderr}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A distribution's repository.

    Args:
        root: its folder.
        env: added to a clean environment.
    """

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a run: an empty HOME, nothing of the caller's but PATH and PYTHONPATH."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**kept, "HOME": str(self.root / "home"), "LC_ALL": "C.UTF-8", **self.env}

    def write(self, name: str, text: str) -> Path:
        """Write a file of the repository."""
        return write(self.root, {name: text}) / name

    def run(self, *args: str, folder: str = ".", timeout: float = 600) -> Outcome:
        """Run the command with ``args`` in a folder of the repository and wait.

        Raises:
            subprocess.TimeoutExpired: it took more than ``timeout`` seconds and was killed.
        """
        done = subprocess.run(
            [*_INVOKE, *args],
            cwd=self.root / folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Outcome(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def kill_at(self, step: str, moment: Moment, *args: str, by: int = signal.SIGKILL) -> Outcome:
        """Run the command and send it a signal when ``step`` is at ``moment``.

        The run log says when: ``start`` is its line ``step-started``, ``end`` its line ``step-finished`` or
        ``step-reused``; ``middle`` is the first file or log line that the started step wrote, at the latest its end.

        Args:
            step: address, for example ``compile:tiny/tiny``.
            moment: where in the step.
            by: the signal; SIGINT and SIGTERM are waited for like SIGKILL.

        Raises:
            AssertionError: the command ended before the moment came.
        """
        before = set(self.runs())
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                [*_INVOKE, *args],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            try:
                reached = self._wait(process, before, step, moment)
                process.send_signal(by)
                process.wait()
            finally:
                process.kill()
                process.wait()
            outcome = Outcome(code=process.returncode, stdout=_read(out), stderr=_read(err))
        assert reached, f"{step} never came to its {moment}:\n{outcome.stdout}\n{outcome.stderr}"
        return outcome

    def _wait(self, process: subprocess.Popen[bytes], before: set[Path], step: str, moment: Moment) -> bool:
        while not self._reached(before, step, moment):
            try:
                process.wait(_LOOK)
            except subprocess.TimeoutExpired:
                continue
            return False
        return True

    def _reached(self, before: set[Path], step: str, moment: Moment) -> bool:
        for log in set(self.runs()) - before:
            seen = {record["event"] for record in events.read(log) if record.get("step") == step}
            started = "step-started" in seen
            if seen & {"step-finished", "step-reused"} or (started and moment == "start"):
                return True
            if started and moment == "middle" and self._wrote(log.stem, step):
                return True
        return False

    def _wrote(self, run: str, step: str) -> bool:
        state, name = self.root / ".k8sbuild", parse(step).folder
        log = state / "logs" / run / f"{name}.log"
        # Unlike rglob, walk does not mind folders that vanish meanwhile.
        folders = [build / name for build in (state / "tmp").glob("*")]
        return log.exists() or any(files for folder in folders for _, _, files in os.walk(folder))

    def runs(self) -> list[Path]:
        """Return the run logs, oldest first."""
        return events.runs(self.root / ".k8sbuild" / "runs")

    def events(self) -> list[dict[str, Any]]:
        """Return what the newest run log says; empty where nothing ran yet."""
        return list(events.read(self.runs()[-1])) if self.runs() else []

    def steps(self, event: str) -> list[str]:
        """Return the steps of the newest run with an event, for example ``step-reused``."""
        return [record["step"] for record in self.events() if record["event"] == event]

    def artifacts(self, out: str = "dist") -> dict[str, str]:
        """Return the sha256 of every artifact by name; ``build*.json`` is none."""
        files = sorted((self.root / out / "artifacts").glob("*"))
        return {f.name: sha256(f.read_bytes()).hexdigest() for f in files if f.is_file() and f.suffix != ".json"}

    def members(self, out: str = "dist") -> dict[str, tarfile.TarInfo]:
        """Return the members of the one archive among the artifacts, by name."""
        import zstandard

        (path,) = (self.root / out / "artifacts").glob("*.tar.zst")
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return {member.name: member for member in archive.getmembers()}


def make(
    root: Path,
    *,
    config: str = "",
    env: Mapping[str, str] | None = None,
) -> Project:
    """Make a distribution's repository.

    Args:
        root: folder, made when needed.
        config: what ``k8sbuild.toml`` says.
        env: environment of runs, for example ``Upstream.env``.
    """
    project = Project(root=root, env=env or {})
    (root / "home").mkdir(parents=True, exist_ok=True)
    project.write("tasks.py", "from k8sbuild.tasks import ns\n")
    project.write("k8sbuild.toml", config)
    return project


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
