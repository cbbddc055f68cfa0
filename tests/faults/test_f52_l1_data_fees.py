"""F52: a rollup charges for publishing a transaction on L1: in cost, reservations, books and breakers, to the wei."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from keeper.chain.data_fees import GAS_PRICE_ORACLE
from keeper.model.events import BREAKER_OPEN, PLAN_REJECTED, TX_MINED, TX_SENT
from keeper.observe.pnl import NATIVE, summarise
from keeper.sim.arena import Running, arena_node, running
from tests.support import harsh, rollup
from tests.support.invariants import assert_invariants, journal_of
from tests.support.proxy import FaultProxy
from tests.support.weather import step_until


@dataclass
class Rollup:
    arena: harsh.EngineArena
    prices: rollup.L1Prices
    proxy: FaultProxy
    keeper: Running


@asynccontextmanager
async def op_stack(directory: Path, prices: rollup.L1Prices | None = None, **changes: Any) -> AsyncIterator[Rollup]:
    """A live keeper in a crash on the OP stack."""
    with arena_node(extra=rollup.OPTIMISM) as anvil:
        arena = harsh.arena(anvil, directory, accounts=20, blocks=30, seed=3)
        prices = rollup.op_stack(anvil, prices)
        arena.opened = anvil.block_number()
        async with FaultProxy(anvil.url) as proxy:
            rollup.show_l1_fees(proxy, prices)
            async with running(arena.settings(proxy.url, live=True, **changes)) as keeper:
                yield Rollup(arena, prices, proxy, keeper)


async def test_f52_what_is_booked_is_what_the_signer_paid(tmp_path: Path) -> None:
    async with op_stack(tmp_path) as there:
        await step_until(there.arena, there.keeper, lambda: len(there.keeper.of(TX_MINED)) >= 5)
        await there.keeper.handled((await there.arena.quiet()).number)
        await assert_invariants(there.arena, [there.proxy], [there.keeper])  # profit equals the balances' change
        intents = journal_of(there.keeper.daemon.settings)
    ended = [intent for intent in intents if intent.outcome]
    paid = sum(intent.outcome.gas_used * intent.outcome.effective_gas_price for intent in ended if intent.outcome)
    assert -summarise(intents).profit[NATIVE] > 3 * paid, "the data must be what costs most here"
    assert all(intent.outcome.data_fee > 0 for intent in ended if intent.outcome)


async def test_f52_the_gas_breaker_counts_what_the_data_cost(tmp_path: Path) -> None:
    limit = 8
    async with op_stack(tmp_path, max_gas_usd_hour=Decimal(limit)) as there:
        await step_until(there.arena, there.keeper, lambda: there.keeper.of(BREAKER_OPEN))
        ended = [intent.outcome for intent in journal_of(there.keeper.daemon.settings) if intent.outcome]
        dollars = there.arena.player.prices["ETH"] / 10**18
        assert sum(outcome.gas_used * outcome.effective_gas_price for outcome in ended) * dollars < limit
        assert sum(outcome.cost for outcome in ended) * dollars > limit
        assert "KEEPER_MAX_GAS_USD_HOUR" in there.keeper.of(BREAKER_OPEN)[0].fields["reason"]


async def test_f52_nothing_is_sent_that_the_signer_could_pay_the_gas_of_but_not_the_data(tmp_path: Path) -> None:
    dear = rollup.L1Prices(base_fee=20 * 10**14)
    settings = {"min_profit_usd": Decimal(-10_000), "check_capital": False}  # its coins are taken away below
    async with op_stack(tmp_path, dear, **settings) as there:
        there.arena.anvil.set_balance(there.arena.keeper, 5 * 10**16)
        await step_until(there.arena, there.keeper, lambda: there.keeper.of(PLAN_REJECTED))
        reasons = {event.fields["reason"] for event in there.keeper.of(PLAN_REJECTED)}
        assert reasons == {"insufficient_funds"}
        assert not there.keeper.of(TX_SENT)
        there.arena.anvil.set_balance(there.arena.keeper, 10**20)
        await step_until(there.arena, there.keeper, lambda: there.keeper.of(TX_MINED))


async def test_f52_the_oracle_is_asked_in_the_blocks_one_bulk_read(tmp_path: Path) -> None:
    async with op_stack(tmp_path) as there:
        await there.keeper.handled((await there.arena.quiet()).number)
        before = len(there.proxy.seen)
        await there.keeper.handled((await there.arena.quiet()).number)
        calls = [call.params[0] for call in there.proxy.seen[before:] if call.method == "eth_call"]
        asked = [call for call in calls if GAS_PRICE_ORACLE.hex() in call["data"] + call["to"]]
        assert asked == calls[:1]
