"""What leaves the machine, seen on the wire: nothing in a dry run, and a constant number of requests a block."""

from collections import Counter
from pathlib import Path

import pytest

from keeper.execute.journal.journal import open_history
from keeper.model.events import PLAN_MADE, TX_MINED
from keeper.sim.arena import arena_node, running
from keeper.sim.keeper import JOURNAL
from tests.support import harsh
from tests.support.proxy import FaultProxy

QUIET_BLOCKS = 12
MOST_CALLS_A_BLOCK = 4


async def test_without_live_nothing_is_signed_and_nothing_leaves(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url)) as keeper:
            for _ in range(20):
                record = await arena.step()
                await keeper.handled(record.number)
            assert keeper.of(PLAN_MADE), "there must be something that a live keeper would send"
            assert all(event.fields["live"] is False for event in keeper.of(PLAN_MADE))
            writing = {call.method for call in proxy.seen if "send" in call.method.lower() or "sign" in call.method}
            assert writing == set()
            assert anvil.quantity("eth_getTransactionCount", "0x" + arena.keeper.hex(), "pending") == 0
            assert not arena.files.journal.exists()


async def test_what_a_live_keeper_sends_is_in_its_journal_byte_for_byte(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            for _ in range(20):
                record = await arena.step()
                await keeper.handled(record.number)
            assert keeper.of(TX_MINED)
            history = open_history(JOURNAL, arena.files.directory)
            known = {attempt.raw for intent in history.intents() for attempt in intent.attempts}
            history.close()
            assert set(proxy.sent) <= known


@pytest.mark.parametrize("live", [False, True], ids=["dry", "live"])
async def test_the_steady_state_costs_the_same_few_calls_whatever_the_number_of_accounts(
    tmp_path: Path, live: bool
) -> None:
    costs = {}
    for accounts in (50, 500):
        with arena_node() as anvil:
            arena = harsh.arena(anvil, tmp_path / str(accounts), accounts=accounts, blocks=40)
            async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.ws_url, live=live)) as keeper:
                for _ in range(3):
                    await keeper.handled((await arena.quiet()).number)
                before = Counter(call.method for call in proxy.seen)
                for _ in range(QUIET_BLOCKS):
                    await keeper.handled((await arena.quiet()).number)
                costs[accounts] = Counter(call.method for call in proxy.seen) - before
                assert keeper.daemon.decision.assessment is not None
                assert keeper.daemon.decision.assessment.active == accounts
    assert costs[50] == costs[500]
    assert 0 < costs[500].total() <= MOST_CALLS_A_BLOCK * QUIET_BLOCKS
