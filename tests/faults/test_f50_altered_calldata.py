"""F50: what is to be signed is altered after it was planned and simulated, on every way to the key.

The altered call would be mined: it takes from another account, or empties the keeper. The signing policy decodes it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError

from keeper.errors import InvariantBroken
from keeper.execute.executor import LiveExecution
from keeper.execute.signing.calls import AdapterCalls
from keeper.execute.signing.encoding import transaction_in
from keeper.execute.signing.signer import UnsignedTx
from keeper.execute.tx import broadcaster
from keeper.model.breaker import BreakerName
from keeper.model.chain import Call
from keeper.model.events import BREAKER_OPEN, HEAD_NEW, PLAN_MADE
from keeper.model.intent import IntentState
from keeper.model.limits import TradeLimits
from keeper.model.plan import Rejection
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols.base import Snapshot
from keeper.protocols.columns import Columns
from keeper.sim.arena import arena_node, running
from tests.support import harsh
from tests.support.altering import Intruder
from tests.support.anvil import Anvil
from tests.support.forging import WAYS, altered
from tests.support.proxy import FaultProxy
from tests.support.succession import WORST_BLOCK
from tests.support.world import GWEI, TOKENS, Taking, World, address_of

CAPITAL = 1000 * TOKENS
THIEF, STRANGER = address_of(7), address_of(5)
MOST = 1 << 128


class Checked(Taking):
    """Takes an account's tokens for the keeper: that and nothing else. A token is a dollar."""

    def __init__(self, world: World) -> None:
        super().__init__(world.token)
        self._function = world.abi.functions["transferFrom"]
        self._keeper = "0x" + world.keeper.hex()

    def permits(self, state: Any, call: Call) -> str:
        try:
            account, receiver, amount = self._function.arguments(call.data)
        except DecodingError:
            return "calldata that cannot be decoded"
        right = (call.to, call.data[:4], receiver) == (self.token, self._function.selector, self._keeper)
        return "" if right and int(account, 16) and 0 < amount < MOST else f"a transfer to {receiver}"

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        account, _, amount = self._function.arguments(call.data)
        return Stakes((bytes.fromhex(account[2:]),), frozenset({asset_of(call.to)}), amount)


@dataclass
class Desk:
    """A keeper with capital, whose signing policy decodes calls."""

    world: World
    proxy: FaultProxy

    async def executor(self, **limits: Any) -> LiveExecution:
        self.world.calls = AdapterCalls(self.world.protocol, TradeLimits(**limits))  # type: ignore[arg-type]
        return await self.world.executor()

    @property
    def nonces(self) -> list[int]:
        """Of what was sent, in order."""
        return [transaction_in(raw)[0].nonce for raw in self.proxy.sent]

    def replaced(self, nonce: int) -> bool:
        """Whether anything but the first bytes was sent for a liquidation."""
        found = [transaction_in(raw)[0] for raw in self.proxy.sent]
        return len({tx.max_fee for tx in found if tx.nonce == nonce and tx.to != self.world.keeper}) > 1

    def assert_held(self, executor: LiveExecution) -> None:
        assert executor.broken
        assert "refused to sign" in executor.held
        opened = [event.fields["breaker"] for event in self.world.events if event.kind is BREAKER_OPEN]
        assert BreakerName.INVARIANT in opened
        assert self.world.tokens(THIEF) == 0
        assert self.world.tokens(self.world.keeper) >= CAPITAL


@pytest.fixture
async def desk(anvil: Anvil, tmp_path: Path) -> AsyncIterator[Desk]:
    async with FaultProxy(anvil.url) as proxy:
        world = await World(anvil, tmp_path).connect(proxy.url)
        columns = Columns(())
        for account in world.victims:
            columns.accounts.add(account)
        world.columns, world.protocol = columns, Checked(world)
        anvil.set_automine(True)
        world.transact(world.victims[0], "mint", world.keeper, CAPITAL)
        world.transact(STRANGER, "mint", STRANGER, CAPITAL)
        world.transact(STRANGER, "approve", world.keeper, 2**256 - 1)
        anvil.set_automine(False)
        yield Desk(world, proxy)
        await world.close()


def forgery(world: World, what: str, data: bytes) -> bytes:
    """Calldata in the place of a planned call's."""
    take = world.abi.functions["transferFrom"]
    forged = {
        "transfer": world.abi.functions["transfer"].encode(THIEF, CAPITAL),
        "approve": world.abi.functions["approve"].encode(THIEF, 2**256 - 1),
        "another receiver": take.encode(world.victims[0], THIEF, 10 * TOKENS),
        "an account that is not in the book": take.encode(STRANGER, world.keeper, 10 * TOKENS),
        "a tail": data + bytes(32),
        "dirty padding": data[:4] + b"\1" + data[5:],
        "a negative amount": data[:-32] + encode(["int256"], [-1]),
    }
    return forged[what]


FORGERIES = [
    "transfer", "approve", "another receiver", "an account that is not in the book", "a tail", "dirty padding",
    "a negative amount",
]  # fmt: skip


@pytest.mark.parametrize("what", FORGERIES)
async def test_what_was_altered_after_its_simulation_is_not_signed(
    desk: Desk, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, honest = desk.world, broadcaster.unsigned

    def dishonest(*args: Any) -> UnsignedTx:
        tx = honest(*args)
        return replace(tx, data=forgery(world, what, tx.data))

    monkeypatch.setattr(broadcaster, "unsigned", dishonest)
    executor = await desk.executor()
    with pytest.raises(InvariantBroken, match="refused to sign"):
        await world.submit(executor, await world.plan(0), await world.plan(1))
    await world.mine(executor, 3)
    assert desk.proxy.sent == []
    assert [intent.state for intent in world.intents()] == [IntentState.DROPPED] * 2
    desk.assert_held(executor)


async def test_a_replacement_that_was_altered_is_not_signed_and_the_first_one_is_cancelled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, honest = desk.world, broadcaster.Broadcaster._replacement

    def dishonest(self: Any, intent: Any, fees: Any, cancels: bool) -> UnsignedTx:
        tx = honest(self, intent, fees, cancels)
        return tx if cancels or intent.nonce else replace(tx, data=forgery(world, "transfer", tx.data))

    monkeypatch.setattr(broadcaster.Broadcaster, "_replacement", dishonest)
    executor = await desk.executor()
    await world.submit(executor, await world.plan(0), await world.plan(1))
    assert desk.nonces == [0, 1]
    await world.mine(executor, 3, base_fee=60 * GWEI)
    desk.assert_held(executor)
    assert not desk.replaced(0)
    assert desk.replaced(1)  # the other one is followed all the same
    await world.mine(executor, 8, base_fee=60 * GWEI)
    assert world.intents()[0].state is IntentState.CANCELLED
    assert world.tokens(THIEF) == 0


async def test_bytes_that_the_key_signed_for_something_else_are_not_replaced_after_a_start(
    desk: Desk,
) -> None:
    world = desk.world
    plan = await world.plan(0)
    emptied = replace(plan, call=Call(world.token, forgery(world, "transfer", b"")))
    first = await world.executor()  # as before there was a policy: any call to the token
    await world.submit(first, emptied)
    await world.stop(first)
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
    executor = await desk.executor()
    sent = len(desk.proxy.sent)
    await world.mine(executor, 3, base_fee=60 * GWEI)
    assert {transaction_in(raw)[0].max_fee for raw in desk.proxy.sent[sent:]} <= {plan.max_fee}
    desk.assert_held(executor)


async def test_the_account_of_what_an_earlier_run_left_is_that_of_its_calldata(desk: Desk) -> None:
    world = desk.world
    first = await desk.executor()
    await world.submit(first, await world.plan(0))
    await world.stop(first)
    Intruder(world.url, world.data_dir).update("intents", "account", THIEF)
    executor = await desk.executor()
    sent = len(desk.proxy.sent)
    await world.mine(executor, 3, base_fee=60 * GWEI)
    assert len(desk.proxy.sent) == sent
    assert world.event("journal.altered").fields["intent"] == 1
    assert "column account" in executor.held


async def test_what_an_account_lost_meanwhile_stops_nothing(desk: Desk) -> None:
    """A reorg can take an account out of the book: its transaction is not replaced, and the keeper goes on."""
    world = desk.world
    executor = await desk.executor()
    await world.submit(executor, await world.plan(2))
    world.columns.accounts.pop()
    await world.mine(executor, 3, base_fee=60 * GWEI)
    assert not desk.replaced(0)
    assert executor.held == ""
    await world.submit(executor, await world.plan(0))
    assert desk.nonces[-1] == 1


# Limits before trade.


async def test_no_more_is_signed_in_a_block_than_the_limit_of_messages(desk: Desk) -> None:
    world = desk.world
    executor = await desk.executor(messages_block=2)
    plans = [await world.plan(index) for index in range(3)]
    [refused] = await world.submit(executor, *plans)
    assert (refused.account, refused.reason) == (world.victims[2], Rejection.LIMIT)
    assert "KEEPER_MAX_MESSAGES_BLOCK is 2" in refused.message
    assert desk.nonces == [0, 1]
    await world.mine(executor)
    assert await world.submit(executor, await world.plan(2)) == []
    assert desk.nonces == [0, 1, 2]
    assert executor.held == ""


async def test_a_cancellation_is_signed_beyond_the_limit_of_messages_and_a_replacement_is_not(desk: Desk) -> None:
    world = desk.world
    executor = await desk.executor(messages_block=1)
    await world.submit(executor, await world.plan(0, deadline=4))
    see = AdapterCalls.see

    def used_up(rules: AdapterCalls, snapshot: Snapshot) -> None:
        see(rules, snapshot)
        rules.signed(None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdapterCalls, "see", used_up)
        await world.mine(executor, 7, base_fee=60 * GWEI)
    assert not desk.replaced(0)
    assert world.intents()[0].state is IntentState.CANCELLED


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"notional_wad": 9 * TOKENS}, "its notional is 10.00 USD, KEEPER_MAX_NOTIONAL_USD is 9.00 USD"),
        ({"notional_block_wad": 9 * TOKENS}, "KEEPER_MAX_NOTIONAL_USD_BLOCK is 9.00 USD"),
        ({"denied_accounts": frozenset({address_of(2)})}, "is in KEEPER_DENY_ACCOUNTS"),
        ({"only_accounts": frozenset({address_of(3)})}, "is not in KEEPER_ALLOW_ACCOUNTS"),
        ({"only_assets": frozenset({"BTC"})}, "is not in KEEPER_ALLOW_ASSETS"),
    ],
)
async def test_a_plan_over_a_limit_is_refused_before_it_has_a_nonce(
    desk: Desk, limits: dict[str, Any], why: str
) -> None:
    world = desk.world
    executor = await desk.executor(**limits)
    [refused] = await world.submit(executor, await world.plan(0))
    assert refused.reason is Rejection.LIMIT
    assert why in refused.message
    assert not world.intents()
    assert PLAN_MADE.code not in world.codes()
    assert executor.held == ""


async def test_the_notional_of_a_block_is_the_sum_of_what_was_signed_in_it(desk: Desk) -> None:
    world = desk.world
    executor = await desk.executor(notional_block_wad=25 * TOKENS)
    assert await world.submit(executor, await world.plan(0), await world.plan(1)) == []
    [refused] = await world.submit(executor, await world.plan(2))
    assert "with it the notional of this block is 30.00 USD" in refused.message
    await world.mine(executor)
    assert await world.submit(executor, await world.plan(2)) == []


async def test_the_limits_hold_at_the_signature_even_if_nothing_asked_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdapterCalls, "refusals", lambda self, calls: [""] * len(calls))
    world = desk.world
    executor = await desk.executor(notional_wad=9 * TOKENS)
    await world.submit(executor, await world.plan(0))
    assert desk.proxy.sent == []
    assert [intent.state for intent in world.intents()] == [IntentState.DROPPED]
    assert executor.held == ""


async def test_what_a_new_limit_forbids_is_cancelled_at_its_deadline_and_not_replaced(desk: Desk) -> None:
    world = desk.world
    first = await desk.executor()
    await world.submit(first, await world.plan(0))
    await world.stop(first)
    executor = await desk.executor(denied_accounts=frozenset({world.victims[0]}))
    await world.mine(executor, 9, base_fee=60 * GWEI)
    assert not desk.replaced(0)
    assert world.intents()[0].state is IntentState.CANCELLED
    assert executor.held == ""


# The daemon itself, on the reference protocol.


async def test_a_daemon_signs_no_altered_call_and_ends_with_exit_code_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, rng = broadcaster.unsigned, Random(50)
    forged = list[bytes]()

    def dishonest(*args: Any) -> UnsignedTx:
        tx = honest(*args)
        if len(tx.data) == 68:
            return tx  # an approval
        forged.append(altered(tx.data, WAYS[len(forged) % len(WAYS)], rng))
        return replace(tx, data=forged[-1])

    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=120)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, min_profit_usd=-1_000_000)
            async with running(settings, code=5) as keeper:
                await keeper.handled(anvil.block_number())
                monkeypatch.setattr(broadcaster, "unsigned", dishonest)
                while not forged:
                    assert anvil.block_number() < WORST_BLOCK + 200
                    await arena.step()
                    number = anvil.block_number()
                    await keeper.until(lambda n=number: forged or any(e.block == n for e in keeper.of(HEAD_NEW)))  # type: ignore[misc]
                await keeper.until(lambda: keeper.of(BREAKER_OPEN))
                assert [event.fields["breaker"] for event in keeper.of(BREAKER_OPEN)] == [BreakerName.INVARIANT]
            assert forged
            assert [data for raw in proxy.sent if len(data := transaction_in(raw)[0].data) != 68] == []
