"""F59: capital that leaves without a booked reason stops everything; what has a reason stops nothing.

Each test plays a real daemon in a crash, so that it has something to send before and after.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.app.one_shot import OneShotTx, send_once
from keeper.app.policies import policy_of
from keeper.chain.connect import connect
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.capital import EVERY_BLOCKS
from keeper.model.capital import Capital
from keeper.model.chain import hexed
from keeper.model.events import BREAKER_OPEN, CAPITAL_MISSING, TX_MINED, TX_REORGED, Level
from keeper.model.intent import NATIVE
from keeper.settings import Settings
from keeper.sim.arena import Running, arena_node, running
from keeper.sim.node.artifacts import calldata
from tests.support import harsh
from tests.support.weather import before_others, give_tokens, step_until

THIEF = bytes.fromhex("a11ce0" + "00" * 17)
UNITS = 1_000_000


@dataclass
class Heist:
    """An arena whose keeper works, and a hand in its pocket."""

    arena: harsh.EngineArena
    keeper: Running

    @property
    def symbol(self) -> str:
        return harsh.LISTING.settlement

    @property
    def token(self) -> bytes:
        return self.arena.market.deployed.tokens[self.symbol]

    def allow(self, arena: harsh.EngineArena) -> None:
        """An approval that somebody tricked out of the keeper's key."""
        inner = keccak(encode(["address", "uint256"], [arena.keeper, 1]))
        slot = keccak(encode(["address", "bytes32"], [THIEF, inner]))
        arena.anvil.rpc("anvil_setStorageAt", hexed(self.token), hexed(slot), hexed(encode(["uint256"], [2**200])))
        arena.anvil.rpc("anvil_setBalance", hexed(THIEF), hex(10**20))
        arena.anvil.rpc("anvil_impersonateAccount", hexed(THIEF))

    def take(self, units: int = UNITS) -> None:
        """Take the keeper's tokens, first in the next block."""
        self.allow(self.arena)
        data = calldata("transferFrom(address,address,uint256)", self.arena.keeper, THIEF, units)
        before_others(self.arena, self.token, data, THIEF)

    async def until_mined(self, more: int = 1) -> None:
        """Blocks until so many more of the keeper's transactions are mined."""
        wanted = len(self.keeper.of(TX_MINED)) + more
        await step_until(self.arena, self.keeper, lambda: len(self.keeper.of(TX_MINED)) >= wanted)

    async def until_missing(self) -> None:
        await step_until(self.arena, self.keeper, lambda: self.keeper.of(CAPITAL_MISSING))

    def assert_stopped(self, token: str, missing: int) -> None:
        """One alarm with the amount, and the breaker."""
        [event] = self.keeper.of(CAPITAL_MISSING)
        assert event.kind.level is Level.CRITICAL
        assert event.fields["holder"] == checksum(self.arena.keeper)
        assert (event.fields["token"], event.fields["missing"]) == (token, str(missing))
        assert int(event.fields["expected"]) - int(event.fields["found"]) == missing
        assert [one.fields["breaker"] for one in self.keeper.of(BREAKER_OPEN)] == ["invariant"]
        assert "without a booked reason" in self.keeper.execution.held

    async def assert_sends_no_more(self) -> None:
        """What is on its way ends; nothing follows, though accounts need it."""
        settled = len(self.keeper.of(TX_MINED)) + self.keeper.execution.pending
        for _ in range(4):
            await self.keeper.handled((await self.arena.step()).number)
        assert len(self.keeper.of(TX_MINED)) <= settled
        assert self.keeper.execution.pending == 0


@asynccontextmanager
async def begun(directory: Path, code: int = 0, mined: int = 2) -> AsyncIterator[Heist]:
    """A keeper that has sent, booked and looked at what it holds. `code`: its exit code."""
    with arena_node() as anvil:
        arena = harsh.arena(anvil, directory, accounts=30, blocks=60, seed=3)
        async with running(arena.settings(live=True), code) as keeper:
            heist = Heist(arena, keeper)
            await heist.until_mined(mined)
            yield heist


async def test_f59_tokens_that_somebody_takes_stop_everything(tmp_path: Path) -> None:
    async with begun(tmp_path, code=5) as heist:
        heist.take()
        await heist.until_missing()
        heist.assert_stopped(checksum(heist.token), UNITS)
        await heist.assert_sends_no_more()


async def test_f59_coins_that_leave_the_signer_stop_everything(tmp_path: Path) -> None:
    async with begun(tmp_path, code=5) as heist:
        anvil, keeper = heist.arena.anvil, heist.arena.keeper
        anvil.set_balance(keeper, anvil.balance(keeper) - 7)
        await heist.until_missing()
        heist.assert_stopped("native", 7)


async def test_f59_deposits_are_no_reason_to_stop(tmp_path: Path) -> None:
    async with begun(tmp_path) as heist:
        anvil, keeper = heist.arena.anvil, heist.arena.keeper
        anvil.set_balance(keeper, anvil.balance(keeper) + 10**18)
        before_others(heist.arena, heist.token, calldata("mint(address,uint256)", keeper, UNITS))
        await heist.until_mined(3)
        assert not heist.keeper.of(CAPITAL_MISSING)
        assert not heist.keeper.of(BREAKER_OPEN)


async def test_f59_a_deposit_does_not_hide_what_left_afterwards(tmp_path: Path) -> None:
    async with begun(tmp_path, code=5) as heist:
        before_others(heist.arena, heist.token, calldata("mint(address,uint256)", heist.arena.keeper, UNITS))
        await heist.until_mined(1)
        heist.take(UNITS // 2)
        await heist.until_missing()
        heist.assert_stopped(checksum(heist.token), UNITS // 2)


async def test_f59_without_transactions_of_its_own_the_keeper_looks_every_so_many_blocks(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=4, blocks=30, seed=3)
        async with running(arena.settings(live=True), 5) as keeper:
            heist = Heist(arena, keeper)
            await keeper.handled((await arena.quiet()).number)
            heist.take()
            taken = anvil.block_number() + 1
            while not keeper.of(CAPITAL_MISSING):
                await keeper.handled((await arena.quiet()).number)
                assert anvil.block_number() <= taken + EVERY_BLOCKS
            heist.assert_stopped(checksum(heist.token), UNITS)


@pytest.mark.parametrize("taken", [True, False])
async def test_f59_what_left_while_the_keeper_was_down_is_seen_at_the_start(tmp_path: Path, taken: bool) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=60, seed=3)
        async with running(arena.settings(live=True)) as keeper:
            await Heist(arena, keeper).until_mined(2)
        heist = Heist(arena, keeper)
        if taken:
            heist.take()
        for _ in range(3):
            await arena.step()
        async with running(arena.settings(live=True), 5 if taken else 0) as keeper:
            heist = Heist(arena, keeper)
            await keeper.handled((await arena.step()).number)
            if taken:
                await heist.until_missing()
                heist.assert_stopped(checksum(heist.token), UNITS)
                await heist.assert_sends_no_more()
            else:
                await heist.until_mined(1)
                assert not keeper.of(CAPITAL_MISSING)
        if not taken:
            return
        async with running(arena.settings(live=True)) as keeper:  # the breaker lasts; there is no second alarm
            await keeper.handled((await arena.step()).number)
            assert "without a booked reason" in keeper.execution.held
            assert not keeper.of(CAPITAL_MISSING)


async def test_f59_the_gas_of_a_transaction_that_the_operator_sent_by_other_means_is_explained(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=60, seed=3)
        async with running(arena.settings(live=True)) as keeper:
            await Heist(arena, keeper).until_mined(2)
        while arena.player.waiting():
            await arena.quiet()
        anvil.rpc("anvil_impersonateAccount", hexed(arena.keeper))
        for _ in range(2):
            sent = anvil.send(arena.keeper, sender=arena.keeper)
            await arena.quiet()
            assert anvil.receipt(sent)["status"] == "0x1"
        async with running(arena.settings(live=True)) as keeper:
            heist = Heist(arena, keeper)
            await heist.until_mined(1)
            assert not keeper.of(CAPITAL_MISSING)


async def test_f59_the_cost_of_a_commands_transaction_is_taken_off_what_the_next_keeper_expects(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=60, seed=3)
        settings = arena.settings(live=True)
        async with running(settings) as keeper:
            await Heist(arena, keeper).until_mined(2)
            await step_until(arena, keeper, lambda: not keeper.execution.pending, step=arena.quiet)
        before, balance = last_look(settings, arena.keeper), anvil.balance(arena.keeper)
        approve = OneShotTx(Heist(arena, keeper).token, calldata("approve(address,uint256)", THIEF, 0), str)
        async with await connect([anvil.url], settings.chain_id, 10, lambda _: None) as chain:
            noted: list[bool] = []

            def tell(tx_hash: str) -> None:
                noted.append(bytes.fromhex(tx_hash[2:]) in commands(settings, arena.keeper))

            sending = asyncio.create_task(send_once(settings, policy_of(settings), chain, approve, 60, tell))
            while not sending.done():
                await arena.quiet()
        await sending
        assert noted == [True], "before it leaves"
        after = last_look(settings, arena.keeper)
        place = arena.keeper, NATIVE
        assert before.units[place] - after.units[place] == balance - anvil.balance(arena.keeper) > 0
        assert after.nonce == before.nonce + 1
        async with running(settings) as keeper:
            await Heist(arena, keeper).until_mined(1)
            assert not keeper.of(CAPITAL_MISSING)


def commands(settings: Settings, signer: bytes) -> set[bytes]:
    """The transactions that commands have noted."""
    store = open_breaker_store(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
    found = store.commands()
    store.close()
    return found


def last_look(settings: Settings, signer: bytes) -> Capital:
    """What a keeper has noted of its capital."""
    store = open_breaker_store(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
    found = store.capital()
    store.close()
    assert found is not None
    return found


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("taken", [True, False])
async def test_f59_a_reorg_neither_hides_a_theft_nor_looks_like_one(tmp_path: Path, depth: int, taken: bool) -> None:
    async with begun(tmp_path, code=5 if taken else 0, mined=4) as heist:
        heist.arena.anvil.reorg(depth)
        if taken:
            heist.take()
            await heist.until_missing()
            heist.assert_stopped(checksum(heist.token), UNITS)
        else:
            await heist.until_mined(3)
            assert heist.keeper.of(TX_REORGED)
            assert not heist.keeper.of(CAPITAL_MISSING)


async def test_f59_a_balance_set_to_nothing_is_missing_whole(tmp_path: Path) -> None:
    async with begun(tmp_path, code=5) as heist:
        give_tokens(heist.arena, heist.symbol, 0)
        await heist.until_missing()
        [event] = heist.keeper.of(CAPITAL_MISSING)
        assert int(event.fields["found"]) < int(event.fields["expected"])
