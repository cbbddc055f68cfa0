"""A market in the middle of its crash, and the program with settings of it."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeper.cli.main import main
from keeper.errors import InvariantBroken
from keeper.sim.arena import arena_node
from tests.support import harsh
from tests.support.commands import Run


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[harsh.EngineArena]:
    """A market in the middle of its crash, with unsafe accounts."""
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path_factory.mktemp("arena"), accounts=40)
        for _ in range(60):
            if asyncio.run(arena.step()).unsafe >= 3 and arena.played > 10:
                yield arena
                return
        raise InvariantBroken("nobody became unsafe")


@pytest.fixture
def run(
    arena: harsh.EngineArena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Call the program with settings of the arena; keyword arguments change them."""
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, **changes: Any) -> tuple[int, str, str]:
        values = {
            "KEEPER_RPC_URLS": arena.anvil.url,
            "KEEPER_CHAIN_ID": 31337,
            "KEEPER_PROTOCOL": "margin_engine",
            "KEEPER_DEPLOYMENT": arena.files.deployment,
            "KEEPER_DATA_DIR": tmp_path / "data",
            **changes,
        }
        (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return call
