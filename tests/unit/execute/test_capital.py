"""What explains a decrease of capital and what does not, on scripted blocks."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keeper.chain.errors import RpcError, StateMissing
from keeper.chain.transactions import sent_by
from keeper.errors import Transient
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.capital import EVERY_BLOCKS, LONGEST_S, SHORTEST_S, CapitalWatch
from keeper.execute.tx.pending import PendingIntents
from keeper.model.capital import Capital, Missing, booked, shortfalls
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter, Receipt, hexed
from keeper.model.intent import NATIVE, Intent, IntentState, Outcome
from keeper.protocols.executor.contract import EVENTS, FUNCTIONS
from keeper.protocols.executor.logs import movements

SIGNER, EXECUTOR, TOKEN, OTHER, TREASURY = (bytes([n]) * 20 for n in (1, 2, 3, 4, 5))
MOST = 7  # wei that a transaction can cost
COINS, TOKENS = (SIGNER, NATIVE), (EXECUTOR, TOKEN)
INTENT = Intent(
    id=1, account=b"\7" * 20, kind="liquidate", subject="ETH", size=1, state=IntentState.MINED, nonce=0,
    to=EXECUTOR, data=b"", gas_limit=1_000, bid=40, value_wad=0, planned_block=1, deadline_block=9,
)  # fmt: skip


def block(number: int, fork: int = 0) -> BlockRef:
    return BlockRef(number, bytes([number, fork]) * 16, bytes([number - 1, fork]) * 16, 12 * number)


def mined(number: int, at: int, gas: int = 0, tokens: int = 0, nonce: int = 0) -> Intent:
    profit = {NATIVE: -gas, TOKEN: tokens}
    outcome = Outcome(bytes([number]) * 32, at, block(at).hash, 1, 1, gas, profit)
    return replace(INTENT, id=number, nonce=nonce, outcome=outcome)


@dataclass
class Chain:
    """Balances, nonce and logs by block, and what was asked for."""

    coins: dict[int, int]
    tokens: dict[int, int]
    nonces: dict[int, int] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    foreign: list[int] | None = None  # what the signer's other transactions cost
    fork: int = 0
    forked_from: int = 1_000
    senders: dict[bytes, bytes] = field(default_factory=dict)  # of transactions
    unfound: Transient = field(default_factory=lambda: Transient("no answer"))
    asked: list[str] = field(default_factory=list)
    slow: bool = False  # no balance is answered
    mute: Collection[int] = ()  # blocks at which no token answers

    async def head(self) -> BlockRef:
        return block(9)

    async def block_by_number(self, number: int) -> BlockRef:
        return block(number, self.fork if number >= self.forked_from else 0)

    async def balance(self, account: bytes, at: BlockRef) -> int:
        if self.slow:
            await asyncio.Event().wait()
        return self.coins[at.number] if account == SIGNER else 0

    async def nonce(self, account: bytes, at: BlockRef) -> int:
        return self.nonces.get(at.number, 0)

    async def read(self, at: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
        return [
            CallResult(True, (self.tokens[at.number] if EXECUTOR in call.data else 0).to_bytes(32, "big"))
            if call.to == TOKEN and at.number not in self.mute
            else CallResult(call.data == FUNCTIONS["treasury"].encode(), TREASURY.rjust(32, b"\0"))
            for call in calls
        ]

    async def logs_between(self, first: int, last: int, wanted: LogFilter) -> AsyncIterator[list[Log]]:
        self.asked.append("logs")
        yield [log for log in self.logs if first <= log.block_number <= last and log.address in wanted.addresses]

    async def sent_by(self, account: bytes, nonces: Collection[int], after: int, last: int) -> list[bytes]:
        self.asked.append("sent")
        if self.foreign is None:
            raise self.unfound
        return [bytes([n]) * 32 for n in range(len(self.foreign))]

    async def transaction(self, tx_hash: bytes) -> dict[str, str] | None:
        return {"from": hexed(self.senders[tx_hash])} if tx_hash in self.senders else None

    async def receipt(self, tx_hash: bytes) -> Receipt:
        assert self.foreign is not None
        return Receipt(tx_hash, 2, b"", 1, 1, self.foreign[tx_hash[0]] - 1, data_fee=1)


class World:
    """A watch on a chain. `look` gives what is missing at a block; None: not now."""

    def __init__(self, chain: Chain) -> None:
        protocol = SimpleNamespace(purse=lambda _: [TOKEN, OTHER], allowances=lambda _: [])
        self.chain, self.pending = chain, PendingIntents()
        self.watch = CapitalWatch(chain, chain, protocol, SIGNER, EXECUTOR, MOST)  # type: ignore[arg-type]

    def end(self, *intents: Intent) -> None:
        self.pending.keep_all(intents)
        self.watch.note(intents)

    async def look(self, number: int, fork: int = 0) -> list[Missing] | None:
        snapshot: Any = SimpleNamespace(block=block(number, fork), state=None)
        found = await self.watch.look(snapshot, self.pending)
        return None if found is None else found[1]


async def test_what_is_booked_explains_a_decrease_to_the_unit() -> None:
    world = World(Chain(coins={1: 100, 2: 93}, tokens={1: 50, 2: 45}))
    assert await world.look(1) == []
    world.end(mined(1, at=2, gas=4, tokens=-5), mined(2, at=2, gas=3, nonce=1))
    assert await world.look(2) == []
    assert world.chain.asked == [], "logs are read only where something is missing"


@pytest.mark.parametrize(("coins", "tokens", "place", "found"), [(92, 45, COINS, 92), (93, 44, TOKENS, 44)])
async def test_one_unit_more_than_booked_is_missing(coins: int, tokens: int, place: Any, found: int) -> None:
    world = World(Chain(coins={1: 100, 2: coins, 3: coins}, tokens={1: 50, 2: tokens, 3: tokens}))
    await world.look(1)
    world.end(mined(1, at=2, gas=7, tokens=-5))
    assert await world.look(2) == [Missing(place, found + 1, found)]
    assert await world.look(3) == [], "said once"


async def test_increases_are_never_missing_and_set_the_new_level() -> None:
    world = World(Chain(coins={1: 100, 2: 500, 3: 499}, tokens={1: 50, 2: 60, 3: 60}))
    await world.look(1)
    assert await world.look(2) == []
    assert await world.look(3) == [Missing(COINS, 500, 499)]


@pytest.mark.parametrize(
    ("left", "missing"), [(45, []), (44, [Missing(TOKENS, 45, 44)]), (0, [Missing(TOKENS, 45, 0)])]
)
async def test_a_token_that_does_not_answer_for_a_while_is_compared_with_what_it_had_before(
    left: int, missing: list[Missing]
) -> None:
    world = World(Chain(dict.fromkeys(range(1, 5), 9), tokens={1: 50, 2: 45, 3: 45, 4: left}, mute=(2, 3)))
    assert await world.look(1) == []
    world.end(mined(1, at=2, tokens=-5))
    assert await world.look(2) == []
    assert await world.look(3) == []
    assert await world.look(4) == missing


async def test_while_something_mined_is_not_booked_nothing_is_compared() -> None:
    world = World(Chain(coins={1: 100, 2: 93}, tokens={1: 50, 2: 50}, nonces={1: 0, 2: 1}))
    await world.look(1)
    world.pending.keep(replace(INTENT, state=IntentState.PENDING))
    assert await world.look(2) is None
    world.end(mined(1, at=2, gas=7))
    assert await world.look(2) == []


async def test_only_outcomes_after_the_last_look_count() -> None:
    world = World(Chain(coins={2: 93, 3: 86}, tokens={2: 50, 3: 50}))
    world.end(mined(1, at=2, gas=7))
    await world.look(2)
    assert await world.look(3) == [Missing(COINS, 93, 86)]


def sweep(name: str, number: int, tx: int, *words: int, tokens: Sequence[bytes] = ()) -> Log:
    event = EVENTS[name]
    topics = (event.topic, *(token.rjust(32, b"\0") for token in tokens))
    data = b"".join(word.to_bytes(32, "big") for word in words)
    return Log(EXECUTOR, topics, data, number, block(number).hash, 0, bytes([tx]) * 32)


async def test_what_the_executor_says_it_swept_is_explained_unless_our_own_transaction_did_it() -> None:
    for tx, missing in ((200, []), (1, [Missing(TOKENS, 50, 40)])):
        logs = [sweep("Swept", 2, tx, 10, tokens=[TOKEN])]
        world = World(Chain(coins={1: 9, 2: 9}, tokens={1: 50, 2: 40}, logs=logs))
        await world.look(1)
        world.end(mined(1, at=2))
        assert await world.look(2) == missing


@pytest.mark.parametrize("sender", [SIGNER, TREASURY, OTHER])
@pytest.mark.parametrize("noted", [True, False])
async def test_a_sale_is_explained_only_where_the_treasury_or_a_command_sent_it(sender: bytes, noted: bool) -> None:
    tx_hash = bytes([200]) * 32
    logs = [sweep("Sold", 2, 200, 10, 1, tokens=[TOKEN, OTHER])]
    world = World(Chain(coins={1: 9, 2: 9}, tokens={1: 50, 2: 40}, logs=logs, senders={tx_hash: sender}))
    world.watch.begin(None, [], {tx_hash} if noted else set())
    await world.look(1)
    assert await world.look(2) == ([] if noted or sender == TREASURY else [Missing(TOKENS, 50, 40)])


async def test_a_sale_whose_transaction_no_node_knows_yet_is_looked_at_again() -> None:
    logs = [sweep("Sold", 2, 200, 10, 1, tokens=[TOKEN, OTHER])]
    world = World(Chain(coins={1: 9, 2: 9}, tokens={1: 50, 2: 40}, logs=logs))
    await world.look(1)
    with pytest.raises(Transient):
        await world.look(2)


async def test_the_cost_of_the_signers_other_transactions_is_explained_and_not_more() -> None:
    for left, missing in ((90, []), (89, [Missing(COINS, 90, 89)])):
        world = World(Chain(coins={1: 100, 2: left}, tokens={1: 0, 2: 0}, nonces={1: 3, 2: 5}, foreign=[4, 6]))
        await world.look(1)
        assert await world.look(2) == missing


async def test_transactions_that_cannot_be_found_explain_nothing_after_a_while() -> None:
    world = World(Chain(coins={1: 100, 2: 90}, tokens={1: 0, 2: 0}, nonces={1: 3, 2: 4}))
    await world.look(1)
    for _ in range(2):
        with pytest.raises(Transient):
            await world.look(2)
    assert await world.look(2) == [Missing(COINS, 100, 90)]


async def test_a_node_without_old_state_is_told_from_one_that_does_not_answer() -> None:
    class Pool:
        async def fetch(self, *_: object) -> int:
            raise RpcError(-32000, "missing trie node")

    with pytest.raises(StateMissing):
        await sent_by(Pool(), SIGNER, [3], 1, 9)  # type: ignore[arg-type]


@pytest.mark.parametrize(("left", "missing"), [(86, []), (85, [Missing(COINS, 86, 85)])])
async def test_without_old_state_unfound_transactions_explain_the_most_that_they_can_cost(
    left: int, missing: list[Missing]
) -> None:
    nonces, coins = {1: 3, 9: 5}, {1: 100, 9: left}
    world = World(Chain(coins, tokens={1: 0, 9: 0}, nonces=nonces, unfound=StateMissing("missing trie node")))
    await world.look(1)
    for _ in range(2):
        with pytest.raises(Transient):
            await world.look(9)
    assert await world.look(9) == missing
    assert world.watch.untraced == 2


async def test_a_look_in_a_block_that_a_reorg_removed_is_not_compared_with() -> None:
    world = World(Chain(coins={1: 100, 2: 200, 3: 95}, tokens={1: 50, 2: 60, 3: 50}))
    await world.look(1)
    await world.look(2)
    world.chain.fork, world.chain.forked_from = 1, 2
    assert await world.look(3, fork=1) == [Missing(COINS, 100, 95)], "against the block that stayed"


async def test_a_reorg_while_balances_are_read_is_no_theft() -> None:
    world = World(Chain(coins={1: 100, 2: 90}, tokens={1: 50, 2: 50}))
    await world.look(1)
    world.chain.fork, world.chain.forked_from = 1, 2
    with pytest.raises(Transient, match="reorg"):
        await world.look(2)
    assert await world.look(2, fork=1) == [Missing(COINS, 100, 90)]


async def test_an_outcome_that_a_reorg_took_back_explains_nothing() -> None:
    world = World(Chain(coins={1: 100, 3: 93}, tokens={1: 50, 3: 50}))
    await world.look(1)
    intent = mined(1, at=2, gas=7)
    world.end(intent)
    world.pending.keep(replace(intent, state=IntentState.PENDING, nonce=5, outcome=None))
    assert await world.look(3) == [Missing(COINS, 100, 93)]


async def test_a_look_that_takes_too_long_is_given_up_soon_and_loses_nothing() -> None:
    world = World(Chain(coins={1: 100, 2: 99, 3: 99}, tokens=dict.fromkeys(range(1, 4), 50)))
    await world.look(1)
    world.end(mined(1, at=2))
    snapshot: Any = SimpleNamespace(block=block(2), state=None)
    world.chain.slow = True
    assert world.watch.patience_s(1) == world.watch.patience_s(2) == SHORTEST_S
    assert world.watch.patience_s(12) == 3
    async with asyncio.timeout(60):
        assert await world.watch.look_in_time(snapshot, world.pending, 1) is None
    assert world.watch.patience_s(2) == 2 * SHORTEST_S, "a slow node gets longer, or nothing is ever compared"
    assert world.watch.patience_s(12) == LONGEST_S
    assert world.watch.is_due(block(3))
    world.chain.slow = False
    assert await world.look(3) == [Missing(COINS, 100, 99)]
    assert world.watch.patience_s(2) == SHORTEST_S


async def test_looks_are_due_at_the_start_after_each_outcome_and_now_and_then() -> None:
    world = World(Chain(coins=dict.fromkeys(range(100), 1), tokens=dict.fromkeys(range(100), 1)))
    assert world.watch.is_due(block(1))
    await world.look(1)
    assert not world.watch.is_due(block(EVERY_BLOCKS))
    assert world.watch.is_due(block(1 + EVERY_BLOCKS))
    world.end(mined(1, at=2))
    assert world.watch.is_due(block(2))


async def test_a_start_continues_from_the_journals_last_look(tmp_path: Path) -> None:
    url = "sqlite:///keeper.db"
    store = open_breaker_store(url, tmp_path, SIGNER, 1)
    assert store.capital() is None
    last = Capital(1, block(1).hash, 3, {COINS: 2**200, TOKENS: 50})
    store.keep_capital(last)
    store.keep_capital(replace(last, units={**last.units, TOKENS: 60}))
    found = store.capital()
    store.close()
    other = open_breaker_store(url, tmp_path, OTHER, 1)
    assert other.capital() is None, "of another signer"
    other.close()
    assert found == replace(last, units={COINS: 2**200, TOKENS: 60})
    world = World(Chain(coins={2: 2**200}, tokens={2: 57}, nonces={2: 3}))
    world.watch.begin(found, [mined(1, at=2, tokens=-2)])
    assert await world.look(2) == [Missing(TOKENS, 58, 57)]


@pytest.mark.parametrize("change", ["units = 'x'", "block_number = 'x'", "block_hash = 7", 'units = \'{"zz": "1"}\''])
def test_an_altered_look_is_none(tmp_path: Path, change: str) -> None:
    store = open_breaker_store("sqlite:///keeper.db", tmp_path, SIGNER, 1)
    store.keep_capital(Capital(1, block(1).hash, 3, {COINS: 1}))
    with closing(sqlite3.connect(tmp_path / "keeper.db")) as database, database:
        database.execute(f"update capital set {change}")
    assert store.capital() is None
    store.close()


def test_a_place_that_was_not_looked_at_before_is_not_missing() -> None:
    before, after = Capital(1, b"", 0, {COINS: 5}), Capital(2, b"", 0, {TOKENS: 1})
    assert shortfalls(before, after, {TOKENS: 7}) == []
    assert booked([mined(1, at=2, gas=3, tokens=4)], SIGNER, SIGNER) == {COINS: -3, (SIGNER, TOKEN): 4}


def test_what_each_movement_of_the_executor_changes() -> None:
    wrapped, into = b"\5" * 20, b"\6" * 20
    logs = [
        sweep("Swept", 2, 9, 10, tokens=[TOKEN]),
        sweep("Swept", 2, 9, 3, tokens=[bytes(20)]),
        sweep("Sold", 2, 9, 7, 11, tokens=[TOKEN, into]),
        sweep("Unwrapped", 2, 9, 5),
        sweep("Refuelled", 2, 9, 6),
        replace(sweep("Swept", 2, 9, 100, tokens=[TOKEN]), address=OTHER),
    ]
    assert movements(EXECUTOR, logs, wrapped) == {TOKEN: -17, into: 11, wrapped: -5, NATIVE: -3 + 5 - 6}
