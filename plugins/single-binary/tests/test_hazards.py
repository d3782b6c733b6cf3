"""The table of hazards in the README names tests and checks that exist."""

from __future__ import annotations

import re
from pathlib import Path

import k8sbuild_kine_integration
import k8sbuild_single_binary
from k8sbuild_single_binary import plugin

from k8sbuild.testing.checks import sample_build

README = Path(__file__).parents[1] / "README.md"
OVERLAYS = [Path(module.__file__).parent / "overlay" for module in (k8sbuild_single_binary, k8sbuild_kine_integration)]


def test_every_proof_exists() -> None:
    rows = [line.split(" | ")[-1] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    proofs = [proof for row in rows for proof in re.findall(r"`([^`]*(?: Test|:)[^`]*)`", row)]
    checks = {
        f"validate:single-binary/{check.name}" for check in plugin.k8sbuild_validate(sample_build(plugin, target="k8s"))
    }
    missing = [proof for proof in proofs if proof not in checks and not _is_a_test(proof)]
    assert missing == []
    assert len(proofs) > 20


def _is_a_test(proof: str) -> bool:
    package, _, name = proof.partition(" ")
    files = [file for overlay in OVERLAYS for file in (overlay / package).glob("*_test.go")]
    return any(f"\nfunc {name}(t *testing.T) {{" in file.read_text(encoding="utf-8") for file in files)
