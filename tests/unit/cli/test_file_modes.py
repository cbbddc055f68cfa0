"""Whatever the umask of the shell, no other user can read what the program writes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from keeper.protocols.registry import name_contract


def modes(directory: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in directory.rglob("*")}


def test_log_and_directories_are_for_the_owner_alone(place: Path, settings: dict[str, str]) -> None:
    written = {"KEEPER_DATA_DIR": "made/data", "KEEPER_LOG_JSON": "made/logs/keeper.jsonl"}
    ended = subprocess.run(
        [sys.executable, "-m", "keeper", "run", "--once"],
        env={**os.environ, **settings, **written}, capture_output=True, check=False, umask=0,
    )  # fmt: skip
    assert ended.returncode == 4, ended.stderr
    found = modes(place / "made")
    assert found["keeper.jsonl"] == "0o600"
    assert {"logs", "keeper.jsonl"} <= found.keys()
    assert set(found.values()) <= {"0o600", "0o700"}
    assert modes(place)["made"] == "0o700"


def test_a_deployment_file_keeps_its_mode_when_an_executor_is_added(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({"contracts": {}}))
    path.chmod(0o644)
    name_contract(path, "Executor", "0x" + "11" * 20)
    assert "Executor" in path.read_text()
    assert modes(tmp_path) == {"deployment.json": "0o644"}
