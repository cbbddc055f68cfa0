"""An operator's mistake is one line that names the setting, and an exit code; never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Keeper


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"KEEPER_RPC_URLS": None}, "KEEPER_RPC_URLS is not set"),
        ({"KEEPER_RPC_URLS": ""}, "KEEPER_RPC_URLS"),
        ({"KEEPER_RPC_URLS": "ftp://127.0.0.1"}, "KEEPER_RPC_URLS"),
        ({"KEEPER_CHAIN_ID": None}, "KEEPER_CHAIN_ID is not set"),
        ({"KEEPER_CHAIN_ID": "mainnet"}, "KEEPER_CHAIN_ID"),
        ({"KEEPER_CHAIN_ID": "0"}, "KEEPER_CHAIN_ID"),
        ({"KEEPER_PROTOCOL": "no_such_protocol"}, "KEEPER_PROTOCOL"),
        ({"KEEPER_MAX_FEES_GWEI": "5"}, "KEEPER_MAX_FEES_GWEI: did you mean KEEPER_MAX_FEE_GWEI?"),
        ({"KEEPER_WHATEVER": "5"}, "KEEPER_WHATEVER"),
        ({"KEEPER_MAX_FEE_GWEI": "-1"}, "KEEPER_MAX_FEE_GWEI"),
        ({"KEEPER_MAX_FEE_GWEI": "0"}, "KEEPER_MAX_FEE_GWEI"),
        ({"KEEPER_MAX_FEE_GWEI": "1e12"}, "KEEPER_MAX_FEE_GWEI"),
        ({"KEEPER_MAX_FEE_GWEI": "nan"}, "KEEPER_MAX_FEE_GWEI"),
        ({"KEEPER_TARGET_HEALTH": "0.9"}, "KEEPER_TARGET_HEALTH"),
        ({"KEEPER_TARGET_HEALTH": "1000"}, "KEEPER_TARGET_HEALTH"),
        ({"KEEPER_TARGET_HEALTH": "inf"}, "KEEPER_TARGET_HEALTH"),
        ({"KEEPER_MIN_PROFIT_USD": "-1e9"}, "KEEPER_MIN_PROFIT_USD"),
        ({"KEEPER_DEADLINE_BLOCKS": "0"}, "KEEPER_DEADLINE_BLOCKS"),
        ({"KEEPER_DEADLINE_BLOCKS": "1.5"}, "KEEPER_DEADLINE_BLOCKS"),
        ({"KEEPER_METRICS_PORT": "70000"}, "KEEPER_METRICS_PORT"),
        ({"KEEPER_POLL_INTERVAL_S": "nan"}, "KEEPER_POLL_INTERVAL_S"),
        ({"KEEPER_LIVE": "perhaps"}, "KEEPER_LIVE"),
        ({"KEEPER_LOG_LEVEL": "loud"}, "KEEPER_LOG_LEVEL"),
        ({"KEEPER_PRIVATE_KEY_FILE": "no-such-key"}, "KEEPER_PRIVATE_KEY_FILE: cannot read no-such-key"),
        ({"KEEPER_KEYSTORE_FILE": "keystore.json"}, "KEEPER_KEYSTORE_PASSWORD_FILE"),
        ({"KEEPER_CHAIN_ID": "1", "KEEPER_PRIVATE_KEY": "0x" + "11" * 32}, "KEEPER_PRIVATE_KEY is refused on chain 1"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(keeper: Keeper, changes: dict[str, Any], names: str) -> None:
    ended = keeper("doctor", **changes)
    assert ended.code == 2
    assert names in ended.line


@pytest.mark.parametrize("command", ["doctor", "scan", "plan", "run", "status", "txs", "pnl"])
def test_every_command_refuses_an_unknown_setting(keeper: Keeper, command: str) -> None:
    ended = keeper(command, KEEPER_NO_SUCH_THING="1")
    assert ended.code == 2
    assert "KEEPER_NO_SUCH_THING" in ended.line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("[]", "one JSON object"),
        (b"\xff\xfe\x00", "not a text file"),
        ({"protocol": "curie"}, "is for protocol 'curie'"),
        ({"chain_id": 10}, "is for chain 10"),
        ({"start_block": -1}, "start_block"),
        ({"contracts": {}}, "MarginEngine"),
        ({"contracts": {"MarginEngine": "0x1234"}}, "MarginEngine"),
        ({"contracts": {"MarginEngine": "0x0165878a594ca255338adfa4d48449f69242Eb8F"}}, "checksum"),
        ({"contracts": {"MarginEngine": "0x" + "00" * 20}}, "zero address"),
    ],
)
def test_a_missing_or_malformed_deployment_file_is_one_line(
    keeper: Keeper, place: Path, content: Any, says: str
) -> None:
    path = place / "deployment.json"
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps({**json.loads(path.read_text()), **content})
        path.write_text(text)
    for command in ("scan", "doctor", "run"):
        ended = keeper(command)
        assert ended.code == 2
        assert "KEEPER_DEPLOYMENT" in ended.line
        assert says in ended.line


@pytest.mark.parametrize("key", ["not hex at all", "0x1234", "00" * 32, "ff" * 32])
def test_a_malformed_key_is_one_line_that_does_not_repeat_it(keeper: Keeper, place: Path, key: str) -> None:
    (place / "key").write_text(key)
    ended = keeper("doctor", KEEPER_PRIVATE_KEY_FILE="key")
    assert ended.code == 2
    assert "KEEPER_PRIVATE_KEY_FILE" in ended.line
    assert key not in ended.line


def test_a_wrong_keystore_password_is_one_line_that_does_not_repeat_it(keeper: Keeper, place: Path) -> None:
    from eth_account import Account

    (place / "keystore.json").write_text(json.dumps(Account.encrypt("0x" + "22" * 32, "correct horse", iterations=2)))
    (place / "password").write_text("battery staple")
    changes = {"KEEPER_KEYSTORE_FILE": "keystore.json", "KEEPER_KEYSTORE_PASSWORD_FILE": "password"}
    ended = keeper("doctor", **changes)
    assert ended.code == 2
    assert "KEEPER_KEYSTORE_PASSWORD_FILE: wrong password" in ended.line
    assert "battery" not in ended.line


def test_an_unreadable_keystore_is_one_line(keeper: Keeper, place: Path) -> None:
    (place / "password").write_text("x")
    ended = keeper("doctor", KEEPER_KEYSTORE_FILE="nowhere.json", KEEPER_KEYSTORE_PASSWORD_FILE="password")
    assert ended.code == 2
    assert "KEEPER_KEYSTORE_FILE: cannot read nowhere.json" in ended.line


def test_a_named_settings_file_that_is_not_there_is_refused(keeper: Keeper) -> None:
    ended = keeper("status", "--env-file", "elsewhere.env")
    assert ended.code == 2
    assert "elsewhere.env" in ended.line


def test_a_settings_file_that_is_no_text_is_refused(keeper: Keeper, place: Path) -> None:
    (place / "binary.env").write_bytes(b"KEEPER_X=\xff\xfe")
    ended = keeper("status", "--env-file", "binary.env")
    assert ended.code == 2
    assert "binary.env" in ended.line


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["scan", "--blok", "4"],
        ["scan", "--block", "four"],
        ["scan", "--block", "-1"],
        ["run", "--blocks", "0"],
        ["run", "--once", "--blocks", "3"],
        ["demo", "--accounts", "1"],
        ["demo", "--blocks", "0"],
        ["demo", "--protocol", "no-such-protocol"],
        ["demo", "--protocol", "curie@1.0"],
        ["txs", "surplus"],
    ],
)
def test_wrong_arguments_are_one_line_with_exit_code_2(keeper: Keeper, arguments: list[str]) -> None:
    ended = keeper(*arguments)
    assert ended.code == 2
    assert ended.line


def test_the_demo_leaves_the_directory_of_a_real_keeper_alone(keeper: Keeper, place: Path) -> None:
    (place / "keeper-data").mkdir()
    (place / "keeper-data" / "keeper.db").touch()
    ended = keeper("demo")
    assert ended.code == 2
    assert "--data-dir" in ended.line
    assert [path.name for path in (place / "keeper-data").iterdir()] == ["keeper.db"]
