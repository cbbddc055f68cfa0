"""What must hold after every fault: the seven invariants, asserted on the chain, the wire and the books.

    async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
        ...
        await assert_invariants(arena, [proxy], [keeper])

The keeper must have handled the head. Each invariant is a function of its own, for tests without an arena.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import rlp
from prometheus_client import generate_latest

from keeper.book.book import differences
from keeper.book.sync import BookSync
from keeper.chain.connect import connect
from keeper.execute.journal.journal import open_history
from keeper.model.chain import hexed
from keeper.model.events import Event
from keeper.model.intent import Intent, IntentState
from keeper.observe.alerts import body_for
from keeper.observe.log import json_line
from keeper.observe.metrics import Metrics
from keeper.observe.pnl import NATIVE, summarise
from keeper.protocols.base import Snapshot
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.settings import Settings, secrets_of
from keeper.sim.arena import Running
from keeper.sim.keeper import CHAIN_ID
from keeper.sim.node.anvil import Anvil
from tests.support import harsh
from tests.support.proxy import FaultProxy

GWEI = 10**9
BALANCE_OF = bytes.fromhex("70a08231")
_MAX_PRIORITY_FEE, _MAX_FEE = 2, 3  # fields of a type 2 transaction


@dataclass(frozen=True)
class Mined:
    """A transaction of the keeper that is in the chain."""

    hash: bytes
    nonce: int
    ok: bool


async def assert_invariants(
    arena: harsh.EngineArena,
    proxies: Sequence[FaultProxy] = (),
    runs: Sequence[Running] = (),
    *,
    settings: Settings | None = None,
    events: Iterable[Event] = (),
    received: Mapping[bytes, int] | None = None,
    foreign: Iterable[bytes] = (),
) -> None:
    """All seven, at the head of the arena's node. The last of `runs` must have handled it.

    settings, events: for a keeper in another process. received: units by token that the test itself gave to the
    keeper (negative: took). foreign: hashes of transactions that the test signed with the keeper's key.
    """
    settings = settings or runs[-1].daemon.settings
    intents = journal_of(settings)
    mined = [one for one in mined_by(arena.anvil, arena.keeper, arena.opened) if one.hash not in set(foreign)]
    everything = [*events, *(event for run in runs for event in run.events)]
    each_intent_mined_once(intents, mined)
    no_old_gap(intents, arena.anvil.quantity("eth_getTransactionCount", hexed(arena.keeper), "latest"), _head(arena))
    wire_is_in_journal(intents, [raw for proxy in proxies for raw in proxy.sent])
    fees_within_bid(intents, int(settings.max_fee_gwei * GWEI))
    no_secret_shows(settings, everything)
    if runs:
        snapshot = runs[-1].daemon.decision.snapshot
        assert snapshot is not None, "the keeper has handled no block"
        await book_is_fresh(arena, snapshot)
    profit_is_balance_change(arena, intents, received or {})


def journal_of(settings: Settings) -> list[Intent]:
    """Every intent of the journal; none where nothing was ever sent."""
    if not settings.live:
        return []
    history = open_history(settings.database_url.get_secret_value(), settings.data_dir)
    try:
        return history.intents()
    finally:
        history.close()


def mined_by(anvil: Anvil, sender: bytes, first: int) -> list[Mined]:
    """The sender's transactions in blocks after `first`, in chain order."""
    found = []
    for number in range(first + 1, anvil.block_number() + 1):
        block = anvil.rpc("eth_getBlockByNumber", hex(number), True)
        for tx in block["transactions"]:
            if tx["from"] == hexed(sender):
                receipt = anvil.rpc("eth_getTransactionReceipt", tx["hash"])
                found.append(Mined(bytes.fromhex(tx["hash"][2:]), int(tx["nonce"], 16), receipt["status"] == "0x1"))
    return found


def each_intent_mined_once(intents: Sequence[Intent], mined: Sequence[Mined]) -> None:
    """1. At most one mined transaction per intent, and at most one liquidation per account and plan.

    Everything that is mined belongs to an intent, and an intent that the journal calls mined is.
    """
    owner = {attempt.tx_hash: intent for intent in intents for attempt in intent.attempts}
    strangers = [hexed(one.hash) for one in mined if one.hash not in owner]
    assert not strangers, f"mined, but not in the journal: {strangers}"
    times = Counter(owner[one.hash].id for one in mined)
    assert all(count == 1 for count in times.values()), f"intents mined more than once: {times}"
    plans = Counter(
        (owner[one.hash].account, owner[one.hash].planned_block, owner[one.hash].subject)
        for one in mined
        if one.ok and not _cancels(owner[one.hash], one.hash)
    )
    assert all(count == 1 for count in plans.values()), f"liquidated more than once by one plan: {plans}"
    booked = {intent.id for intent in intents if intent.state is IntentState.MINED}
    assert booked <= times.keys(), f"booked as mined, but not in the chain: {booked - times.keys()}"


def _cancels(intent: Intent, tx_hash: bytes) -> bool:
    return any(attempt.cancels for attempt in intent.attempts if attempt.tx_hash == tx_hash)


def no_old_gap(intents: Sequence[Intent], next_nonce: int, head: int) -> None:
    """2. No nonce gap older than the deadline: below an open intent past its deadline, no nonce is without an owner."""
    waiting = {intent.nonce: intent for intent in intents if not intent.state.final}
    late = [nonce for nonce, intent in waiting.items() if intent.deadline_block < head]
    missing = [nonce for nonce in range(next_nonce, max(late, default=0)) if nonce not in waiting]
    assert not missing, f"nonces {missing} belong to nobody, and {late} wait for them past their deadline"


def wire_is_in_journal(intents: Sequence[Intent], sent: Sequence[bytes]) -> None:
    """3. Every raw transaction that was on the wire is in the journal, byte for byte."""
    known = {attempt.raw for intent in intents for attempt in intent.attempts}
    unknown = [hexed(raw) for raw in sent if raw not in known]
    assert not unknown, f"on the wire, but not in the journal: {unknown}"


def fees_within_bid(intents: Sequence[Intent], cap: int) -> None:
    """4. Fees <= the plan's bid <= the configured cap, as signed. A self-transfer may go beyond its bid, to end it."""
    for intent in intents:
        assert intent.bid <= cap, f"intent {intent.id} bids {intent.bid}, the cap is {cap}"
        for attempt in intent.attempts:
            fields = rlp.decode(attempt.raw[1:])
            max_fee, tip = (int.from_bytes(fields[place], "big") for place in (_MAX_FEE, _MAX_PRIORITY_FEE))
            limit = cap if attempt.cancels else intent.bid
            assert tip <= max_fee <= limit, f"intent {intent.id} offers {max_fee} ({tip} on top), its bid is {limit}"
            assert (max_fee, tip) == (attempt.max_fee, attempt.priority_fee), f"intent {intent.id}: other fees noted"


def no_secret_shows(settings: Settings, events: Sequence[Event]) -> None:
    """5. No secret and no URL token in any log line, alert or metric label, even before redaction."""
    metrics = Metrics()
    words = [word.removeprefix("0x").lower() for word in secrets_of(settings)]
    for event in events:
        metrics(event)
        alert = str(body_for("https://alerts.invalid", event, 0.0, 0))
        _hides(words, event.kind.code, json_line(event, "info", event.message, 0.0) + alert)
    _hides(words, "metrics", generate_latest(metrics.registry).decode())


def _hides(words: Sequence[str], where: str, text: str) -> None:
    assert not any(word in text.lower() for word in words), f"a secret shows in {where}"


async def book_is_fresh(arena: harsh.EngineArena, snapshot: Snapshot) -> None:
    """6. The book at the head equals a fresh sync, integer for integer."""
    async with await connect([arena.anvil.url], CHAIN_ID, 10, lambda _: None) as chain:
        deployment = load_deployment(arena.files.deployment, CHAIN_ID, "margin_engine")
        follower = BookSync(chain.reader, load_protocol(deployment), deployment.start_block, lambda _: None)
        head = await chain.reader.head()
        assert snapshot.block == head, f"the book stands at {snapshot.block}, the head is {head}"
        again = await follower.advance(head)
    assert again is not None
    assert differences(snapshot.columns, again.snapshot.columns) == []
    assert snapshot.state == again.snapshot.state
    assert snapshot.readings == again.snapshot.readings


def profit_is_balance_change(
    arena: harsh.EngineArena, intents: Sequence[Intent], received: Mapping[bytes, int]
) -> None:
    """7. Profit in the journal equals the balance change on chain, to the wei."""
    before, after = balances(arena, arena.opened), balances(arena, _head(arena))
    sums: defaultdict[bytes, int] = defaultdict(int, summarise(intents).profit)
    for token, units in after.items():
        changed = units - before[token] - received.get(token, 0)
        assert changed == sums[token], f"{hexed(token)}: the balance changed by {changed}, booked are {sums[token]}"


def balances(arena: harsh.EngineArena, number: int) -> dict[bytes, int]:
    """Everything that the keeper holds at a block, in units; the native coin under `NATIVE`."""
    data = BALANCE_OF + bytes(12) + arena.keeper
    tokens = arena.market.deployed.tokens.values()
    held = {token: int.from_bytes(arena.anvil.call(token, data, number), "big") for token in tokens}
    return {**held, NATIVE: arena.anvil.quantity("eth_getBalance", hexed(arena.keeper), hex(number))}


def _head(arena: harsh.EngineArena) -> int:
    return arena.anvil.block_number()
