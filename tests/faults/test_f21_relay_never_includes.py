"""F21: a private relay accepts and never includes, or worse. Then the same nonce goes public, or is cancelled."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from keeper.chain.relay import Relays
from keeper.execute.tx.routing import RelayPolicy
from keeper.model.chain import hexed
from keeper.model.events import TX_MINED, TX_PUBLISHED
from keeper.model.intent import IntentState, Route
from keeper.sim.arena import arena_node, running
from tests.support import harsh, invariants
from tests.support.proxy import FaultProxy
from tests.support.relay import RelayStub
from tests.support.world import GWEI, TOKENS

BLOCKS = 3
TIMEOUT_S = 1.0
TOKEN = "token-of-the-relay"


@pytest.fixture
async def relay(sea) -> AsyncIterator[RelayStub]:
    async with RelayStub(sea.world.anvil) as stub:
        yield stub


async def through(sea, *relays: RelayStub, route: Route = Route.PRIVATE, then_public: bool = True, **more):
    """The sea, its executor sending through relays first."""
    sea.world.relays = Relays([f"{relay.url}/{TOKEN}" for relay in relays], TIMEOUT_S)
    sea.world.relay_policy = RelayPolicy(route, BLOCKS, then_public, **more)
    await sea.restart()


def known_to_the_node(sea) -> bool:
    return any(
        sea.world.anvil.rpc("eth_getTransactionByHash", hexed(attempt.tx_hash)) for attempt in sea.intent.attempts
    )


async def test_a_relay_that_includes_is_enough(sea, relay: RelayStub):
    relay.mode = "include"
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0))
    await sea.mine()
    assert sea.proxy.sent == []
    assert (sea.intent.state, sea.intent.attempts[0].route) == (IntentState.MINED, Route.PRIVATE)
    [offer] = relay.offers
    assert offer.authentic
    assert offer.method == "eth_sendPrivateTransaction"
    assert offer.what["maxBlockNumber"] == hex(sea.intent.attempts[0].signed_block + BLOCKS)
    await settled(sea, relay)


@pytest.mark.parametrize("route", [Route.PRIVATE, Route.BUNDLE])
@pytest.mark.parametrize("mode", ["keep", "hang", "garbage", "busy"])
async def test_after_its_blocks_the_same_bytes_go_public(sea, relay: RelayStub, mode: str, route: Route):
    relay.mode = mode
    await through(sea, relay, route=route)
    await sea.submit(await sea.world.plan(0))
    await sea.mine(BLOCKS - 1)
    assert sea.proxy.sent == []
    assert sea.intent.attempts[0].route is route
    await sea.mine()
    assert sea.proxy.sent == [sea.intent.attempts[0].raw]
    assert sea.intent.attempts[0].route is Route.PUBLIC
    assert TX_PUBLISHED.code in sea.world.codes()
    await settled(sea, relay)
    assert sea.states() == [(0, IntentState.MINED)]


async def test_while_it_is_private_the_nodes_silence_about_it_is_not_believed(sea, relay: RelayStub):
    """The node knows of no transaction: a second plan takes the next nonce, and nothing is published or filled."""
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0))
    await sea.submit(await sea.world.plan(1))
    await sea.mine(BLOCKS - 1)
    assert sea.world.anvil.quantity("eth_getTransactionCount", hexed(sea.world.keeper), "pending") == 0
    assert sea.states() == [(0, IntentState.PENDING), (1, IntentState.PENDING)]
    assert sea.proxy.sent == []
    await settled(sea, relay)


async def test_a_bundle_is_offered_for_each_block(sea, relay: RelayStub):
    await through(sea, relay, route=Route.BUNDLE)
    await sea.submit(await sea.world.plan(0))
    head = sea.intent.attempts[0].signed_block
    await sea.mine(BLOCKS - 1)
    targets = [int(offer.what["blockNumber"], 16) for offer in relay.named("eth_sendBundle")]
    assert targets == [head + 1, head + 2, head + 3]
    assert len({offer.what["replacementUuid"] for offer in relay.offers}) == 1
    await settled(sea, relay)


async def test_where_the_policy_is_never_public_it_is_cancelled(sea, relay: RelayStub):
    await through(sea, relay, then_public=False)
    await sea.submit(await sea.world.plan(0))
    liquidation = sea.intent.attempts[0]
    await sea.mine(BLOCKS)
    assert sea.intent.state is IntentState.CANCELLING
    assert liquidation.raw not in sea.proxy.sent
    assert relay.forgotten == [{"txHash": hexed(liquidation.tx_hash)}]
    await settled(sea, relay)
    assert sea.states() == [(0, IntentState.CANCELLED)]
    assert liquidation.raw not in sea.proxy.sent


@pytest.mark.parametrize("then_public", [True, False])
async def test_what_a_relay_includes_after_the_fallback_is_booked_once(sea, relay: RelayStub, then_public: bool):
    """The relay promised to forget it, and did not: whichever is mined counts."""
    await through(sea, relay, then_public=then_public)
    await sea.submit(await sea.world.plan(0, max_fee=60 * GWEI))
    await sea.mine(BLOCKS)
    sea.drop(*(attempt.tx_hash for attempt in sea.intent.attempts))
    relay.hand_over(sea.world.anvil)
    await settled(sea, relay)
    assert sea.states() == [(0, IntentState.MINED)]
    assert sea.world.tokens(sea.world.keeper) == 10 * TOKENS


async def test_a_relay_that_refuses_is_not_waited_for(sea, relay: RelayStub):
    relay.mode = "refuse"
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0))
    assert sea.states() == [(0, IntentState.PENDING)]  # it saw the bytes: the nonce is kept
    await sea.mine()
    assert sea.proxy.sent == [sea.intent.attempts[0].raw]
    await settled(sea, relay)
    assert sea.states() == [(0, IntentState.MINED)]


async def test_one_relay_that_takes_it_outweighs_those_that_do_not(sea, relay: RelayStub):
    async with RelayStub() as refusing, RelayStub() as hanging:
        refusing.mode, hanging.mode = "refuse", "hang"
        await through(sea, refusing, hanging, relay)
        await sea.submit(await sea.world.plan(0))
        assert "tx.unknown" not in sea.world.codes()
        await sea.mine()
        assert sea.proxy.sent == []
        assert sea.world.codes("tx.") == ["tx.sent"]
        await settled(sea, relay, refusing, hanging)


async def test_a_private_transaction_is_raised_privately(sea, relay: RelayStub):
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    assert [attempt.route for attempt in sea.intent.attempts] == [Route.PRIVATE, Route.PRIVATE]
    assert sea.proxy.sent == []
    assert relay.raws[-1] == sea.intent.attempts[1].raw
    await settled(sea, relay)


async def test_what_is_no_longer_valid_is_not_published_but_cancelled(sea, relay: RelayStub):
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS))
    liquidation = sea.intent.attempts[0].raw
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine()
    assert sea.intent.state is IntentState.CANCELLING
    assert relay.forgotten
    await settled(sea, relay)
    assert liquidation not in sea.proxy.sent


async def test_a_restart_keeps_private_what_was_private(sea, relay: RelayStub):
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0))
    await sea.restart()
    assert sea.proxy.sent == []
    assert relay.raws == [sea.intent.attempts[0].raw] * 2
    await sea.mine(BLOCKS - 1)
    assert sea.proxy.sent == []
    await sea.mine()
    assert sea.proxy.sent == [sea.intent.attempts[0].raw]
    await settled(sea, relay)


async def test_without_its_relays_a_private_transaction_goes_public_in_the_next_block(sea, relay: RelayStub):
    await through(sea, relay)
    await sea.submit(await sea.world.plan(0))
    sea.world.relays = sea.world.relay_policy = None
    await sea.restart()
    assert sea.proxy.sent == []
    await sea.mine()
    assert sea.proxy.sent == [sea.intent.attempts[0].raw]
    await settled(sea, relay)
    assert sea.states() == [(0, IntentState.MINED)]


async def test_plans_worth_little_are_public_from_the_start(sea, relay: RelayStub):
    await through(sea, relay, least_wad=2 * 10**18)
    await sea.submit(await sea.world.plan(0))
    assert relay.offers == []
    assert sea.intent.attempts[0].route is Route.PUBLIC
    await settled(sea, relay)


async def settled(sea, *relays: RelayStub) -> None:
    """Everything ended, the invariants hold, and what relays saw is in the journal, too."""
    await sea.settle()
    for relay in relays:
        invariants.wire_is_in_journal(sea.world.intents(), relay.raws)
    assert not [event for event in sea.world.events if TOKEN in event.message + str(event.fields)]


@pytest.mark.parametrize("fallback", ["public", "cancel"])
async def test_the_daemon_liquidates_through_a_relay_that_fails_in_turns_and_the_invariants_hold(
    tmp_path: Path, fallback: str
):
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=24, seed=3)
        async with FaultProxy(anvil.url) as proxy, RelayStub(anvil) as relay:
            urls = (SecretStr(f"{relay.url}/{TOKEN}"),)
            limits = {"relay_blocks": 2, "relay_fallback": fallback, "request_timeout_s": 0.5}
            settings = arena.settings(proxy.url, live=True, relay_urls=urls, **limits)
            async with running(settings) as keeper:
                for number in range(20):
                    relay.mode = ("include", "keep", "refuse", "hang", "garbage")[number // 2 % 5]
                    if number == 7:
                        relay.hand_over(anvil) if relay.raws else None
                    record = await arena.step()
                    await keeper.handled(record.number)
                for _ in range(8):
                    record = await arena.quiet()
                    await keeper.handled(record.number)
                assert keeper.of(TX_MINED)
                assert bool(keeper.of(TX_PUBLISHED)) == (fallback == "public")
                await invariants.assert_invariants(arena, [proxy], [keeper])
                invariants.wire_is_in_journal(invariants.journal_of(settings), relay.raws)
