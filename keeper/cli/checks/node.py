"""What `keeper doctor` checks of each node, asked alone."""

from keeper.chain.connect import Chain, connect
from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.errors import KeeperError, Transient
from keeper.model.chain import BlockRef, Call, LogFilter
from keeper.protocols.base import Deployment
from keeper.settings import DEVELOPMENT_CHAINS, Settings

OLD_HEAD_S = 60
DEAD_HEAD_S = 600
SKEW_S = 15
DEPTHS = (16, 128, 1_024, 10_000, 100_000, 1_000_000)


async def check_endpoint(settings: Settings, url: str, label: str, deployment: Deployment, now: float) -> list[Check]:
    """What one endpoint can do. Each is asked alone, so that a good one does not hide a bad one."""
    try:
        chain = await connect([url], settings.chain_id, settings.request_timeout_s, lambda _: None)
    except KeeperError as error:
        return [fail(f"{label}: answers", str(error), "check KEEPER_RPC_URLS and KEEPER_CHAIN_ID, and the node")]
    try:
        head = await chain.reader.head()
        found = [ok(f"{label}: answers", f"chain {settings.chain_id}, block {head.number}")]
        found.append(_head_age(label, head, now, settings.chain_id))
        found.append(await _pinned_reads(label, chain, head, deployment))
        found.append(check_simulations(label, chain))
        found.append(await _logs(label, chain, head, deployment))
        found.append(await _depth(label, chain, head, deployment))
    except Transient as error:
        found = [fail(f"{label}: answers", str(error), "check the node, or remove it from KEEPER_RPC_URLS")]
    finally:
        await chain.close()
    return found


def _head_age(label: str, head: BlockRef, now: float, chain_id: int) -> Check:
    name = f"{label}: head and clock"
    age = now - head.timestamp
    if chain_id in DEVELOPMENT_CHAINS:
        return ok(name, "not compared: a development chain keeps its own time")
    if age < -SKEW_S:
        return warn(name, f"the newest block is {-age:.0f} s ahead of this machine's clock", "synchronise the clock")
    if age > DEAD_HEAD_S:
        return fail(
            name, f"the newest block is {age:.0f} s old", "restart or replace the node: it no longer follows its chain"
        )
    if age > OLD_HEAD_S:
        return warn(
            name, f"the newest block is {age:.0f} s old", "check the node: a node that is behind misses liquidations"
        )
    return ok(name, f"the newest block is {max(age, 0):.0f} s old")


async def _pinned_reads(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    name = f"{label}: reads pinned to a block hash"
    try:
        await chain.reader.read(head, [Call(address, b"") for address in deployment.contracts.values()])
    except Transient as error:
        return fail(name, str(error), "use a node that serves eth_call by block hash with a state override")
    return ok(name, "eth_call by block hash with a state override works")


def check_simulations(label: str, chain: Chain) -> Check:
    """By what a contract can tell the node's simulations from transactions."""
    name = f"{label}: simulations"
    missing = list(dict.fromkeys(what for found in chain.missing.values() for what in found))
    if missing:
        return warn(
            name,
            f"contracts can tell simulations from transactions by {', '.join(missing)}",
            "use a node that supports block overrides and fees in eth_call",
        )
    return ok(name, "contracts see the next block and the fees of a transaction")


async def _logs(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    name = f"{label}: logs by block hash"
    try:
        await chain.reader.logs_at(head, LogFilter(tuple(deployment.contracts.values())))
    except Transient as error:
        return fail(name, str(error), "use a node that serves eth_getLogs with blockHash")
    return ok(name, "eth_getLogs by block hash works")


async def _depth(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    """How far back state can be read: reorgs and `scan --block` need some of it."""
    name = f"{label}: depth of state"
    calls = [Call(next(iter(deployment.contracts.values())), b"")]
    deepest = 0
    for depth in (depth for depth in DEPTHS if depth <= head.number):
        try:
            await chain.reader.read(await chain.reader.block_by_number(head.number - depth), calls)
        except Transient:
            break
        deepest = depth
    if deepest == 0 and head.number >= DEPTHS[0]:
        return warn(
            name,
            f"the node has no state {DEPTHS[0]} blocks back",
            "use a node that keeps the state of at least 128 blocks",
        )
    return ok(name, f"the node has state {deepest} blocks back")
