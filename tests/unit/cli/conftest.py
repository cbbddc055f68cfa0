"""A clean environment, and the program as an operator calls it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper.cli.main import main

ENGINE = "0x0165878A594ca255338adfa4d48449f69242Eb8F"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an operator's mistake; fails when there is more, or less."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("keeper: ")
        assert not self.out
        return lines[0].removeprefix("keeper: ")


Keeper = Callable[..., Ended]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings in the environment."""
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(place: Path) -> dict[str, str]:
    """Settings that are well-formed, with a deployment file to match; nothing listens there."""
    contracts = {"MarginEngine": ENGINE}
    document = {"protocol": "margin_engine", "chain_id": 31337, "start_block": 0, "contracts": contracts}
    (place / "deployment.json").write_text(json.dumps(document))
    return {
        "KEEPER_RPC_URLS": "http://127.0.0.1:9",
        "KEEPER_CHAIN_ID": "31337",
        "KEEPER_PROTOCOL": "margin_engine",
        "KEEPER_DEPLOYMENT": "deployment.json",
    }


@pytest.fixture
def keeper(place: Path, settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Keeper:
    """Call the program with `.env` made of the settings; keyword arguments change them, None takes one out."""

    def call(*arguments: str, **changes: str | None) -> Ended:
        values = {**settings, **changes}
        lines = [f"{key}={value}" for key, value in values.items() if value is not None]
        (place / ".env").write_text("\n".join(lines) + "\n")
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call
