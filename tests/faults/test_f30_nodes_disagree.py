"""F30: a node of another chain, or with another history. Who a node is is asked at dial; what it says is compared."""

from pathlib import Path

import pytest

from keeper.chain.connect import connect
from keeper.chain.node_state import NodeState
from keeper.chain.pool import NodePool
from keeper.errors import OperatorError, Transient
from keeper.model.events import CHAIN_READY, CHAIN_UNREADY, NODE_DISAGREES, PLAN_MADE, Event, Level
from keeper.sim.arena import arena_node
from tests.support.anvil import Anvil
from tests.support.clock import SetClock
from tests.support.node_rules import fork
from tests.support.proxy import FaultProxy, answer
from tests.support.storm import health_of, storm

REORG = 6


async def test_a_node_of_another_chain_or_genesis_is_refused_at_dial(anvil: Anvil) -> None:
    with Anvil(chain_id=1) as other_chain, Anvil(timestamp=1_000_000) as other_genesis:
        with pytest.raises(OperatorError, match="serves chain 1, KEEPER_CHAIN_ID is 31337"):
            await connect([anvil.url, other_chain.url], 31337, 5, lambda _: None)
        with pytest.raises(OperatorError, match="another genesis block"):
            await connect([anvil.url, other_genesis.url], 31337, 5, lambda _: None)


async def test_a_node_that_comes_back_as_another_chains_serves_nothing(anvil: Anvil) -> None:
    events: list[Event] = []
    clock = SetClock()
    async with FaultProxy(anvil.url) as proxy:
        pool = NodePool([proxy.url_of("turncoat")], 31337, 5, events.append, clock)
        await pool.dial()
        await proxy.down()
        with pytest.raises(Transient):
            await pool.request(str, "eth_blockNumber")
        await proxy.up()
        proxy.when("eth_chainId").do(answer("0x1"))
        for _ in range(3):
            clock.time += 6
            with pytest.raises(Transient):
                await pool.request(str, "eth_blockNumber")
        assert pool.endpoints[0].health.state is NodeState.WRONG_CHAIN
        assert not proxy.calls("eth_blockNumber")
        assert sum("serves chain 1" in event.message for event in events) == 1
        proxy.clear()
        clock.time += 6
        assert await pool.request(str, "eth_blockNumber") == "0x0"
        assert pool.problem == ""
        await pool.close()


async def test_nodes_that_disagree_beyond_any_reorg_stop_planning_until_they_agree(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("one", "two"), undo_blocks=REORG) as weather:
        keeper, anvil = weather.keeper, weather.anvil
        with arena_node(fork_url=anvil.url, fork_block=anvil.block_number()) as branch:
            weather.proxy.when(who="two").do(fork(branch.url))
            for _ in range(REORG + 3):
                branch.mine()
                await weather.play(1)
            await keeper.until(lambda: keeper.of(CHAIN_UNREADY))
            [told] = keeper.of(NODE_DISAGREES)
            assert told.kind.level is Level.CRITICAL
            assert told.fields["hash"] != told.fields["other_hash"]
            assert health_of(keeper) == (503, "nodes disagree about the chain's history")
            since = len(keeper.events)
            branch.mine()
            await weather.play(1)
            assert not [event for event in keeper.events[since:] if event.kind is PLAN_MADE]
            weather.proxy.clear()
        await weather.play(3)
        await keeper.until(lambda: keeper.of(CHAIN_READY))
        await weather.play(4)
        await weather.settle()
