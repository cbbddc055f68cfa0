"""The deployment file is checked before anything else happens, and each mistake has its own line."""

import json
from pathlib import Path
from typing import Any

import pytest

from keeper.errors import OperatorError
from keeper.protocols.margin_engine import MarginEngineProtocol
from keeper.protocols.registry import load_deployment, load_protocol

GOOD: dict[str, Any] = {
    "protocol": "margin_engine",
    "chain_id": 31337,
    "start_block": 4,
    "contracts": {"MarginEngine": "0x5FbDB2315678afecb367f032d93F642f64180aa3"},
}


def write(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "deployment.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_a_good_file_names_the_protocol_and_its_contracts(tmp_path: Path) -> None:
    deployment = load_deployment(write(tmp_path, GOOD), 31337, "margin_engine")
    assert deployment.start_block == 4
    assert deployment.contracts == {"MarginEngine": bytes.fromhex("5FbDB2315678afecb367f032d93F642f64180aa3")}
    assert isinstance(load_protocol(deployment), MarginEngineProtocol)


def changed(**changes: object) -> dict[str, object]:
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold one JSON object"),
        (changed(protocol="curie"), "is for protocol 'curie', KEEPER_PROTOCOL is 'margin_engine'"),
        (changed(protocol=None), "is for protocol None"),
        (changed(chain_id=10), "is for chain 10, KEEPER_CHAIN_ID is 31337"),
        (changed(chain_id="31337"), "has a `chain_id` that is not a whole number"),
        (changed(chain_id=True), "has a `chain_id` that is not a whole number"),
        (changed(start_block=None), "needs `start_block`"),
        (changed(start_block=-1), "has a `start_block` that is not a whole number"),
        (changed(start_block=1.5), "has a `start_block` that is not a whole number"),
        (changed(contracts=None), "needs `contracts`"),
        (changed(contracts=[]), "needs `contracts`"),
        (changed(contracts={}), "has no address of MarginEngine"),
        (changed(contracts={"MarginEngine": 5}), "no valid address of MarginEngine"),
        (changed(contracts={"MarginEngine": "0x12"}), "no valid address of MarginEngine"),
        (changed(contracts={"MarginEngine": "5FbDB2315678afecb367f032d93F642f64180aa3"}), "no valid address"),
        (changed(contracts={"MarginEngine": "0x5fbDB2315678afecb367f032d93F642f64180aa3"}), "checksum"),
        (changed(contracts={"MarginEngine": "0x" + "00" * 20}), "zero address"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, document: object, line: str) -> None:
    path = write(tmp_path, document)
    with pytest.raises(OperatorError) as error:
        load_deployment(path, 31337, "margin_engine")
    text = str(error.value)
    assert line in text
    assert text.startswith("KEEPER_DEPLOYMENT")
    assert "\n" not in text
    assert error.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"nowhere\.json: no such file"):
        load_deployment(tmp_path / "nowhere.json", 31337, "margin_engine")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match="not a text file"):
        load_deployment(path, 31337, "margin_engine")


def test_an_unknown_protocol_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match=r"KEEPER_PROTOCOL: nothing is not installed; known protocols: .*margin_engine"
    ):
        load_deployment(write(tmp_path, GOOD), 31337, "nothing")


def test_two_packages_with_one_protocol_name_are_refused_and_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("honest-lend", "other-lend"):
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[keeper.protocols]\nlend = {package.replace('-', '_')}:Lend\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OperatorError) as error:
        load_deployment(write(tmp_path, GOOD), 31337, "margin_engine")
    assert str(error.value) == (
        "KEEPER_PROTOCOL: honest-lend and other-lend both provide a protocol named lend: uninstall one of them"
    )
    assert error.value.exit_code == 2


def test_a_plug_in_cannot_take_the_name_of_a_protocol_of_the_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[keeper.protocols]\naave_v3 = evil:Protocol\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OperatorError, match="evil and liquidation-keeper both provide a protocol named aave_v3"):
        load_deployment(write(tmp_path, GOOD), 31337, "margin_engine")
