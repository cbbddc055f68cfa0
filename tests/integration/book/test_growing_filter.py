"""A protocol that lists things as it goes: what is listed may have logs older than its listing."""

import pytest
from eth_abi.abi import encode

from keeper.book.sync import BookSync
from keeper.chain.connect import connect
from keeper.model.chain import Log, LogFilter, unhexed
from keeper.protocols.base import Defaults
from keeper.protocols.columns import TableSpec, Writer
from keeper.sim.markets.margin_engine.deploy import artifact
from keeper.sim.node.anvil import Anvil

LISTS_THE_OTHER = 7
FEED = artifact("SettableFeed")[0]


class Listing(Defaults):
    """Sums what feeds say; the first one lists the second by saying a certain number."""

    tables = (TableSpec("sums", ("sum",)),)

    def __init__(self, first: bytes, second: bytes) -> None:
        self.first, self.second = first, second

    def initial_state(self) -> bool:
        return False

    def log_filter(self, listed: bool) -> LogFilter:
        return LogFilter((self.first, self.second) if listed else (self.first,))

    def fold(self, listed: bool, log: Log, writer: Writer) -> bool:
        answer = int.from_bytes(log.topics[1], "big")
        [total] = writer.get("sums", log.address, 0)
        writer.put("sums", log.address, 0, [total + answer])
        return listed or (log.address == self.first and answer == LISTS_THE_OTHER)

    def reads(self, _: bool) -> list[object]:
        return []

    def decode_reads(self, _: bool, __: object) -> None:
        return None

    def cross_checks(self, _: bool) -> list[object]:
        return []


@pytest.mark.parametrize("live", [False, True], ids=["while syncing", "while following"])
async def test_logs_older_than_the_listing_are_not_missed(anvil: Anvil, live: bool) -> None:
    sender = anvil.accounts()[0]
    code = artifact("SettableFeed")[1] + encode(["uint8", "int256"], [8, 1])
    first, second = anvil.deploy(code, sender=sender), anvil.deploy(code, sender=sender)

    def say(feed: bytes, answer: int) -> None:
        anvil.receipt(anvil.send(feed, FEED.functions["set"].encode(answer), sender=sender))

    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        sync = BookSync(chain.reader, Listing(first, second), 0, lambda _: None)  # type: ignore[arg-type]
        say(second, 20)
        if live:
            await sync.advance(await chain.reader.head())
            assert sync.book.columns.accounts.row(second) is None
        say(first, LISTS_THE_OTHER)
        say(second, 300)
        await sync.advance(await chain.reader.head())
        columns = sync.book.columns
        sums = {address: columns["sums"].get(columns.accounts.row(address) or 0, 0)[0] for address in (first, second)}
    assert sums == {first: 1 + LISTS_THE_OTHER, second: 1 + 20 + 300}
    assert unhexed(anvil.block()["hash"]) == (sync.book.head.hash if sync.book.head else b"")
