"""The applier against ``git apply``, on generated trees, diffs and drifted targets.

Where git applies a series, so does ours, with the same result, and the reverse. One exception
is meant: git matches a line without newline at the end against one that has it; ours does not.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from patching.trees import Files, read, write

from k8sbuild.errors import PatchError
from k8sbuild.patching.apply import Contribution, apply
from k8sbuild.patching.names import quote
from k8sbuild.patching.parse import parse
from k8sbuild.patching.tree import DictTree, File

NAMES = ["a", "b c", "ü", 'q"uote', "tab\tname", "back\\slash", "\udce9", "d/e", "d/f.go", "a/g"]
WORDS = ["", "}", "x\r", "c\rd", "ü", "\ttab", " ", "--- a/a", "@@ -1 +1 @@", *(f"line {n}" for n in range(25))]
PLAIN = re.compile(rb"^diff --git .*\n(?:(?:new|deleted) file mode 100644\n)?index .*\n(?=--- )", re.MULTILINE)
NOT_PLAIN = re.compile(rb"^diff --git|^--- (?!/dev/null).*\n.*\n@@ -0,0 ", re.MULTILINE)

words = st.sampled_from(WORDS).map(str.encode)
modes = st.sampled_from([0o644, 0o644, 0o755])


def join(lines: list[bytes], *, newline: bool) -> bytes:
    data = b"".join(line + b"\n" for line in lines)
    return data if newline else data[:-1]


contents = st.builds(join, st.lists(words, max_size=25), newline=st.sampled_from([True, True, False]))


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """Content with one to three small changes."""
    *lines, last = data.split(b"\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines)))
        lines[at : at + draw(st.integers(0, 2))] = draw(st.lists(words, max_size=2))
    if draw(st.integers(0, 9)) == 0:
        last = b"" if last else b"end"
    return b"\n".join([*lines, last])


def fits(files: Files) -> bool:
    return not any(other.startswith(f"{path}/") for path in files for other in files)


trees = st.dictionaries(st.sampled_from(NAMES), st.builds(File, contents, modes), min_size=1, max_size=4).filter(fits)


@st.composite
def changed(draw: st.DrawFn, files: Files) -> Files:
    """A tree with one to three files edited, added, removed, renamed, copied, swapped, or with another mode."""
    files = dict(files)
    for _ in range(draw(st.integers(1, 3))):
        before = dict(files)
        _change(draw, files)
        files = files if fits(files) else before
    return files


def _change(draw: st.DrawFn, files: Files) -> None:
    path = draw(st.sampled_from(sorted(files) or NAMES))
    other = draw(st.sampled_from(NAMES))
    file = files.get(path, File(b""))
    match draw(st.sampled_from(["edit", "edit", "edit", "add", "delete", "rename", "copy", "swap", "mode"])):
        case "edit":
            files[path] = File(draw(edited(file.data)), file.mode)
        case "add":
            files[other] = File(draw(contents), draw(modes))
        case "delete":
            files.pop(path, None)
        case "rename":
            files.pop(path, None)
            files[other] = File(draw(edited(file.data)), file.mode)
        case "copy":
            files[other] = File(draw(edited(file.data)), file.mode)
        case "swap" if other in files:
            files[path], files[other] = files[other], files[path]
        case _:
            files[path] = File(file.data, draw(modes))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Files, list[Files], Files]:
    """A tree, what a series of one to three patches makes of it, and the tree it is applied to."""
    base = draw(trees)
    steps = [base]
    for _ in range(draw(st.integers(1, 3))):
        steps.append(draw(changed(steps[-1])))
    # Where a folder stands in place of a file that a patch renames, git does nothing and says that all is well.
    drifted = changed(base).filter(lambda files: fits({**base, **files}))
    target = draw(drifted) if draw(st.booleans()) else base
    return base, steps[1:], target


def git(folder: Path, *argv: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    env["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    return subprocess.run(["git", *argv], cwd=folder, env=env, input=data, capture_output=True, timeout=60)


def commit(files: Files) -> bytes:
    """Return what makes ``git fast-import`` commit a tree."""
    head = b"commit refs/heads/x\ncommitter a <a@b> 0 +0000\ndata 0\ndeleteall\n"
    entries = (
        b"M 100%o inline %s\ndata %d\n%s\n" % (file.mode, quote(path), len(file.data), file.data)
        for path, file in files.items()
    )
    return head + b"".join(entries)


def git_diffs(repo: Path, states: list[Files], *options: str) -> list[bytes]:
    """Return the non-empty diffs between one state and the next."""
    stream = b"reset refs/heads/x\n" + b"".join(commit(files) for files in states)
    git(repo, "fast-import", "--quiet", "--force", data=stream).check_returncode()
    log = git(repo, "log", "-p", "--reverse", "--topo-order", "--format=%x00", *options, "x")
    log.check_returncode()
    return [diff.lstrip(b"\n") for diff in log.stdout.split(b"\0")[2:] if diff.strip()]


def without_git_headers(patch: bytes) -> bytes:
    """Return a patch as plain ``diff -u`` writes it, if that can say the same.

    It cannot for a file that was empty: git takes a missing one as well then.
    """
    plain = PLAIN.sub(b"", patch)
    return patch if NOT_PLAIN.search(plain) else plain


def git_apply(folder: Path, files: Files, patches: list[bytes]) -> Files | str:
    """Return what git makes of a tree, or its complaint."""
    work = folder / "work"
    write(work, files)
    for number, patch in enumerate(patches):
        (folder / f"{number}.patch").write_bytes(patch)
    done = git(work, "apply", "-p1", *(f"../{number}.patch" for number in range(len(patches))))
    if done.returncode:
        return os.fsdecode(done.stderr)
    return read(work)


def our_apply(files: Files, patches: list[bytes]) -> Files | str:
    """Return what our applier makes of a tree, or its complaint."""
    items = tuple(parse(f"{number}.patch", patch) for number, patch in enumerate(patches))
    try:
        result = apply(DictTree(files), [Contribution(plugin="p", after=frozenset(), items=items)])
    except PatchError as error:
        return error.message
    left = {**files, **result.changes}
    return {path: file for path, file in left.items() if file is not None}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repo")
    git(folder, "init", "-q", "--bare").check_returncode()
    return folder


ADDED_IN_A_ROW: Files = {"a": File(b""), "b c": File(b"x"), "d/e": File(b"", 0o755), "ü": File(b"y\n")}


def one(text: str) -> Files:
    """Return a tree with one file, a line for each word."""
    return {"a": File(join(text.encode().split(), newline=True))}


BLOCK, FILLER = "A B C x D E F", "1 2 3 4 5 6 7"
EQUALLY_FAR = (
    one(f"i j k {FILLER} {BLOCK} l m n o"),
    [one(f"i j k {FILLER} {BLOCK.replace('x', 'y')} l m n o")],
    one(f"i j k {BLOCK} {FILLER} {BLOCK} l m n o"),
)
ONLY_IN_OWN_LINES = (one("1 2 3 4 5 6 s t u 7 8"), [one("1 2 s t u 3 4 5 6 s T u 7 8")], one("1 2 3 4 5 6 7 8"))


@given(case=cases(), options=st.sampled_from([(), ("-M",), ("-M20%", "-C", "-C"), ("-U1",)]), plain=st.booleans())
@example(case=({}, [ADDED_IN_A_ROW, {}], {}), options=(), plain=False)
@example(case=EQUALLY_FAR, options=(), plain=False)
@example(case=ONLY_IN_OWN_LINES, options=("-U1",), plain=True)
@example(case=({}, [{"a": File(b"x\n"), "ü": File(b"y\n")}], {}), options=(), plain=True)
def test_ours_and_git_agree(
    repo: Path, case: tuple[Files, list[Files], Files], options: tuple[str, ...], plain: bool
) -> None:
    base, steps, target = case
    patches = git_diffs(repo, [base, *steps], *options)
    patches = [without_git_headers(patch) for patch in patches] if plain else patches
    ours = our_apply(target, patches)
    if base == target:
        assert ours == steps[-1]
    if not patches or (isinstance(ours, str) and b"\\ No newline" in b"".join(patches)):
        return
    with tempfile.TemporaryDirectory() as folder:
        theirs = git_apply(Path(folder), target, patches)
    event(f"drifted={base != target} applies={not isinstance(ours, str)}")
    assert isinstance(ours, str) == isinstance(theirs, str), (ours, theirs, patches)
    assert isinstance(ours, str) or ours == theirs
