"""Kills a live keeper at a named point, starts it again, and says what it made of it.

The market stands right before its first unsafe block; each death has a journal of its own and begins from there.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keeper.model.chain import hexed
from keeper.settings import Settings
from keeper.sim.arena import WAIT_S, arena_node, running
from keeper.sim.keeper import CHAIN_ID, JOURNAL
from tests.support import harsh, invariants
from tests.support.crashing import CANCEL, LAUNCH, Zygote
from tests.support.proxy import FaultProxy

GWEI = 10**9
CAP_GWEI = 50
DEADLINE_BLOCKS = 3
MOST_BLOCKS = 30


@dataclass
class Death:
    """What came of one."""

    point: str
    intents: int
    mined: int
    duplicates: int
    lost: int
    gaps: int


@dataclass
class Graveyard:
    """A market, a proxy before its node, and a parent of keepers."""

    arena: harsh.EngineArena
    proxy: FaultProxy
    zygote: Zygote
    directory: Path
    _snapshot: str = ""
    _count: int = 0

    async def die(self, point: str, nth: int = 1) -> Death:
        """One death at a point, and a restart until nothing is on its way. Raises where an invariant does not hold."""
        return await self.recover(await self.kill(point, nth), point)

    async def kill(self, point: str, nth: int = 1) -> Settings:
        """A keeper on the market as it was at first, dead at a point; returns its settings."""
        settings = self._begin()
        await self.zygote.spawn(self._environment(settings), point, nth)
        await self._drive(settings, point)
        assert await self.zygote.ended() == -signal.SIGKILL, f"it did not come to {point}"
        return settings

    def _begin(self) -> Settings:
        """The market as it was, and an empty directory."""
        arena = self.arena
        if self._snapshot:
            arena.anvil.revert(self._snapshot)
        self._snapshot = arena.anvil.snapshot()
        arena.player.time = arena.player.timestamp()
        arena.anvil.set_next_base_fee(GWEI)
        self.proxy.seen.clear()
        self._count += 1
        home = self.directory / str(self._count)
        home.mkdir()
        return arena.settings(
            self.proxy.url, live=True, data_dir=home, max_fee_gwei=CAP_GWEI, deadline_blocks=DEADLINE_BLOCKS
        )

    def _environment(self, settings: Settings) -> dict[str, str]:
        return {
            "KEEPER_RPC_URLS": self.proxy.url,
            "KEEPER_CHAIN_ID": str(CHAIN_ID),
            "KEEPER_PROTOCOL": "margin_engine",
            "KEEPER_DEPLOYMENT": str(self.arena.files.deployment),
            "KEEPER_PRIVATE_KEY_FILE": str(self.arena.files.key),
            "KEEPER_DATA_DIR": str(settings.data_dir),
            "KEEPER_DATABASE_URL": JOURNAL,
            "KEEPER_POLL_INTERVAL_S": "0.05",
            "KEEPER_MAX_FEE_GWEI": str(CAP_GWEI),
            "KEEPER_DEADLINE_BLOCKS": str(DEADLINE_BLOCKS),
        }

    async def _drive(self, settings: Settings, point: str) -> None:
        """Blocks until it dies. Fees above what it offers bring it to replace, above its cap to cancel."""
        for _ in range(MOST_BLOCKS):
            await self._handled(settings)
            if not self.zygote.running:
                return
            if point not in LAUNCH and self.proxy.sent:
                await asyncio.to_thread(self.arena.anvil.set_next_base_fee, self._base_fee(point))
            await self.arena.quiet()

    def _base_fee(self, point: str) -> int:
        if point in CANCEL or point.startswith("rebroadcast"):
            return 2 * CAP_GWEI * GWEI
        return CAP_GWEI * GWEI // 3

    async def _handled(self, settings: Settings) -> None:
        """Wait until the keeper has handled the head, or is dead."""
        head = self.arena.anvil.block_number()
        async with asyncio.timeout(WAIT_S):
            while self.zygote.running and status_block(settings.data_dir) < head:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # it is another process

    async def recover(self, settings: Settings, point: str) -> Death:
        """The second start, in calm weather, until nothing is on its way."""
        arena = self.arena
        async with running(settings) as keeper:
            for _ in range(MOST_BLOCKS):
                arena.anvil.set_next_base_fee(GWEI)
                record = await arena.quiet()
                await keeper.handled(record.number)
                if all(intent.state.final for intent in invariants.journal_of(settings)):
                    break
            await invariants.assert_invariants(arena, [self.proxy], [keeper])
        intents = invariants.journal_of(settings)
        mined = invariants.mined_by(arena.anvil, arena.keeper, arena.opened)
        owners = [i.id for one in mined for i in intents if one.hash in {a.tx_hash for a in i.attempts}]
        nonce = arena.anvil.quantity("eth_getTransactionCount", hexed(arena.keeper), "latest")
        return Death(
            point,
            len(intents),
            len(mined),
            len(owners) - len(set(owners)),
            sum(not intent.state.final for intent in intents),
            nonce - len(mined),
        )


@asynccontextmanager
async def graveyard(directory: Path, accounts: int = 16, seed: int = 5) -> AsyncIterator[Graveyard]:
    """A market right before somebody in it is unsafe, ready for deaths."""
    with arena_node() as anvil:
        arena = harsh.arena(anvil, directory / "market", accounts=accounts, blocks=40, seed=seed)
        while not (await arena.step()).unsafe:
            pass
        async with FaultProxy(anvil.url) as proxy, Zygote() as zygote:
            yield Graveyard(arena, proxy, zygote, directory)


def status_block(directory: Path) -> int:
    """The newest block that a keeper's status file tells of; -1 for none."""
    try:
        return int(json.loads((directory / "status.json").read_text())["block"] or -1)
    except (OSError, ValueError, KeyError):
        return -1
