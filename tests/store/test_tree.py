"""Trees: digests, subtrees, manifests."""

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sbuild.errors import StoreError
from k8sbuild.store import EMPTY, Entry, Tree


def entry(path: str, mode: int = 0o644, offset: int = 0) -> Entry:
    return Entry(path=path, mode=mode, digest="ab" * 32, size=3, blob="cd" * 32, offset=offset)


def tree(*paths: str) -> Tree:
    return Tree({path: entry(path) for path in paths})


NAMES = st.sets(st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda n: n not in (".", "..")))


@given(NAMES)
def test_manifest_round_trip(names: set[str]) -> None:
    made = tree(*names)
    again = Tree.from_json(made.to_json())
    assert dict(again.entries) == dict(made.entries)
    assert again.digest == Tree(dict(again.entries)).digest == made.digest
    assert list(again.entries) == sorted(names)
    assert pickle.loads(pickle.dumps(again)) == made


def test_digest_covers_content_and_mode_but_no_place() -> None:
    one = tree("a")
    assert Tree({"a": entry("a", offset=9)}) == one
    assert Tree({"a": entry("a", mode=0o755)}) != one
    assert Tree({"a": replace(entry("a"), digest="00" * 32)}) != one
    assert tree("b") != one


def test_states_are_the_same_read_from_a_manifest() -> None:
    made = Tree({"a": entry("a", 0o755), "b": replace(entry("b"), digest="00" * 32)})
    assert made.states() == {"a": ("ab" * 32, 0o755), "b": ("00" * 32, 0o644)}
    assert Tree.from_json(made.to_json()).states() == made.states()


def test_subtree() -> None:
    made = tree("a/b/c", "a/b/d/e", "a/b-c", "a/b0", "f")
    assert list(made.subtree("a/b").entries) == ["c", "d/e"]
    assert list(made.subtree("a/b/c").entries) == ["c"]
    assert list(made.subtree("f").entries) == ["f"]
    assert made.subtree("") == made
    with pytest.raises(KeyError):
        made.subtree("a/x")


def test_merged() -> None:
    assert list(tree("b").merged(tree("a", "b")).entries) == ["a", "b"]
    assert Tree({"a": entry("a", 0o755)}).merged(tree("a")).entries["a"].mode == 0o644
    assert EMPTY.merged(EMPTY) == EMPTY
    with pytest.raises(StoreError, match="'a' is both"):
        tree("a").merged(tree("a/b/c"))


ENTRIES = st.builds(entry, st.just(""), mode=st.sampled_from([0o644, 0o755]), offset=st.integers(0, 9))
CHANGES = st.dictionaries(st.sampled_from("abcdefgh"), st.none() | ENTRIES)


@given(st.dictionaries(st.sampled_from("abcdefgh"), ENTRIES), CHANGES)
def test_an_edited_tree_is_the_tree_with_other_entries(
    before: dict[str, Entry], changes: dict[str, Entry | None]
) -> None:
    entries = {path: replace(found, path=path, blob=found.digest[found.offset] * 64) for path, found in before.items()}
    put = {path: found and replace(found, path=path, blob="ef" * 32) for path, found in changes.items()}
    expected = Tree({path: found for path, found in {**entries, **put}.items() if found})
    for start in (Tree(entries), Tree.from_json(Tree(entries).to_json())):
        made = start.edited(put)
        assert dict(made.entries) == dict(expected.entries)
        assert made.to_json() == expected.to_json()
        assert made.digest == expected.digest


def test_an_edited_tree_is_a_tree() -> None:
    with pytest.raises(StoreError, match="'a' is both"):
        tree("a").edited({"a/b": entry("a/b")})
    assert list(tree("a").edited({"a": None, "a/b": entry("a/b")}).entries) == ["a/b"]


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\0b"])
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(StoreError) as caught:
        tree("good", path)
    assert caught.value.reason == "bad-tree"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n\n", b'{"schema":"k8sbuild/tree/2","blobs":{},\n\n'])
def test_not_a_manifest(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"manifest|unpack|Extra data"):
        Tree.from_json(data)
