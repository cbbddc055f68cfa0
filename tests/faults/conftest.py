"""A world behind a fault proxy that enforces what real nodes do, and what must hold at the end of each test."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.execute.executor import LiveExecution
from keeper.model.chain import hexed
from keeper.model.intent import Intent, IntentState
from keeper.observe.pnl import NATIVE, summarise
from tests.support import invariants
from tests.support.anvil import Anvil
from tests.support.deaths import Graveyard, graveyard
from tests.support.node_rules import price_bump_rule
from tests.support.proxy import FaultProxy
from tests.support.world import World

SEND = "eth_sendRawTransaction"
MOST_BLOCKS = 12  # until everything has ended


@dataclass
class Sea:
    """A world in bad weather: an executor on a real node behind the proxy."""

    world: World
    proxy: FaultProxy
    executor: LiveExecution
    coins: int  # wei that the keeper began with
    first: int  # the block before anything was sent

    async def submit(self, *plans: Any) -> list[Any]:
        return await self.world.submit(self.executor, *plans)

    async def mine(self, blocks: int = 1, base_fee: int | None = None) -> None:
        await self.world.mine(self.executor, blocks, base_fee)

    async def restart(self) -> None:
        """End the executor, as a process would, and begin another on the same journal."""
        await self.world.stop(self.executor)
        self.executor = await self.world.executor()

    def drop(self, *hashes: bytes) -> None:
        """The node's pool forgets transactions."""
        for tx_hash in hashes:
            self.world.anvil.rpc("anvil_dropTransaction", hexed(tx_hash))

    @property
    def intent(self) -> Intent:
        """The only one."""
        [intent] = self.world.intents()
        return intent

    def states(self) -> list[tuple[int, IntentState]]:
        return [(intent.nonce, intent.state) for intent in self.world.intents()]

    async def settle(self, *, granted_wei: int = 0, granted_tokens: int = 0, foreign: Collection[bytes] = ()) -> None:
        """Calm weather until everything has ended; then the invariants.

        granted_wei, granted_tokens: what the test itself gave (negative: took). foreign: hashes of what it signed.
        """
        self.proxy.clear()
        for _ in range(MOST_BLOCKS):
            if all(intent.state.final for intent in self.world.intents()):
                break
            await self.mine(base_fee=10**9)
        self._assert_sound(granted_wei, granted_tokens, foreign)

    def _assert_sound(self, granted_wei: int, granted_tokens: int, foreign: Collection[bytes]) -> None:
        """The invariants, but for the book, which this world has none of."""
        world, intents = self.world, self.world.intents()
        open_ = [intent for intent in intents if not intent.state.final]
        assert not open_, f"lost: {open_}"
        found = invariants.mined_by(world.anvil, world.keeper, self.first)
        mined = [one for one in found if one.hash not in set(foreign)]
        invariants.each_intent_mined_once(intents, mined)
        nonce = world.anvil.quantity("eth_getTransactionCount", hexed(world.keeper), "latest")
        assert nonce == len(found), "a nonce gap"
        invariants.no_old_gap(intents, nonce, world.anvil.block_number())
        invariants.wire_is_in_journal(intents, self.proxy.sent)
        invariants.fees_within_bid(intents, world.policy.max_fee)
        sums = summarise(intents).profit
        assert sums.get(world.token, 0) == world.tokens(world.keeper) - granted_tokens
        spent = sum(_cost(world.anvil, tx_hash) for tx_hash in foreign)
        assert sums.get(NATIVE, 0) == world.anvil.balance(world.keeper) - self.coins - granted_wei + spent


def _cost(anvil: Anvil, tx_hash: bytes) -> int:
    receipt = anvil.receipt(tx_hash)
    return int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)


@pytest.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(anvil.url) as started:
        yield started


@pytest.fixture
async def sea(anvil: Anvil, proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Sea]:
    world = await World(anvil, tmp_path).connect(proxy.url)
    executor = await world.executor()
    yield Sea(world, proxy, executor, anvil.balance(world.keeper), anvil.block_number())
    await world.close()


@pytest.fixture
def strict(proxy: FaultProxy) -> FaultProxy:
    """A proxy that asks +10 % of replacements, as nodes do. Rules that a test adds before win."""
    proxy.when(SEND).do(price_bump_rule())
    return proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def yard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Graveyard]:
    """Where keepers are killed; one for the tests of a module, on its loop."""
    async with graveyard(tmp_path_factory.mktemp("crash")) as built:
        yield built
