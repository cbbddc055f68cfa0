"""A protocol whose logs name things that have to be looked up: what was learnt goes and comes with its block."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from eth_abi.abi import encode

from keeper.book.book import differences
from keeper.book.sync import Advance, BookSync, load_snapshot
from keeper.chain.connect import connect
from keeper.errors import OperatorError, Transient
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter
from keeper.model.events import HEAD_REORG, Event
from keeper.protocols.base import Defaults
from keeper.protocols.columns import TableSpec, Writer
from keeper.sim.markets.margin_engine.deploy import artifact
from keeper.sim.node.anvil import Anvil
from tests.support.shaky import Shaky

FEED, CODE = artifact("SettableFeed")
ADDRESS = 2**100  # an answer above names a feed


@dataclass(frozen=True)
class Listed:
    """Feeds that the first one named, with their decimals once they were looked up."""

    decimals: tuple[tuple[bytes, int | None], ...] = ()


class Catalogue(Defaults):
    """Sums what feeds say. A feed is followed once its decimals are known."""

    tables = (TableSpec("sums", ("sum",)),)
    name = "catalogue"

    def __init__(self, first: bytes, endless: bool = False) -> None:
        self.first = first
        self.endless = endless

    def initial_state(self) -> Listed:
        return Listed()

    def log_filter(self, state: Listed) -> LogFilter:
        return LogFilter((self.first, *(feed for feed, decimals in state.decimals if decimals is not None)))

    def fold(self, state: Listed, log: Log, writer: Writer) -> Listed:
        answer = int.from_bytes(log.topics[1], "big")
        if answer > ADDRESS:
            feed = answer.to_bytes(20, "big")
            return state if feed in dict(state.decimals) else replace(state, decimals=(*state.decimals, (feed, None)))
        [total] = writer.get("sums", log.address, 0)
        writer.put("sums", log.address, 0, [total + answer])
        return state

    def lookups(self, state: Listed) -> list[Call]:
        unknown = [feed for feed, decimals in state.decimals if decimals is None]
        return [Call(feed, FEED.functions["decimals"].encode()) for feed in unknown]

    def looked_up(self, state: Listed, results: Sequence[CallResult]) -> Listed:
        if self.endless:
            return state
        answers = iter(results)
        known = [(feed, _number(next(answers)) if found is None else found) for feed, found in state.decimals]
        return Listed(tuple(known))

    def reads(self, state: Listed) -> list[Call]:
        return []

    def decode_reads(self, state: Listed, results: Sequence[CallResult]) -> None:
        return None

    def cross_checks(self, state: Listed) -> list[tuple[Call, bytes]]:
        return []


def _number(result: CallResult) -> int:
    return int.from_bytes(result.data, "big")


def feeds(anvil: Anvil, count: int) -> list[bytes]:
    sender = anvil.accounts()[0]
    return [anvil.deploy(CODE + encode(["uint8", "int256"], [8 + n, 1]), sender=sender) for n in range(count)]


def say(anvil: Anvil, feed: bytes, answer: int) -> None:
    sender = anvil.accounts()[0]
    anvil.receipt(anvil.send(feed, FEED.functions["set"].encode(answer), sender=sender))


@pytest.mark.parametrize("chance", [0, 0.02], ids=["a good node", "one that fails now and then"])
async def test_through_reorgs_the_book_knows_what_a_fresh_sync_finds_out(anvil: Anvil, chance: float) -> None:
    first, *others = feeds(anvil, 5)
    anvil.mine(20)
    dice = random.Random(2)
    most = 0
    events: list[Event] = []
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        protocol = Catalogue(first)
        reader = Shaky(chain.reader, dice, chance)
        sync = BookSync(reader, protocol, 0, events.append, undo_blocks=8)  # type: ignore[arg-type]
        for _ in range(30):
            for _ in range(dice.randrange(1, 3)):
                say(anvil, dice.choice([first, *others]), dice.randrange(1, 100))
            if dice.random() < 0.6:
                say(anvil, first, int.from_bytes(dice.choice(others), "big"))
            if depth := dice.choice([0, 0, 1, 2, 3, 12]):
                anvil.reorg(depth)
            if await attempt(sync, await chain.reader.head()) is None:
                continue
            most = max(most, len(sync.book.state.decimals))
            fresh = await load_snapshot(chain.reader, protocol, 0)  # type: ignore[arg-type]
            assert sync.book.state == fresh.state
            assert differences(sync.book.columns, fresh.columns) == []
            assert protocol.lookups(sync.book.state) == []
    assert any(event.kind is HEAD_REORG for event in events)
    assert bool(reader.failed) == bool(chance)
    assert most > 1


async def attempt(sync: BookSync, head: BlockRef) -> Advance | None:
    """What a daemon does; None when the node did not answer."""
    sync.look_again()
    try:
        return await sync.advance(head)
    except Transient:
        return None


async def test_lookups_that_never_end_are_told_at_the_start(anvil: Anvil) -> None:
    first, other = feeds(anvil, 2)
    say(anvil, first, int.from_bytes(other, "big"))
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        with pytest.raises(OperatorError, match="adapter catalogue asked for more than 32 rounds"):
            await load_snapshot(chain.reader, Catalogue(first, endless=True), 0)  # type: ignore[arg-type]
