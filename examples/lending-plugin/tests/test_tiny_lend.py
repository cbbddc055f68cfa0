"""The contract is the referee: local health, the screen and what a liquidation does equal the chain's to the wei."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from conftest import DAY, WAD, Bench, compiled
from tiny_lend.abi import files
from tiny_lend.adapter import TinyLendProtocol

from keeper.book.book import differences
from keeper.book.discovery import discover
from keeper.book.sync import Advance, BookSync, load_snapshot
from keeper.chain.connect import connect
from keeper.chain.ports import ChainReader
from keeper.errors import InvariantBroken
from keeper.model.chain import Call, CallResult, Log, unhexed
from keeper.model.plan import token_key
from keeper.protocols.base import Protocol, RevertAction, Snapshot

TARGET = 11 * WAD // 10


class Watch:
    """A follower that compares EVERY account with the contract's own view in every block it reads."""

    def __init__(self, bench: Bench, reader: ChainReader, protocol: Protocol) -> None:
        self.bench, self.reader, self.protocol = bench, reader, protocol
        self.follower = BookSync(reader, protocol, 0, lambda _: None, audit_accounts=100)

    async def advance(self) -> Advance:
        self.follower.look_again()
        advance = await self.follower.advance(await self.reader.head())
        assert advance is not None
        assert advance.mismatches == ()
        return advance


def watching(bench: Bench, work: Callable[[Watch], Awaitable[None]]) -> None:
    @asynccontextmanager
    async def watch() -> AsyncIterator[Watch]:
        async with await connect([bench.anvil.url], 31337, 5, lambda _: None) as chain:
            protocol = await discover(chain.reader, TinyLendProtocol(bench.deployment()))
            yield Watch(bench, chain.reader, protocol)

    async def main() -> None:
        async with watch() as found:
            await work(found)

    asyncio.run(main())


def act(bench: Bench, dice: random.Random) -> None:
    """Something that an account, a price or time does; the contract may refuse it."""
    user, amount = dice.choice(bench.users), dice.randrange(1, 50_000) * 10**6 + dice.randrange(10**6)
    bench.anvil.rpc("evm_increaseTime", dice.choice([1, 60, DAY // 3]))
    match dice.randrange(7):
        case 0 | 1:
            bench.do(bench.lend.functions.supply(dice.randrange(1, 30 * WAD)), user)
        case 2 | 3:
            bench.do(bench.lend.functions.borrow(amount), user)
        case 4:
            bench.do(bench.lend.functions.repay(amount), user)
        case 5:
            bench.do(bench.lend.functions.withdraw(dice.randrange(1, WAD)), user)
        case 6:
            bench.price(dice.uniform(1_500, 2_500))


def test_health_equals_the_contracts_after_anything(bench: Bench) -> None:
    async def work(watch: Watch) -> None:
        dice = random.Random(7)
        for _ in range(60):
            act(bench, dice)
            snapshot = (await watch.advance()).snapshot
            later = snapshot.block.timestamp + dice.choice([0, 1, 3_600])
            screen = watch.protocol.screen(snapshot, later)
            for row in range(len(snapshot.columns)):
                if screen.active[row] and not screen.unpriced[row]:
                    health = watch.protocol.health(snapshot, row, later)
                    exact = (health.equity - health.requirement) / WAD
                    assert abs(screen.slack[row] - exact) <= screen.bound[row]
        fresh = await load_snapshot(watch.reader, watch.protocol, 0)
        assert differences(watch.follower.book.columns, fresh.columns) == []

    watching(bench, work)


def test_a_liquidation_does_what_was_said_before_it_was_sent(bench: Bench) -> None:
    keeper = bench.users[-1]

    async def work(watch: Watch) -> None:
        dice, seen = random.Random(3), set()
        for user in bench.users[:-1]:
            bench.do(bench.lend.functions.supply(10 * WAD + dice.randrange(WAD)), user)
            bench.do(bench.lend.functions.borrow(dice.randrange(13_000, 16_000) * 10**6), user)
        for dollars in (1_850, 1_700, 1_400, 1_150):
            bench.price(dollars)
            for user in bench.users[:-1]:
                before = (await watch.advance()).snapshot
                row = before.columns.accounts.row(unhexed(user))
                later = before.block.timestamp + dice.randrange(1, 30)
                assert row is not None
                for chosen in watch.protocol.opportunities(before, row, later, TARGET, {}):
                    call = watch.protocol.encode(before, chosen, chosen.reward_wad)
                    check_permits(watch.protocol, before, call)
                    logs = send(bench, call, keeper, later)
                    found = watch.protocol.achieved(None, chosen.account, unhexed(keeper), logs)
                    assert found is not None
                    assert (found.rewards, found.size) == (chosen.rewards, chosen.size)
                    after = (await watch.advance()).snapshot
                    assert watch.protocol.health(after, row, later) == chosen.after
                    seen.add((chosen.partial, chosen.after.health_wad >= TARGET, found.bad_debt_wad > 0))
        assert seen == {(True, True, False), (True, False, False), (False, True, True)}

    watching(bench, work)


def check_permits(protocol: Protocol, snapshot: Snapshot, call: Call) -> None:
    """The key may sign the call, and no other contract, function, encoding or account."""
    assert protocol.permits(snapshot.state, call) == ""
    stakes = protocol.stakes(snapshot, call)
    assert stakes is not None
    assert (stakes.accounts, stakes.misfit) == ((call.data[16:36],), "")
    for data in (call.data[:-1], call.data + bytes(32), b"\0" + call.data[1:], call.data[:4] + b"\1" + call.data[5:]):
        assert protocol.permits(snapshot.state, replace(call, data=data))
    assert protocol.permits(snapshot.state, replace(call, to=bytes(20)))
    assert protocol.permits(snapshot.state, replace(call, data=call.data[:16] + bytes(20) + call.data[36:]))
    somebody = protocol.stakes(snapshot, replace(call, data=call.data[:16] + b"\7" * 20 + call.data[36:]))
    assert somebody is not None
    assert somebody.misfit


def send(bench: Bench, call: Any, keeper: str, timestamp: int) -> list[Log]:
    bench.anvil.set_next_timestamp(timestamp)
    tx = bench.web3.eth.send_transaction({"from": keeper, "to": call.to, "data": call.data, "gas": 300_000})
    receipt = bench.web3.eth.wait_for_transaction_receipt(tx)
    assert receipt["status"] == 1
    assert receipt["gasUsed"] < 140_000
    return [
        Log(unhexed(log["address"]), tuple(map(bytes, log["topics"])), bytes(log["data"]), 0, b"", 0)
        for log in receipt["logs"]
    ]


def test_a_wei_more_than_the_reward_is_refused_on_chain_and_the_reason_is_decoded(bench: Bench) -> None:
    user, keeper = bench.users[0], bench.users[1]

    async def work(watch: Watch) -> None:
        bench.do(bench.lend.functions.supply(10 * WAD), user)
        bench.do(bench.lend.functions.borrow(15_000 * 10**6), user)
        bench.price(1_800)
        snapshot = (await watch.advance()).snapshot
        later = snapshot.block.timestamp + 1
        [chosen] = watch.protocol.opportunities(snapshot, 0, later, TARGET, {})
        wei = snapshot.readings.price // WAD + 1  # what a wei of collateral is worth
        call = watch.protocol.encode(snapshot, chosen, chosen.reward_wad + wei)
        answer = await watch.reader.call(call, unhexed(keeper), snapshot.block, later)
        revert = watch.protocol.explain(answer.data)
        assert (revert.name, revert.action) == ("TooLittle", RevertAction.RETRY)
        usdc = unhexed(bench.usdc.address)
        [small] = watch.protocol.opportunities(snapshot, 0, later, TARGET, {token_key(usdc): 5 * 10**6})
        assert small.spends == {usdc: 5 * 10**6}
        assert watch.protocol.opportunities(snapshot, 0, later, TARGET, {token_key(usdc): 0}) == []

    watching(bench, work)


def test_a_node_that_answers_nonsense_about_an_account_is_not_believed(bench: Bench) -> None:
    async def work(watch: Watch) -> None:
        bench.do(bench.lend.functions.supply(WAD), bench.users[0])
        await watch.advance()
        try:
            watch.follower.book.take_in({unhexed(bench.users[0]): [CallResult(True, b"short")]})
        except InvariantBroken:
            return
        raise AssertionError("it was believed")

    watching(bench, work)


def test_the_abi_is_the_contracts_own() -> None:
    kept = json.loads((files("tiny_lend") / "abi.json").read_text())
    assert all(entry in compiled()["TinyLend"]["abi"] for entry in kept)
