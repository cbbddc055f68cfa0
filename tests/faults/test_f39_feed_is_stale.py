"""F39: a feed that stopped: strict leaves its accounts alone, follow acts on what pays at executable prices."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from keeper.abi import checksum
from keeper.model.events import PLAN_REJECTED, PRICE_STALE, TX_MINED, TX_SENT
from keeper.sim.arena import arena_node, running
from keeper.sim.records import BlockRecord
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import deploy, prices, set_feed, silence

MAX_AGE_S = 600
DAY = 86_400
CALM = {"ETH": 3_000.0, "BTC": 60_000.0, "SOL": 150.0}
LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}


async def prices_of_both(
    arena: harsh.EngineArena, references: Mapping[str, bytes], dollars: Mapping[str, float]
) -> BlockRecord:
    """A block in which the protocol's feeds and their references say the same."""
    for label, feed in references.items():
        set_feed(arena, feed, dollars[label])
    return await prices(arena, dollars)


@pytest.mark.parametrize(
    ("policy", "reference", "sends"),
    [("strict", False, False), ("strict", True, False), ("follow", True, True)],
    ids=["strict", "strict with a reference", "follow"],
)
async def test_f39_a_price_older_than_the_operator_allows(
    tmp_path: Path, policy: str, reference: bool, sends: bool
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        references = {
            label: deploy(arena, "SettableFeed", ["uint8", "int256"], [8, 1]) for label in (LOW if reference else ())
        }
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url,
                live=True,
                max_price_age_s=MAX_AGE_S,
                price_policy=policy,
                reference_feeds={label: checksum(feed) for label, feed in references.items()},
                max_in_flight=2,
            )
            async with running(settings) as keeper:
                for _ in range(2):
                    await keeper.handled((await prices_of_both(arena, references, CALM)).number)
                await keeper.handled((await prices_of_both(arena, references, LOW)).number)
                for label, feed in references.items():
                    set_feed(arena, feed, LOW[label], age_s=-MAX_AGE_S)
                await silence(arena, keeper, MAX_AGE_S + 60)
                sent = len(keeper.of(TX_SENT))
                for _ in range(3):
                    await silence(arena, keeper, 12)
                assert {event.fields["problem"] for event in keeper.of(PRICE_STALE)} == {"old"}
                assert (len(keeper.of(TX_SENT)) > sent) is sends
                if not sends:
                    assert any(
                        event.fields["reason"] == "hold" and "is older than" in event.message
                        for event in keeper.of(PLAN_REJECTED)
                    )
                await assert_invariants(arena, [proxy], [keeper])


async def test_f39_past_the_protocols_own_heartbeat_nothing_is_sent_under_any_policy(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, price_policy="follow", native_price_usd=1_500)
            async with running(settings) as keeper:
                await keeper.handled((await arena.quiet()).number)
                await silence(arena, keeper, DAY + 60)
                sent = len(keeper.of(TX_SENT))
                for _ in range(3):
                    await silence(arena, keeper, 12)
                assert {event.fields["problem"] for event in keeper.of(PRICE_STALE)} == {"stale"}
                assert len(keeper.of(TX_SENT)) == sent
                await keeper.handled((await prices(arena, LOW)).number)
                await keeper.handled((await arena.quiet()).number)
                assert keeper.of(TX_MINED), "it goes on as soon as the feeds do"
                await assert_invariants(arena, [proxy], [keeper])
