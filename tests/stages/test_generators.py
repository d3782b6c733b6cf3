"""Which generators a change concerns."""

from __future__ import annotations

import pytest

from k8sbuild.stages.generators import concerned, declarations, scan, type_declarations

FUNCTIONS = """\
package a

// +k8s:deepcopy-gen=true
type A struct {
	B int
}

func one() {
	two()
}

func (a *A) long(
	b int,
) error {
	return nil
}

func short() {}

var C = map[string]int{
	"c": 1,
}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("two()", "three()"),
        ("return nil", "return err"),
        ('"c": 1', '"c": 2'),
        ("var C", "var D"),
        ("}\n\nvar C", "}\n\nvar (\n\tD = 1\n\n\tE = 2\n)\n\nvar C"),
        ("func short", "var D = 1\n\nfunc short"),
    ],
)
def test_bodies_of_functions_and_variables_are_no_declarations(old: str, new: str) -> None:
    assert declarations(FUNCTIONS.replace(old, new)) == declarations(FUNCTIONS)


@pytest.mark.parametrize(
    ("old", "new"),
    [("B int", "B string"), ("one()", "uno()"), ("b int", "b string"), ("short()", "brief()"), ("var C", "const C")],
)
def test_what_is_outside_of_them_is(old: str, new: str) -> None:
    assert declarations(FUNCTIONS.replace(old, new)) != declarations(FUNCTIONS)


@pytest.mark.parametrize("text", ["package a\n\nvar B = 1\n", "package a\n", ""])
def test_a_file_of_variables_declares_as_little_as_none(text: str) -> None:
    assert declarations(text) == ""


def test_tags_of_a_package_are_declarations() -> None:
    assert declarations("// +k8s:deepcopy-gen=package\n\npackage a\n") != ""


def test_types_alone_and_without_comments() -> None:
    grouped = FUNCTIONS + "\n// D and E.\ntype (\n\t// D is one.\n\tD int\n)\n\ntype E string\n"
    assert type_declarations(grouped) == "type A struct {\n\tB int\n}\ntype (\n\tD int\n)\ntype E string"


def test_a_change_reaches_packages_that_import_it_over_others_that_ask() -> None:
    tag = "// +k8s:{}-gen=x\npackage p\n"
    files = {
        "staging/src/k8s.io/api/v1/doc.go": tag.format("deepcopy"),
        "staging/src/k8s.io/api/v1/zz_generated.deepcopy.go": "// +k8s:defaulter-gen=none\npackage p\n",
        "pkg/apis/v1/doc.go": tag.format("conversion") + 'import v1 "k8s.io/api/v1"\n',
        "pkg/apis/batch/doc.go": tag.format("defaulter") + 'import (\n\t"k8s.io/kubernetes/pkg/apis/v1"\n)\n',
        "pkg/plain/plain.go": 'package plain\n\nimport "k8s.io/api/v1"\n',
        "pkg/far/doc.go": tag.format("openapi") + 'import "k8s.io/kubernetes/pkg/plain"\n',
        "pkg/inside/doc.go": "package p\n\n\t// +k8s:deepcopy-gen=true, in a text\n",
    }
    packages = scan(files.items())
    assert {p.folder: sorted(p.tags) for p in packages.values()} == {
        "pkg/apis/batch": ["defaulter-gen"],
        "pkg/apis/v1": ["conversion-gen"],
        "pkg/far": ["openapi-gen"],
        "staging/src/k8s.io/api/v1": ["deepcopy-gen"],
    }
    reached = {"k8s.io/api/v1", "k8s.io/kubernetes/pkg/apis/v1", "k8s.io/kubernetes/pkg/apis/batch"}
    assert concerned(packages, {"k8s.io/api/v1"}) == reached
    assert concerned(packages, {"k8s.io/kubernetes/pkg/plain"}) == set()
