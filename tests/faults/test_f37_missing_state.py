"""F37: the state of the block that reads are pinned to is gone. A newer head is read instead, once a block."""

from pathlib import Path
from typing import Any

import pytest

from keeper.book.sync import load_snapshot
from keeper.chain.connect import connect
from keeper.chain.errors import StateMissing
from keeper.model.chain import hexed
from keeper.model.events import BLOCK_SKIPPED, HEAD_NEW
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.sim.keeper import CHAIN_ID
from tests.support.proxy import Forward, Reply, Seen, rpc_error
from tests.support.storm import Storm, storm

WORDS = (
    "missing trie node 5f2b (path 0a) state 0x5f2b is not available, not found",
    "header not found",
    "historical state 5f2b is not available",
)


def pinned_to(block_hash: str) -> Any:
    return lambda params: any(isinstance(one, dict) and one.get("blockHash") == block_hash for one in params)


@pytest.mark.parametrize("words", WORDS, ids=["geth", "not there yet", "pruned"])
async def test_the_newest_head_is_read_instead(tmp_path: Path, words: str) -> None:
    async with storm(tmp_path) as weather:
        pruned: list[str] = []

        async def gone(call: Seen, forward: Forward) -> Reply:
            """The first block that is read is gone, and a newer one has come."""
            where = next(one["blockHash"] for one in call.params if isinstance(one, dict) and "blockHash" in one)
            if not pruned:
                pruned.append(where)
                await weather.step()
            if where == pruned[0]:
                return await rpc_error(-32000, words)(call, forward)
            return Reply(await forward(call.message))

        weather.proxy.when("eth_call", params=pinned_to_any).do(gone)
        first = await weather.step()
        await weather.keeper.handled(first.number + 1)
        assert handled(weather, first.number) == []
        assert reads_of(weather, pruned[0]) == 1
        assert not weather.keeper.of(BLOCK_SKIPPED), "the turn went on with the newer head, and no block was left out"
        await weather.settle()


def pinned_to_any(params: Any) -> bool:
    return any(isinstance(one, dict) and "blockHash" in one for one in params)


def handled(weather: Storm, number: int) -> list[int]:
    return [event.block for event in weather.keeper.of(HEAD_NEW) if event.block == number]


def reads_of(weather: Storm, block_hash: str) -> int:
    return sum(pinned_to(block_hash)(call.params) for call in weather.proxy.calls("eth_call"))


async def test_where_there_is_no_newer_head_the_block_is_tried_again_and_not_in_a_loop(tmp_path: Path) -> None:
    async with storm(tmp_path) as weather:
        weather.proxy.when("eth_call", nth=range(1, 3)).do(rpc_error(-32000, WORDS[0]))
        await weather.play(2)
        await weather.settle()


async def test_a_past_block_without_state_is_refused_and_not_answered_with_the_newest(tmp_path: Path) -> None:
    async with storm(tmp_path, begun=False) as weather:
        past = (await weather.play(1)).number
        await weather.play(1)
        deployment = load_deployment(weather.arena.files.deployment, CHAIN_ID, "margin_engine")
        protocol = load_protocol(deployment)
        async with await connect([weather.proxy.url], CHAIN_ID, 10, lambda _: None) as chain:
            block = await chain.reader.block_by_number(past)
            weather.proxy.when("eth_call", params=pinned_to(hexed(block.hash))).do(rpc_error(-32000, WORDS[0]))
            with pytest.raises(StateMissing):
                await load_snapshot(chain.reader, protocol, deployment.start_block, past)
            newest = await load_snapshot(chain.reader, protocol, deployment.start_block)
        assert newest.block.number > past
