"""From a plan to the books, on a real node."""

import sqlite3

import pytest

from keeper.errors import InvariantBroken
from keeper.execute.dry_run import DryRun
from keeper.execute.signing.policy import MAX_TX_GAS
from keeper.model.intent import IntentState, SendResult, SendStatus
from keeper.model.plan import Rejection
from keeper.observe.pnl import NATIVE, summarise
from tests.support.world import GWEI, TOKENS


async def test_profit_in_the_journal_equals_the_balance_change_to_the_wei(world):
    executor = await world.executor()
    native, tokens = world.anvil.balance(world.keeper), world.tokens(world.keeper)
    await world.submit(executor, await world.plan(0, 10 * TOKENS), await world.plan(1, 7 * TOKENS))
    await world.mine(executor)
    sums = summarise(world.intents())
    assert sums.profit[world.token] == world.tokens(world.keeper) - tokens == 17 * TOKENS
    assert sums.profit[NATIVE] == world.anvil.balance(world.keeper) - native == -sums.gas_wei
    assert sums.value_wad == 34 * TOKENS - sum(
        i.outcome.gas_used * i.outcome.effective_gas_price * 3000 for i in world.intents()
    )
    assert world.codes("tx.") == ["tx.sent", "tx.sent", "tx.mined", "tx.mined"]


async def test_plans_of_one_block_go_out_at_once_on_consecutive_nonces(world):
    executor = await world.executor()
    await world.submit(executor, *[await world.plan(victim) for victim in range(3)])
    assert [intent.nonce for intent in world.intents()] == [0, 1, 2]
    assert {intent.state for intent in world.intents()} == {IntentState.PENDING}
    in_flight = executor.in_flight()
    assert in_flight.accounts == frozenset(world.victims)
    assert in_flight.count == 3
    assert in_flight.uses == {"cap": 30 * TOKENS}
    assert in_flight.native == 3 * 100_000 * 50 * GWEI
    await world.mine(executor)
    assert {intent.state for intent in world.intents()} == {IntentState.MINED}
    assert len({intent.outcome.block_number for intent in world.intents()}) == 1
    assert executor.in_flight().count == 0


async def test_every_byte_that_left_is_in_the_journal(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0), await world.plan(1))
    await world.mine(executor, 2, base_fee=80 * GWEI)
    assert len(world.tap.sent) > 2
    written = {attempt.raw for intent in world.intents() for attempt in intent.attempts}
    assert set(world.tap.sent) <= written


async def test_what_the_simulation_refuses_is_not_sent_and_cools_down(world):
    executor = await world.executor()
    [refused] = await world.submit(executor, await world.plan(0, 5000 * TOKENS))
    assert (refused.reason, refused.message) == (Rejection.SIMULATION_FAILED, "ERC20InsufficientBalance()")
    assert world.victims[0] in executor.in_flight().cooling
    [again] = await world.submit(executor, await world.plan(0))
    assert again.reason is Rejection.COOLING_DOWN
    assert world.tap.sent == []
    assert world.intents() == []
    await world.mine(executor, world.policy.cooldown_blocks)
    assert await world.submit(executor, await world.plan(0)) == []


async def test_an_account_on_its_way_is_not_sent_twice(world):
    executor = await world.executor()
    first, second = await world.plan(0), await world.plan(0, 5 * TOKENS)
    [refused] = await world.submit(executor, first, second)
    assert refused.reason is Rejection.IN_FLIGHT
    [refused] = await world.submit(executor, second)
    assert refused.reason is Rejection.IN_FLIGHT
    assert len(world.tap.sent) == 1


async def test_a_gas_limit_above_the_transaction_cap_is_refused_before_signing(world):
    executor = await world.executor()
    [refused] = await world.submit(executor, await world.plan(0, gas_limit=MAX_TX_GAS + 1))
    assert refused.reason is Rejection.BLOCK_GAS
    assert world.intents() == []


async def test_no_more_than_the_limit_is_on_its_way(world):
    world.policy = type(world.policy)(
        **{f: getattr(world.policy, f) for f in world.policy.__slots__} | {"max_in_flight": 2}
    )
    executor = await world.executor()
    [refused] = await world.submit(executor, *[await world.plan(victim) for victim in range(3)])
    assert (refused.account, refused.reason) == (world.victims[2], Rejection.TOO_MANY_IN_FLIGHT)


async def test_a_lost_reply_keeps_its_nonce_and_ends_in_one_liquidation(world):
    executor = await world.executor()
    world.tap.spoil.append(lambda _: SendResult(SendStatus.UNKNOWN, "lost", "the connection broke"))
    await world.submit(executor, await world.plan(0))
    assert world.codes("tx.") == ["tx.unknown", "tx.sent"]
    await world.mine(executor, 2)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_a_refused_transaction_frees_its_nonce_for_the_next(world):
    executor = await world.executor()
    world.tap.swallow = 1
    await world.submit(executor, await world.plan(0))
    assert world.codes("tx.") == ["tx.refused", "tx.cancelled"]
    assert world.event("tx.refused").fields["reason"] == "underpriced"
    await world.submit(executor, await world.plan(1))
    await world.mine(executor)
    assert [(i.nonce, i.state) for i in world.intents()] == [(0, IntentState.DROPPED), (0, IntentState.MINED)]


async def test_the_very_bytes_that_were_refused_may_be_sent_again(world):
    executor = await world.executor()
    plan = await world.plan(0)
    for _ in range(2):
        world.tap.swallow = 1
        await world.submit(executor, plan)
        await world.mine(executor, 3)  # the account cools down
    await world.submit(executor, plan)
    await world.mine(executor)
    assert not executor.held
    states = [(intent.nonce, intent.state) for intent in world.intents() if intent.kind == "take"]
    assert states[-1][1] is IntentState.MINED
    assert states[0] == (0, IntentState.DROPPED)


async def test_a_nonce_gap_that_no_plan_takes_is_filled(world):
    executor = await world.executor()
    world.tap.swallow = 1
    await world.submit(executor, await world.plan(0), await world.plan(1))
    await world.mine(executor, 5)
    states = {(intent.nonce, intent.kind): intent.state for intent in world.intents()}
    assert states == {
        (0, "take"): IntentState.DROPPED,
        (1, "take"): IntentState.MINED,
        (0, "fill"): IntentState.CANCELLED,
    }


async def test_a_dry_run_says_what_it_would_do_and_nothing_leaves(world):
    dry = DryRun(world.chain.reader, world.protocol, world.policy, world.events.append)
    plan = await world.plan(0)
    # nobody has no allowance, so the call that anyone could make is a mint
    plan = type(plan)(**{f: getattr(plan, f) for f in plan.__slots__} | {"call": type(plan.call)(
        world.token, world.abi.functions["mint"].encode(world.keeper, 1))})  # fmt: skip
    snapshot = await world.snapshot()
    assert await dry.submit([plan], snapshot, snapshot.block.timestamp + 1) == []
    assert world.event("plan.made").fields["live"] is False
    assert dry.address is None
    assert world.chain.requests["eth_sendRawTransaction"] == 0
    assert not (world.data_dir / "keeper.db").exists()


async def test_a_stopping_keeper_takes_no_more_plans(world):
    executor = await world.executor()
    await executor.drain(1.0)
    [refused] = await world.submit(executor, await world.plan(0))
    assert refused.reason is Rejection.HOLD
    assert world.tap.sent == []


async def test_what_must_not_be_signed_stops_everything_and_leaves_nothing_behind(world):
    executor = await world.executor(targets=[])
    with pytest.raises(InvariantBroken, match="refused to sign"):
        await world.submit(executor, await world.plan(0), await world.plan(1))
    assert world.tap.sent == []
    assert [intent.state for intent in world.intents()] == [IntentState.DROPPED] * 2
    assert world.event("breaker.open").kind.level == "critical"
    [refused] = await world.submit(executor, await world.plan(2))
    assert refused.reason is Rejection.HOLD


async def test_without_a_journal_nothing_is_sent(world):
    executor = await world.executor()
    with sqlite3.connect(world.data_dir / "keeper.db") as database:
        database.execute("alter table attempts rename to gone")
    database.close()
    [refused] = await world.submit(executor, await world.plan(0))
    assert refused.reason is Rejection.HOLD
    assert "the journal cannot be" in refused.message
    assert "the journal cannot be" in executor.held
    assert "the journal cannot be" in world.event("journal.unavailable").fields["error"]
    assert world.tap.sent == []


async def test_a_node_that_does_not_answer_is_a_hold_and_not_a_verdict(world):
    executor = await world.executor()
    plan, snapshot = await world.plan(0), await world.snapshot()
    world.anvil.stop()
    [refused] = await executor.submit([plan], snapshot, snapshot.block.timestamp + 1)
    assert refused.reason is Rejection.HOLD
    assert executor.in_flight().cooling == {}
    await executor.follow(snapshot)
    assert executor.held == ""
