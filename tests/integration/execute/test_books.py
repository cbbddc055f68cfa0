"""The very daemon, live, through a crash of the reference protocol: the books equal the chain."""

from collections import Counter
from pathlib import Path

from keeper.execute.journal.journal import open_history
from keeper.model.events import KEEPER_STARTED, TX_MINED
from keeper.model.intent import APPROVE, IntentState
from keeper.observe.pnl import NATIVE, summarise
from keeper.sim.arena import arena_node, running
from tests.support import harsh

BALANCE_OF = bytes.fromhex("70a08231")


def balances(arena: harsh.EngineArena) -> dict[bytes, int]:
    """Everything that the keeper holds, in units; the native coin under its own key."""
    data = BALANCE_OF + bytes(12) + arena.keeper
    held = {
        token: int.from_bytes(arena.anvil.call(token, data), "big") for token in arena.market.deployed.tokens.values()
    }
    return {**held, NATIVE: arena.anvil.balance(arena.keeper)}


async def test_profit_by_token_and_gas_equal_the_balance_changes_to_the_wei(tmp_path: Path):
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=24, seed=3)
        before = balances(arena)
        settings = arena.settings(anvil.url, live=True)
        async with running(settings) as keeper:
            await keeper.until(lambda: keeper.of(KEEPER_STARTED))
            for _ in range(len(arena.scenario.steps) + 8):
                record = await arena.step(crowded=True)
                await keeper.handled(record.number)
        after = balances(arena)
        history = open_history(settings.database_url.get_secret_value(), settings.data_dir)
        intents = history.intents()
        history.close()
    sums = summarise(intents)
    changes = {token: after[token] - before[token] for token in before if after[token] != before[token]}
    assert {token: units for token, units in sums.profit.items() if units} == changes
    assert {intent.state for intent in intents} <= {IntentState.MINED, IntentState.REVERTED, IntentState.CANCELLED}
    kinds = Counter(intent.kind for intent in intents if intent.state is IntentState.MINED)
    assert kinds[APPROVE] == 1
    assert kinds["liquidate"] > 0
    assert sums.value_wad > 0
    assert len(keeper.of(TX_MINED)) == sum(kinds.values())
