"""The audit's inputs: mutants that apply to the contracts as they are, and what is done with slither's findings."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
PATCHES = sorted((ROOT / "contracts" / "mutants").glob("*.patch"))


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/audit_slither.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location("audit_slither", ROOT / "tools" / "audit_slither.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("sandbox", None)
    return module


def test_there_are_forty_mutants_and_each_contract_has_its_half() -> None:
    assert len(PATCHES) >= 40
    for contract in ("engine", "executor"):
        assert sum(path.name.startswith(f"{contract}-") for path in PATCHES) >= 20


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_a_mutant_says_what_it_breaks_and_applies(patch: Path) -> None:
    first, blank, *_ = patch.read_text().split("\n")
    assert first.endswith(".")
    assert blank == ""
    checked = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_reason_is_a_sentence(tool: ModuleType) -> None:
    reasons = tool.reasons(tool.REASONS)
    assert reasons
    assert all(reason.endswith(".") and len(reason) > 20 for reason in reasons.values())


def test_a_finding_is_known_by_its_detector_and_its_function(tool: ModuleType) -> None:
    contract = {"type": "contract", "name": "Purse"}
    function = {"type": "function", "name": "take", "type_specific_fields": {"parent": contract}}
    variable = {"type": "variable", "name": "to", "type_specific_fields": {"parent": function}}
    node = {"type": "node", "name": "to = x", "type_specific_fields": {"parent": function}}
    items = [
        {"check": "timestamp", "impact": "Low", "description": "a\nb", "elements": [element]}
        for element in (function, variable, node, contract)
    ]
    assert tool.findings({"results": {"detectors": items}}) == {
        ("timestamp", "Purse.take"): "Low: a",
        ("timestamp", "Purse.take.to"): "Low: a",
        ("timestamp", "Purse"): "Low: a",
    }
