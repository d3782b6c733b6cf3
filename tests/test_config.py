"""The project's root and its configuration files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.config import at_home, cache_folder, find_project
from k8sbuild.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_nearest_folder_upwards_with_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "k8sbuild.toml").write_text('target = "toy"\n[patches]\nkubernetes = "patches"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.k8sbuild.patches]\nkubernetes = "other"\nkine = "kine"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    project = find_project(below)
    assert project.root == tmp_path
    assert [name for name, _ in project.files] == ["k8sbuild.toml", "pyproject.toml"]
    assert project.patches == {"kubernetes": "patches", "kine": "kine"}
    assert (project.lock, project.state) == (tmp_path / "k8sbuild.lock", tmp_path / ".k8sbuild")


def test_without_a_configuration_the_folder_itself_is_the_project(tmp_path: Path) -> None:
    project = find_project(tmp_path)
    assert (project.root, project.files, project.sources) == (tmp_path, (), {})


@pytest.mark.parametrize(
    ("file", "text", "reason", "said"),
    [
        ("k8sbuild.toml", "target = ", "config-syntax", "k8sbuild.toml"),
        ("k8sbuild.toml", "[patch]\nx = 1\n", "unknown-key", r"unknown table \[patch\]; did you mean 'patches'"),
        ("k8sbuild.toml", "plugins = 3\n", "bad-value", "plugins is not a table"),
        ("k8sbuild.toml", "[plugins]\ntoy = 3\n", "bad-value", r"\[plugins\] toy = 3 is not a table"),
        ("k8sbuild.toml", "[patches]\nkubernetes = 3\n", "bad-value", "kubernetes = 3 is not a folder"),
        ("k8sbuild.toml", '[budget]\nmax-raised-modules = "x"\n', "bad-value", "is not a number"),
        ("k8sbuild.toml", "[budget]\nmax-raised-modules = -1\n", "bad-value", "= -1 is no number from 0 on"),
        ("k8sbuild.toml", "[budget]\nmax-raised-modules = true\n", "bad-value", "= True is no number from 0 on"),
        ("k8sbuild.toml", "[budget]\nmax-raised-module = 1\n", "unknown-key", "did you mean 'max-raised-modules'"),
        ("k8sbuild.toml", '[sources.k]\nlocaton = "x"\n', "unknown-key", "did you mean 'location'"),
        ("k8sbuild.toml", "[sources.k]\nlocation = 7\n", "bad-value", "is no text"),
        ("k8sbuild.toml", '[sources.k]\nlocation = ""\n', "bad-value", "is no text"),
        ("k8sbuild.toml", '[patches]\nkubernetes = ""\n', "bad-value", r"\[patches\] kubernetes is empty"),
        ("k8sbuild.toml", '[sources]\nkubernetes = "git"\n', "bad-value", "is not a table"),
        ("pyproject.toml", "[tool]\nk8sbuild = 3\n", "bad-value", "tool.k8sbuild is not a table"),
    ],
)
def test_mistakes_name_file_and_place(tmp_path: Path, file: str, text: str, reason: str, said: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        find_project(tmp_path)
    assert caught.value.reason == reason
    assert file in caught.value.message


def test_a_mark_at_the_beginning_is_no_statement(tmp_path: Path) -> None:
    (tmp_path / "k8sbuild.toml").write_text('target = "k8s"\n', encoding="utf-8-sig")
    assert find_project(tmp_path).files == (("k8sbuild.toml", {"target": "k8s"}),)


def test_a_user_that_there_is_none_of_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert [str(at_home(text)) for text in ("~/go", "~no-such-user/go", "go")] == [
        "/home/me/go",
        "~no-such-user/go",
        "go",
    ]


def test_a_configuration_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "k8sbuild.toml").mkdir()
    with pytest.raises(ConfigError, match=r"k8sbuild\.toml: Is a directory") as caught:
        find_project(tmp_path)
    assert caught.value.reason == "config-syntax"


def test_a_pyproject_without_tools_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 3\n")
    assert find_project(tmp_path).files == ()


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cache_folder({"K8SBUILD_CACHE_DIR": "cache"}) == tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder({}) == tmp_path / "xdg" / "k8sbuild"
