"""A deployment file that is well-formed and wrong: one line that says so, not a market without accounts."""

import asyncio
import json
from pathlib import Path

import pytest

from keeper.abi import checksum
from keeper.app.session import open_session
from keeper.book.sync import load_snapshot
from keeper.errors import OperatorError
from keeper.sim.arena import arena_node
from tests.support import harsh


def attempt(arena: harsh.EngineArena, **changes: object) -> None:
    """Connect and sync with a changed deployment file."""
    document = json.loads(arena.files.deployment.read_text()) | changes
    arena.files.deployment.write_text(json.dumps(document))

    async def main() -> None:
        wiring = await open_session(arena.settings(arena.anvil.url), lambda _: None)
        try:
            await load_snapshot(wiring.chain.reader, wiring.protocol, wiring.deployment.start_block)
        finally:
            await wiring.chain.close()

    asyncio.run(main())


def test_another_contract_a_late_start_and_a_start_ahead_are_told(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=10, blocks=40)
        attempt(arena)
        start = json.loads(arena.files.deployment.read_text())
        token = {"MarginEngine": checksum(arena.market.deployed.tokens["USDC"])}
        for changes, words in (
            ({"contracts": token}, "another contract's"),
            ({"start_block": anvil.block_number()}, "start_block is later"),
            ({"start_block": 10**9}, "is after the newest block"),
        ):
            with pytest.raises(OperatorError, match=words):
                attempt(arena, **{**start, **changes})
