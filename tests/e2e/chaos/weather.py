"""The faults of `make chaos`: each spoils some of what goes over the wire, or does to the node what chains do."""

from collections.abc import Awaitable, Callable
from random import Random

from keeper.chain.errors import RpcError
from keeper.model.chain import hexed
from tests.support import harsh
from tests.support.node_rules import price_bump_rule, stale
from tests.support.proxy import (
    FaultProxy,
    answer,
    delay,
    html,
    lose_reply,
    lose_request,
    null,
    rpc_error,
    status,
    truncate,
    wrong_id,
)

Fault = Callable[[harsh.EngineArena, FaultProxy, Random], Awaitable[None]]

SEND = "eth_sendRawTransaction"
READS = ("eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs", "eth_call", "eth_getTransactionReceipt")
GWEI = 10**9


def _some(chance: Random) -> range:
    """A few calls in a row, from anywhere among the next ones."""
    first = chance.randint(1, 6)
    return range(first, first + chance.randint(1, 4))


async def lost_reply(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    proxy.when(SEND, nth=_some(chance)).do(lose_reply())


async def lost_request(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    proxy.when(SEND, nth=_some(chance)).do(lose_request())


async def slow(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    proxy.when(chance.choice((SEND, *READS))).do(delay(chance.random() * 0.6))


async def busy(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    proxy.when(chance.choice((SEND, *READS)), nth=_some(chance)).do(status(429, Retry_After="1"))


async def error(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    words = ("internal error", "missing trie node", "header not found", "request timed out")
    proxy.when(chance.choice((SEND, *READS)), nth=_some(chance)).do(rpc_error(-32000, chance.choice(words)))


async def refusal(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    words = ("nonce too high", "txpool is full", "transaction underpriced", "nonce too low", "already known")
    proxy.when(SEND, nth=_some(chance)).do(rpc_error(-32000, chance.choice(words)))


async def rubbish(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    action = chance.choice((html(), truncate(40), null(), wrong_id()))
    proxy.when(chance.choice(READS), nth=_some(chance)).do(action)


async def empty_logs(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    """Of single blocks, as a cluster answers in which one node is behind; whole ranges are old and known to all."""
    proxy.when("eth_getLogs", lambda params: "blockHash" in params[0], nth=_some(chance)).do(answer([]))


async def lagging(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    who, action = chance.choice("ab"), stale(chance.randint(1, 3))
    for method in ("eth_blockNumber", *READS):
        proxy.when(method, who=who).do(action)


async def dropped_sockets(_: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    await proxy.drop_sockets()
    proxy.when("eth_subscription", nth=_some(chance)).do(lose_request())


async def node_down(_: harsh.EngineArena, proxy: FaultProxy, __: Random) -> None:
    await proxy.down()


async def reorg(arena: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    depth = min(chance.randint(1, 4), arena.anvil.block_number() - arena.opened - 1)
    if depth > 0:
        arena.anvil.reorg(depth)
        arena.player.time = max(arena.player.time, arena.player.timestamp())
        if chance.random() < 0.5:
            await proxy.reinject()


async def base_fee_spike(arena: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    proxy.when(SEND).do(price_bump_rule())
    arena.anvil.set_next_base_fee(chance.choice((20, 100, 400)) * GWEI)


async def eviction(arena: harsh.EngineArena, proxy: FaultProxy, chance: Random) -> None:
    for raw in proxy.sent[-8:]:
        if chance.random() < 0.7:
            _forget(arena, raw)


def _forget(arena: harsh.EngineArena, raw: bytes) -> None:
    from eth_utils.crypto import keccak

    try:
        arena.anvil.rpc("anvil_dropTransaction", hexed(keccak(raw)))
    except RpcError:
        return  # mined already


async def calm(_: harsh.EngineArena, __: FaultProxy, ___: Random) -> None:
    """Nothing at all: what was left of the last one has time to heal."""


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        lost_reply, lost_request, slow, busy, error, refusal, rubbish, empty_logs, lagging, dropped_sockets, node_down,
        reorg, base_fee_spike, eviction, calm,
    )
}  # fmt: skip
