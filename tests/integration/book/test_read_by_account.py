"""A protocol whose logs do not say what an account owes, on a node whose newest blocks are replaced now and then."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from keeper.book.book import differences
from keeper.book.discovery import discover
from keeper.book.sync import BookSync, load_snapshot
from keeper.chain.connect import connect
from keeper.chain.ports import ChainReader
from keeper.errors import OperatorError, Transient
from keeper.model.chain import BlockRef, Call, CallResult, unhexed
from keeper.model.events import HEAD_REORG, Event
from keeper.protocols.base import Deployment, Protocol
from keeper.sim.node.anvil import Anvil
from tests.support.example import bench_on, tiny_lend
from tests.support.shaky import Shaky

WAD = 10**18
ROUNDS = 26


async def test_through_reorgs_missed_heads_and_failed_reads_every_account_is_what_the_contract_says(
    anvil: Anvil,
) -> None:
    bench = bench_on(anvil)
    anvil.mine(20)  # so that no reorg reaches the deployment
    dice = random.Random(11)
    events: list[Event] = []
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        protocol = await discover(chain.reader, tiny_lend()(bench.deployment()))
        reader = Shaky(chain.reader, dice, 0.05)
        sync = BookSync(reader, protocol, 0, events.append, undo_blocks=8, audit_accounts=100)
        for _ in range(ROUNDS):
            for _ in range(dice.randrange(1, 4)):
                user = dice.choice(bench.users)
                what, amount = dice.choice([("supply", 5 * WAD), ("borrow", 10**9), ("repay", 10**8)])
                bench.do(bench.lend.functions[what](dice.randrange(1, amount)), user)
            depth = dice.choice([0, 0, 1, 2, 5, 10])
            if depth:
                anvil.reorg(depth)
            sync.look_again()
            try:
                advance = await sync.advance(await chain.reader.head())
            except Transient:
                continue  # and the accounts that were touched are read in a later block
            assert advance is not None
            assert advance.mismatches == ()
            fresh = await load_snapshot(chain.reader, protocol, 0)
            assert differences(sync.book.columns, fresh.columns) == []
            assert sync.book.unread == set()
    assert any(event.kind is HEAD_REORG for event in events)
    assert reader.failed


class Hasty:
    """A reader whose node answers, once, with the state of the block after the one that it was asked for."""

    def __init__(self, reader: ChainReader) -> None:
        self._reader = reader
        self.ahead = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
        if self.ahead:
            self.ahead -= 1
            block = await self._reader.block_by_number(block.number + 1)
        return await self._reader.read(block, calls)


@pytest.mark.parametrize(("ahead", "differs"), [(1, False), (2, True)])
async def test_a_difference_counts_only_when_it_is_there_again(anvil: Anvil, ahead: int, differs: bool) -> None:
    bench = bench_on(anvil)
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        protocol = await discover(chain.reader, tiny_lend()(bench.deployment()))
        reader = Hasty(chain.reader)
        sync = BookSync(reader, protocol, 0, lambda _: None, audit_accounts=100)
        bench.do(bench.lend.functions.supply(5 * WAD), bench.users[0])
        assert await sync.advance(await chain.reader.head())
        anvil.mine()
        head = await chain.reader.head()
        bench.do(bench.lend.functions.borrow(10**9), bench.users[0])
        reader.ahead = ahead
        advance = await sync.advance(head)
        assert advance is not None
        assert bool(advance.mismatches) is differs


class Endless:
    """An adapter whose discovery never comes to an end."""

    name = "endless"
    rounds = 0

    def discovery(self) -> list[Call]:
        return [Call(b"\x01" * 20, b"")]

    def discovered(self, results: object) -> "Endless":
        self.rounds += 1
        return self


async def found_out(reader: ChainReader, contract: bytes) -> Protocol:
    return await discover(reader, tiny_lend()(Deployment("tiny_lend", 31337, 0, {"TinyLend": contract})))


async def test_a_discovery_that_never_ends_is_told_by_the_adapters_name(anvil: Anvil) -> None:
    endless = Endless()
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        with pytest.raises(OperatorError, match="KEEPER_PROTOCOL: endless asked for more than 32 rounds"):
            await discover(chain.reader, endless)  # type: ignore[arg-type]
    assert 1 < endless.rounds < 100


async def test_an_address_of_another_contract_is_told_in_one_line(anvil: Anvil) -> None:
    bench = bench_on(anvil)
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        with pytest.raises(OperatorError, match=r"KEEPER_DEPLOYMENT: TinyLend at 0x.* does not answer `collateral`"):
            await found_out(chain.reader, unhexed(bench.weth.address))
        with pytest.raises(OperatorError, match="does not answer"):
            await found_out(chain.reader, b"\x77" * 20)
