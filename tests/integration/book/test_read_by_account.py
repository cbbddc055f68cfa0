"""A protocol whose logs do not say what an account owes, on a node whose newest blocks are replaced now and then."""

import random

import pytest

from keeper.book.book import differences
from keeper.book.discovery import discover
from keeper.book.follower import Follower, load_snapshot
from keeper.chain.connect import connect
from keeper.chain.ports import ChainReader
from keeper.demo.anvil import Anvil
from keeper.errors import OperatorError, Transient
from keeper.model.chain import Call
from keeper.model.events import HEAD_REORG, Event
from keeper.protocols.base import Deployment, Protocol
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
        follower = Follower(reader, protocol, 0, events.append, undo_blocks=8, audit_accounts=100)
        for _ in range(ROUNDS):
            for _ in range(dice.randrange(1, 4)):
                user = dice.choice(bench.users)
                what, amount = dice.choice([("supply", 5 * WAD), ("borrow", 10**9), ("repay", 10**8)])
                bench.do(bench.lend, what, dice.randrange(1, amount), sender=user)
            depth = dice.choice([0, 0, 1, 2, 5, 10])
            if depth:
                anvil.reorg(depth)
            follower.look_again()
            try:
                advance = await follower.advance(await chain.reader.head())
            except Transient:
                continue  # and the accounts that were touched are read in a later block
            assert advance is not None
            assert advance.mismatches == ()
            fresh = await load_snapshot(chain.reader, protocol, 0)
            assert differences(follower.book.columns, fresh.columns) == []
            assert follower.book.unread == set()
    assert any(event.kind is HEAD_REORG for event in events)
    assert reader.failed


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
        with pytest.raises(OperatorError, match="KEEPER_PROTOCOL: endless has not found out what it needs"):
            await discover(chain.reader, endless)  # type: ignore[arg-type]
    assert 1 < endless.rounds < 100


async def test_an_address_of_another_contract_is_told_in_one_line(anvil: Anvil) -> None:
    bench = bench_on(anvil)
    async with await connect([anvil.url], 31337, 5, lambda _: None) as chain:
        with pytest.raises(OperatorError, match=r"KEEPER_DEPLOYMENT: TinyLend at 0x.* does not answer `collateral`"):
            await found_out(chain.reader, bench.weth)
        with pytest.raises(OperatorError, match="does not answer"):
            await found_out(chain.reader, b"\x77" * 20)
