"""Generators run where a patch concerns them; `go` and the generators are shell scripts here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from stages.kept import kept, text

from k8sbuild.engine.inside import inside
from k8sbuild.engine.parts import GoParts
from k8sbuild.errors import CodegenError
from k8sbuild.stages.generate import regenerate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]

FETCHED, PATCHED, ZIPS = "fetch:toy/kubernetes", "patch:toy/kubernetes", "fetch:toy/server-modules"
TYPES = "staging/src/k8s.io/api/v1/types.go"
DEEPCOPY = "staging/src/k8s.io/api/v1/zz_generated.deepcopy.go"
OPENAPI = "pkg/generated/openapi/zz_generated.openapi.go"
TREE = {
    TYPES: "// +k8s:deepcopy-gen=package\n// +k8s:openapi-gen=true\npackage v1\n\ntype A struct {\n\tB int\n}\n",
    DEEPCOPY: "k8s.io/api/v1\n",
    OPENAPI: "k8s.io/api/v1\n",
    "pkg/run/run.go": "package run\n\nfunc run() {\n\tgo()\n}\n",
}
#: Builds a generator that writes which packages it was run for, and which fields it saw.
GO = """\
#!/bin/sh
if [ "$1" = env ]; then echo go1.25.5; exit; fi
cp go.mod "$(dirname "$0")/../go.mod"
while [ "$1" != -o ]; do shift; done
bin=$2; shift 2; mkdir -p "$bin"
for program; do
cat > "$bin/$(basename "$program")" <<'SH'
#!/bin/sh
for word; do
  case $word in
    --output-file=*) file=${word#*=};;
    --output-dir=*) dir=${word#*=};;
    k8s.io/*) names="$names$word
"; src=../tree/staging/src/$word;;
  esac
done
[ -z "$FAIL" ] && ! grep -q Bad "$src/types.go" || { echo "bad type" >&2; exit 1; }
{ printf %s "$names"; grep New "$src/types.go"; } > "${dir:-$src}/$file"; true
SH
chmod +x "$bin/$(basename "$program")"
done
"""


@pytest.fixture
def told() -> list[str]:
    """Return the warnings of the step."""
    return []


@pytest.fixture
def generate(context: Context, tmp_path: Path, told: list[str]) -> Callable[..., StepContext]:
    """Return a function that runs the step on a tree with some files changed."""
    root = tmp_path / "goroot"
    (root / "bin").mkdir(parents=True)
    (root / "bin/go").write_text(GO)
    (root / "bin/go").chmod(0o755)

    def run(**changed: str) -> StepContext:
        patched = TREE | {path: text for path, text in changed.items() if text}
        inputs = {
            FETCHED: {path: text.encode() for path, text in TREE.items()},
            PATCHED: {path: text.encode() for path, text in patched.items()},
            ZIPS: {"sums.json": json.dumps({"a.b/c@v1.0.0": ["h1:x", "h1:y"]}).encode()},
        }
        params: dict[str, Any] = {
            "fetched": FETCHED, "patched": PATCHED, "module": "codegen:toy/main", "go": "go1.25.5",
            "go_line": "1.25.1", "godebug": {"default": "go1.22"}, "requires": {"k8s.io/api": "v0.1.0"},
            "replaces": {"a.b/c": ["a.b/d", "v1.0.0"]},
            "local": {"k8s.io/kubernetes": "", "k8s.io/api": "k8s.io/kubernetes"},
        }  # fmt: skip
        facts = {PATCHED: {"touched": {path: [["toy", "a.patch"]] for path in changed}}}
        parts = GoParts(zips=ZIPS, trees=(), toolchain=str(root), release="go1.25.5", pinned="go1.25.5")
        name, go_parts = "codegen:toy/kubernetes", {"codegen:toy/main": parts}
        ctx = context(params, inputs=inputs, name=name, input_facts=facts, go_parts=go_parts, warn=told.append)
        regenerate(ctx)
        return ctx

    return run


def test_nothing_is_run_for_a_patch_of_other_code(generate: Callable[..., StepContext]) -> None:
    ctx = generate(**{"pkg/run/run.go": TREE["pkg/run/run.go"].replace("go()", "stop()"), TYPES: TREE[TYPES] + "\n"})
    assert kept(ctx) == inside(ctx).trees[PATCHED]
    assert "generated" not in ctx.facts
    assert ctx.facts["touched"]["pkg/run/run.go"] == [["toy", "a.patch"]]
    assert not list(ctx.out.iterdir())
    assert not ctx.log_file.exists()


def test_a_new_field_is_generated_for(generate: Callable[..., StepContext], tmp_path: Path) -> None:
    ctx = generate(**{TYPES: TREE[TYPES].replace("B int\n", "B int\n\tNew string\n")})
    assert text(ctx, DEEPCOPY) == text(ctx, OPENAPI) == "k8s.io/api/v1\n\tNew string\n"
    assert ctx.facts["generated"] == [OPENAPI, DEEPCOPY]
    assert ctx.facts["touched"][DEEPCOPY] == [["k8sbuild", "deepcopy-gen"]]
    go_mod = (tmp_path / "goroot/go.mod").read_text()
    assert "default=go1.22" in go_mod
    assert f"k8s.io/api => {ctx.out}/tree/staging/src/k8s.io/api" in go_mod


def test_a_module_documents_the_types_of_others_that_its_script_names(
    generate: Callable[..., StepContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "staging/src/k8s.io/extensions"
    made = f"{module}/{OPENAPI}"
    monkeypatch.setitem(TREE, f"{module}/v1/types.go", TREE[TYPES].replace("deepcopy", "other"))
    monkeypatch.setitem(TREE, made, "")
    field = {TYPES: TREE[TYPES].replace("B int\n", "B int\n\tNew string\n")}
    assert made not in generate(**field).facts["generated"]
    script = "gen_openapi \\\n    --extra-pkgs k8s.io/api/v1 `# needed` \\\n    --output-dir pkg\n"
    monkeypatch.setitem(TREE, f"{module}/hack/update-codegen.sh", script)
    names = text(generate(**field), made).split()
    assert [name for name in names if "apimachinery" not in name] == ["k8s.io/api/v1", "k8s.io/extensions/v1"]


def test_what_is_not_generated_anew_is_told(
    generate: Callable[..., StepContext], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = TYPES.replace("types", "types_swagger_doc_generated")
    monkeypatch.setitem(TREE, docs, "package v1\n")
    field = {TYPES: TREE[TYPES].replace("B int\n", "New string\n").replace("package", "// +genclient\npackage")}
    generate(**field)
    generate(**field, **{docs: "package v1 // with New\n"})
    text = "staging/src/k8s.io/api/v1: not generated anew, put it into the patch if you need it: genclient"
    assert told == [f"{text}, types_swagger_doc_generated.go", text]


def test_a_generator_that_fails(generate: Callable[..., StepContext]) -> None:
    with pytest.raises(CodegenError, match="bad type") as caught:
        generate(**{TYPES: TREE[TYPES].replace("B int\n", "Bad int\n")})
    assert caught.value.reason == "generator-failed"


def test_types_that_protoc_has_to_see_are_refused(
    generate: Callable[..., StepContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "staging/src/k8s.io/api/v1/generated.pb.go"
    monkeypatch.setitem(TREE, made, "package v1\n")
    field = {TYPES: TREE[TYPES].replace("B int\n", "B int\n\tNew string\n")}
    with pytest.raises(CodegenError, match=f"its types changed, and {made} did not") as caught:
        generate(**field)
    assert caught.value.reason == "protobuf-not-generated"
    assert text(generate(**field, **{made: "package v1 // with New\n"}), DEEPCOPY).endswith("New string\n")
    proto = made.replace(".pb.go", ".proto")
    monkeypatch.setitem(TREE, proto, "message A {\n  optional int32 b = 1;\n}\n")
    message = {proto: TREE[proto].replace("1;\n", "1;\n  optional string new = 2;\n")}
    with pytest.raises(CodegenError, match=f"its messages changed, and {made} did not"):
        generate(**message)
    assert "generated" not in generate(**message, **{made: "package v1 // with New\n"}).facts
    assert "generated" not in generate(**{proto: "// A has B.\n" + TREE[proto]}).facts
    comment = {TYPES: TREE[TYPES].replace("type A", "// A is new.\ntype A")}
    assert generate(**comment).facts["generated"] == [], "comments count, for the documents that openapi-gen makes"
