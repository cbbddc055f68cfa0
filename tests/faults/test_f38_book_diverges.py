"""F38: the book differs from the chain: the audit trips, sending is held until a person resumes, nothing is healed."""

from math import ceil
from pathlib import Path

import pytest

from keeper.execute.breakers.store import open_breakers
from keeper.model.chain import hexed
from keeper.model.events import BOOK_PARITY_FAILED, BREAKER_CLOSED, BREAKER_OPEN, TX_MINED, Level
from keeper.settings import Settings
from keeper.sim.arena import Running, arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import set_settlement_balance, step_until

ACCOUNTS, SAMPLE = 24, 6


@pytest.mark.parametrize("live", [True, False], ids=["live", "dry"])
async def test_f38_the_audit_trips_holds_and_never_heals(tmp_path: Path, live: bool) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=ACCOUNTS, blocks=24)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=live, audit_accounts=SAMPLE)
            first = await diverge(arena, settings, proxy)
            sent = len(proxy.sent)
            if live:
                held = open_breakers(
                    settings.database_url.get_secret_value(), settings.data_dir, arena.keeper, settings.chain_id
                )
                assert "local health of" in held["parity"]
                async with running(settings) as second:  # a restart is no cure
                    await step_until(arena, second, lambda: second.daemon.decision.assessment.unsafe)
                    assert [event.fields["breaker"] for event in second.of(BREAKER_OPEN)] == ["parity"]
                    assert len(proxy.sent) == sent
                    await assert_invariants(arena, [proxy], [first, second])


async def diverge(arena: harsh.EngineArena, settings: Settings, proxy: FaultProxy) -> Running:
    """One account's slot is changed behind the logs' back; later it is put right again, which changes nothing."""
    victim = arena.scenario.openings[3].account
    async with running(settings, code=5) as keeper:
        await keeper.handled((await arena.step()).number)
        before = set_settlement_balance(arena, victim, 12_345)
        within = ceil(ACCOUNTS / SAMPLE)
        await step_until(arena, keeper, lambda: bool(keeper.of(BOOK_PARITY_FAILED)), arena.quiet, blocks=within)
        [failed] = keeper.of(BOOK_PARITY_FAILED)[:1]
        assert failed.kind.level is Level.CRITICAL
        assert failed.fields["account"].lower() == hexed(victim)
        assert "the contract's" in failed.fields["difference"]
        set_settlement_balance(arena, victim, before)
        await step_until(arena, keeper, lambda: arena.played > 18)
        assert keeper.daemon.stages.execution.held.startswith("local health of")
        assert not keeper.of(BREAKER_CLOSED)
        assert not [event for event in keeper.of(TX_MINED) if event.block > failed.block + 1]
        await assert_invariants(arena, [proxy], [keeper])
    return keeper
