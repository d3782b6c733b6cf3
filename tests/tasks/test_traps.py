"""What Invoke would do wrong, through the real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


def built(shell: Shell) -> bool:
    return (shell.folder / "dist").exists()


@pytest.mark.parametrize(
    ("program", "words"), [("invoke", ["help", "build"]), ("k8sbuild", ["help", "generate", "build"])]
)
def test_help_describes_and_runs_nothing(shell: Shell, program: str, words: list[str]) -> None:
    done = shell(*words, program=program)
    assert done.returncode == 0, done.stderr
    assert "k8sbuild build: Build, package" in done.stdout
    assert "--colour=STR" in done.stdout
    assert ("k8sbuild codegen: " in done.stdout) is ("generate" in words)
    assert not built(shell)


def test_help_alone_lists_every_command_once(shell: Shell) -> None:
    document = json.loads(shell("help", "--format=json").stdout)
    names = [command["name"] for command in document["commands"]]
    assert len(names) == len(set(names))
    assert {"build", "plan", "explain", "plugins", "gc"} <= set(names)
    assert all(flag["help"] for command in document["commands"] for flag in command["flags"])


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("invoke", ["build", "--dry"]),
        ("invoke", ["build-fast", "-R"]),
        ("invoke", ["--dry", "build"]),
        ("k8sbuild", ["build", "--dry"]),
    ],
)
def test_dry_shows_the_plan_and_runs_nothing(shell: Shell, program: str, words: list[str]) -> None:
    done = shell(*words, program=program)
    assert done.returncode == 0, done.stderr
    assert "will run  compile:toy/paint" in done.stdout
    assert not built(shell)


@pytest.mark.parametrize("program", ["invoke", "k8sbuild"])
def test_completion_script_after_a_task_is_refused_and_runs_nothing(shell: Shell, program: str) -> None:
    done = shell("build", "--print-completion-script=bash", program=program)
    assert done.returncode == 11
    assert "without a command" in done.stderr
    assert not built(shell)
    assert "complete" in shell("--print-completion-script=bash", program=program).stdout


@pytest.mark.parametrize("reader", ["head -c 10", "true"])
def test_a_reader_that_leaves_early_ends_nothing(shell: Shell, reader: str) -> None:
    pipes = f"{{invoke}} build | {reader}; {{invoke}} plan --format=json | {reader}"
    done = shell.bash(f"set -o pipefail; {pipes}")
    assert (done.returncode, built(shell)) == (0, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-"])
def test_closed_standard_streams_end_nothing(shell: Shell, closed: str) -> None:
    done = shell.bash(f"{{invoke}} build {closed}")
    assert (done.returncode, built(shell)) == (0, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("build >/dev/full", 22),
        ("build --format=json >/dev/full", 22),
        ("build --format=json --target=no >/dev/full", 11),
        ("build 2>/dev/full", 0),
        ("build --format=json --target=no 2>/dev/full", 11),
    ],
)
def test_full_disk_behind_a_standard_stream_is_clean(shell: Shell, words: str, code: int) -> None:
    done = shell.bash(f"{{invoke}} {words}")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert ("No space left" in done.stderr) is (code == 22)


@pytest.mark.parametrize("program", ["invoke", "k8sbuild"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["build", "--set"], 1, "Flag --set needed value"),
        (["build", "--no-plugin", "--fast"], 1, "Flag --no-plugin needed value"),
        (["build", "--colour"], 1, "Flag --colour needed value"),
        (["build", "--colour="], 11, "--colour is empty"),
        (["build", "--no-plugin="], 11, "--no-plugin is empty"),
        (["build", "--plugin", " ,"], 11, "--plugin is empty"),
        (["explain", "--step="], 11, "--step is empty"),
        (["versions", "--target=tyo"], 11, "the target 'tyo'; did you mean 'toy'?"),
        (["build", "--provider=kubernetes="], 11, "--provider=kubernetes=: one of the two is empty"),
        (["build", "--", "--fast", "a b"], 11, "nothing reads what comes after --: --fast 'a b'"),
    ],
)
def test_a_flag_without_a_value_is_no_default(
    shell: Shell, program: str, words: list[str], code: int, said: str
) -> None:
    done = shell(*words, program=program)
    assert done.returncode == (11 if program == "k8sbuild" else code), done.stderr
    assert said in done.stderr
    assert not built(shell)


def test_dry_of_what_cannot_be_tried_is_refused(shell: Shell) -> None:
    done = shell("patch-refresh", "--start", "--dry")
    assert (done.returncode, (shell.folder / ".k8sbuild/edit").exists()) == (11, False)
    assert "[no-dry-run]" in done.stderr


@pytest.mark.parametrize(("program", "flag"), [("invoke", "--version"), ("invoke", "-V"), ("k8sbuild", "--version")])
def test_version_after_a_task_prints_it_and_runs_nothing(shell: Shell, program: str, flag: str) -> None:
    done = shell("build", flag, program=program)
    assert (done.returncode, done.stdout) == (0, "k8sbuild 0.1.0\n")
    assert not built(shell)


def test_program_has_its_own_version(shell: Shell) -> None:
    assert shell("--version").stdout == "k8sbuild 0.1.0\n"


def test_subfolder_finds_the_project(shell: Shell) -> None:
    below = shell.folder / "a" / "b"
    below.mkdir(parents=True)
    done = shell("build", program="invoke", cwd=below)
    assert done.returncode == 0, done.stderr
    assert built(shell)
    assert list(below.iterdir()) == []
    assert "artifacts in ../../dist/artifacts" in done.stdout


def test_folder_of_tasks_is_the_project_where_there_is_no_configuration(shell: Shell) -> None:
    (shell.folder / "k8sbuild.toml").unlink()
    below = shell.folder / "a"
    below.mkdir()
    done = shell("build", "--target=toy", "--plugin=toy", program="invoke", cwd=below)
    assert done.returncode == 0, done.stderr
    assert built(shell)


@pytest.mark.parametrize(
    ("words", "close"), [(["bild"], "'build'"), (["build", "--colur=red"], "'--colour'"), (["-T", "x", "build"], "'x'")]
)
def test_wrong_command_line_has_our_exit_code_and_a_suggestion(shell: Shell, words: list[str], close: str) -> None:
    done = shell(*words)
    assert done.returncode == 11
    assert close in done.stderr
    assert "Traceback" not in done.stderr
    assert not built(shell)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("invoke", ["plugins", "--options", "--format=json"]),
        ("invoke", ["--list"]),
        ("invoke", ["--complete", "--", "invoke", "build", "-"]),
        ("k8sbuild", ["--list"]),
    ],
)
def test_closed_pipes_are_quiet(shell: Shell, program: str, words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    # Unbuffered, so that each print meets the closed pipe, however little is written.
    env = {**shell.env, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [*shell.argv(program), *words], cwd=shell.folder, env=env, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode in (0, 1), done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_build_goes_on_when_nobody_reads_its_progress(shell: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*shell.argv("k8sbuild"), "build"], cwd=shell.folder, env=shell.env, stdout=write, stderr=write
    )
    os.close(write)
    assert done.returncode == 0
    assert (shell.folder / "dist/artifacts/toy").exists()


@pytest.mark.parametrize(("program", "number"), [("invoke", signal.SIGINT), ("k8sbuild", signal.SIGTERM)])
def test_interrupt_stops_at_once_and_says_how_to_go_on(
    shell: Shell, tmp_path: Path, program: str, number: signal.Signals
) -> None:
    running = tmp_path / "running"
    process = shell.start(["build", "--format=json"], program, TOY_WAIT=str(running))
    deadline = time.monotonic() + 30
    while not running.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the step never started"
        time.sleep(0.01)
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - sent < 10
    assert process.returncode == 130
    assert json.loads(out)["reason"] == "interrupted"
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert shell("build").returncode == 0


def test_broken_plugin_stops_a_build_but_not_looking(shell: Shell) -> None:
    broken = {"TOY_BROKEN_OPTIONS": "1"}
    done = shell("build", **broken)
    assert done.returncode == 13
    assert "--no-plugin=toy" in done.stderr
    for words in (["--list"], ["build", "--help"], ["help"]):
        assert shell(*words, **broken).returncode == 0


def test_broken_configuration_is_one_line(shell: Shell) -> None:
    (shell.folder / "k8sbuild.toml").write_text("target = \n")
    done = shell("build", program="invoke")
    assert done.returncode == 12
    assert "[config-syntax]" in done.stderr
    assert "Traceback" not in done.stderr
    assert shell("--list", program="invoke").returncode == 0


def test_current_folder_that_is_gone_is_one_line(shell: Shell) -> None:
    done = shell.bash("mkdir gone; cd gone; rmdir ../gone; {k8sbuild} build")
    assert done.returncode == 11, done.stderr
    assert done.stderr.startswith("error: the current folder was removed [no-such-folder]\nhint:")


def test_unwritable_project_is_one_line(shell: Shell) -> None:
    (shell.folder / ".k8sbuild").write_text("a file where a folder must be")
    done = shell("build")
    assert done.returncode == 22
    assert ".k8sbuild" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_imports_nothing_heavy(shell: Shell) -> None:
    code = (
        "import sys; sys.argv = ['k8sbuild', '--list']\n"
        "from k8sbuild.tasks.program import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print({'rich', 'httpx', 'unidiff', 'stamina', 'zstandard'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shell.folder, env=shell.env, capture_output=True, text=True, check=True
    )
    assert "build-fast" in done.stdout
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize("program", ["invoke", "k8sbuild"])
@pytest.mark.parametrize(
    ("name", "text"), [("bad.yaml", "a: [1\n"), ("list.json", "[1]"), ("bad.py", "x = (\n"), ("notes.md", "")]
)
def test_settings_of_invoke_that_cannot_be_read_are_one_line(
    shell: Shell, tmp_path: Path, program: str, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    done = shell(f"--config={tmp_path / name}", "build", program=program)
    assert (done.returncode, built(shell)) == (11, False)
    first, hint = done.stderr.splitlines()
    assert first.startswith("error: Invoke cannot take its settings: ")
    assert "--config" in hint


def test_a_project_file_of_invoke_that_cannot_be_read_is_one_line(shell: Shell) -> None:
    (shell.folder / "invoke.yaml").write_text("run: 4\n")
    done = shell("build", program="invoke")
    assert (done.returncode, built(shell)) == (11, False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["-T", "--command-timeout", "-D"])
def test_a_flag_of_invoke_that_wants_a_number_says_so(shell: Shell, flag: str) -> None:
    done = shell(flag, "x", "build")
    assert (done.returncode, built(shell)) == (11, False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", ["invoke", "k8sbuild"])
@pytest.mark.parametrize("words", [["build", "--set"], ["build", "--set", "--offline"], ["build", "--out"]])
def test_a_flag_that_is_given_nothing_says_so_and_runs_nothing(shell: Shell, program: str, words: list[str]) -> None:
    done = shell(*words, program=program)
    assert (done.returncode, built(shell)) == (11 if program == "k8sbuild" else 1, False)
    assert f"Flag {words[1]} needed value" in done.stderr
