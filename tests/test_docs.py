"""The documentation: nothing of the model is left out of the reference, and examples do what they say."""

from __future__ import annotations

import doctest
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import k8sbuild
from k8sbuild import api, hookspecs, kinds
from k8sbuild.tasks import ns

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
PAGES = {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in FILES}
PROGRAM = f"{sys.executable} -c 'from k8sbuild.tasks.program import main; main()'"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS / "_ext")
    return import_module("model")


def page(model: ModuleType, name: str) -> str:
    """Return a page of the reference as Sphinx reads it."""
    text: str = model.fill(PAGES[f"docs/reference/{name}.md"])
    assert "<!--" not in text
    return text


def test_every_hook_is_documented_with_an_example(model: ModuleType) -> None:
    text = page(model, "hooks")
    for name in [name for name in vars(hookspecs) if name.startswith("k8sbuild_")]:
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert "Example: " in section, name


def test_every_kind_is_documented(model: ModuleType) -> None:
    text = page(model, "kinds")
    for item in [item for item in vars(kinds).values() if is_dataclass(item)]:
        section = text.partition(f"## {item.__name__}\n")[2].partition("\n## ")[0]
        assert section.strip(), item.__name__
        assert not (item.__doc__ or "").startswith(f"{item.__name__}("), f"{item.__name__} has no docstring"
        assert all(f"| `{field}` |" in section for field in item.__dataclass_fields__), item.__name__


def test_every_option_is_documented(model: ModuleType) -> None:
    text = page(model, "options")
    for item in api.options(api.Request(flags={}, env={}, root=Path("/"))).values():
        assert item.option.help.strip(), item.key
        assert f"| `{item.key}` |" in text, item.key


def test_every_command_is_documented(model: ModuleType) -> None:
    text = page(model, "commands")
    for name, aliases in ns.task_names.items():
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(f"`{alias}`" in section for alias in aliases), name
        assert len(section.split()) > 4, name


def test_every_error_reason_is_documented_and_none_is_stale(model: ModuleType) -> None:
    given, meant = set(model.scanner.scan()), set(tomllib.loads(model.MEANINGS.read_text("utf-8")))
    assert given - meant == set(), "say in docs/reference/reasons.toml what they mean"
    assert meant - given == set(), "remove them from docs/reference/reasons.toml"
    assert "**undocumented**" not in page(model, "errors")


def test_reasons_are_found_however_they_are_written(
    model: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model.scanner, "ROOT", tmp_path)
    file = tmp_path / "sample.py"
    file.write_text(
        'BAD_REASONS = (("in-table", "x"),)\n'
        "def fail(name, reason): raise E(name, reason=reason)\n"
        "def one(x):\n"
        '    fail("no-reason", "by-place")\n'
        '    raise E("text", reason="by-word" if x == "not-this" else "or-else")\n'
        "def two(rows):\n"
        '    reason, hint = next(rows, ("by-default", "some-hint"))\n'
        'def refusal(): return "in-return", "a message"\n'
    )
    assert set(model.scanner.scan([file])) == {"in-table", "by-place", "by-word", "or-else", "by-default", "in-return"}


def test_every_part_of_the_model_is_on_a_page(model: ModuleType) -> None:
    assert set(re.findall(r"<!-- model: (\w+) -->", "".join(PAGES.values()))) == set(model.PARTS)


COMMANDS = [
    (name, part.strip())
    for name in PAGES
    for block in blocks(name, "sh")
    for line in block.splitlines()
    for part in line.split("&&")
    if part.split()[:1] in (["invoke"], ["k8sbuild"])
]


@pytest.mark.parametrize(("where", "line"), COMMANDS)
def test_commands_and_flags_exist(where: str, line: str) -> None:
    name, *flags = shlex.split(line)[1:]
    known = {flag for argument in ns[name].get_arguments() for flag in argument.names}
    assert {flag.partition("=")[0].lstrip("-") for flag in flags} <= known


def session(text: str) -> list[tuple[str, str]]:
    """Return commands and what they print."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """Return the tutorial's project, its plugin installed as pip would do."""
    (code,), (package, project) = blocks("docs/tutorial.md", "python"), blocks("docs/tutorial.md", "toml")
    ((name, module),) = tomllib.loads(package)["project"]["entry-points"]["k8sbuild"].items()
    info = tmp_path / "site/k8sbuild_hello-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: k8sbuild-hello\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[k8sbuild]\n{name} = {module}\n")
    (tmp_path / f"site/{module}.py").write_text(code)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/k8sbuild.toml").write_text(project)
    return tmp_path


def test_tutorial_does_what_it_shows(hello: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(hello),
        "K8SBUILD_CACHE_DIR": str(hello / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(hello / "site")]),
        "COLUMNS": "120",
    }
    steps = [step for text in blocks("docs/tutorial.md", "console") for step in session(text)]
    assert len(steps) > 8
    for command, expected in steps:
        line = re.sub(r"^k8sbuild\b", lambda _: PROGRAM, command)
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=hello / "project", env=env, text=True, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        same = doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS)
        assert (same, done.returncode) == (True, 0), f"{command}\n{done.stdout}"


def test_conformance_example_of_the_how_to(tmp_path: Path) -> None:
    for number, code in enumerate(blocks("docs/how-to.md", "python")):
        file = tmp_path / f"example{number}.py"
        file.write_text(code)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, file], env=env, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", ["docs/how-to.md", "docs/reference/options.md"])
def test_configuration_examples_are_accepted(where: str, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(where, "toml")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "k8sbuild.toml").write_text(text)
        base = api.setup(api.Request(flags={}, env={}, root=folder))
        assert base.project.files[0][1] == tomllib.loads(text)


def modules() -> list[str]:
    """Return the library's modules."""
    return [module.name for module in pkgutil.walk_packages(k8sbuild.__path__, "k8sbuild.")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS).failed == 0
