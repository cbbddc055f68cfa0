"""Rules that make the node behind the proxy like real ones: it lags, forks, evicts, and enforces what they do."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import rlp
from eth_utils.crypto import keccak

from tests.support.proxy import DROP, Action, Forward, Message, Reply, Seen, lose_request, repeat, silence

_GAS_CAP = 2**24  # EIP-7825
_NONCE, _TIP, _MAX_FEE, _GAS = 1, 2, 3, 4  # fields of a type 2 transaction


async def ask(forward: Forward, method: str, *params: Any) -> Any:
    """The node's own answer to a question of the rule's."""
    return (await forward({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})).get("result")


def _result(call: Seen, result: Any) -> Reply:
    return Reply({"jsonrpc": "2.0", "id": call.message["id"], "result": result})


def _error(call: Seen, message: str, code: int = -32000) -> Reply:
    return Reply({"jsonrpc": "2.0", "id": call.message["id"], "error": {"code": code, "message": message}})


# Exchanges.


def refuse() -> Action:
    """Hang up before reading on: what `FaultProxy.down` does to all, for one client or method."""
    return lose_request()


def oversize(padding: int = 3 * 1024 * 1024) -> Action:
    """The node's answer, larger than usual limits of frames."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(await forward(call.message), pad=padding)

    return action


def reorder_batch() -> Action:
    """The answers of a batch, last first, each with its own id."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(await forward(call.message), reverse=True)

    return action


def same_id() -> Action:
    """Every answer with the id of the first request."""
    first: list[Any] = []

    async def action(call: Seen, forward: Forward) -> Reply:
        first.append(call.message["id"])
        return Reply(await forward(call.message) | {"id": first[0]})

    return action


# Subscriptions: rules for the method `eth_subscription`.


def drop_ws() -> Action:
    """The line breaks when a notice is due."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return DROP

    return action


def half_open_ws() -> Action:
    """The line stays up, and nothing comes any more."""
    return silence()


def skip_heads() -> Action:
    """A head that is not told; use `nth` to say which."""
    return silence()


def dup_heads(times: int = 2) -> Action:
    """A head that is told several times."""
    return repeat(times)


def late_heads(seconds: float) -> Action:
    """Every other head comes after the next one."""
    seen: list[Seen] = []

    async def action(call: Seen, forward: Forward) -> Reply:
        seen.append(call)
        if len(seen) % 2:
            await asyncio.sleep(seconds)
        return Reply(await forward(call.message))

    return action


# A node that lags.


def stale(blocks: int) -> Action:
    """A rule for every method: the node is so many blocks behind."""

    async def height(forward: Forward) -> int:
        return int(await ask(forward, "eth_blockNumber"), 16) - blocks

    return _as_of(height)


def frozen(number: int) -> Action:
    """A rule for every method: the node's head stays at a block."""

    async def height(_: Forward) -> int:
        return number

    return _as_of(height)


def _as_of(height: Callable[[Forward], Any]) -> Action:
    async def action(call: Seen, forward: Forward) -> Reply:
        head = max(await height(forward), 0)
        where = call.params[0] if call.params else None
        if call.method == "eth_blockNumber":
            return _result(call, hex(head))
        if call.method == "eth_getBlockByNumber":
            return await _block(call, forward, head)
        if call.method == "eth_getBlockByHash" and await _is_above(forward, where, head):
            return _result(call, None)
        if call.method == "eth_getLogs" and await _is_above(forward, where.get("blockHash"), head):
            return _result(call, [])  # the lie of a balanced cluster: it does not know, and says that there are none
        pinned = next((one["blockHash"] for one in call.params if isinstance(one, dict) and "blockHash" in one), None)
        if call.method == "eth_call" and await _is_above(forward, pinned, head):
            return _error(call, "header not found")
        return Reply(await forward(call.message))

    return action


async def _block(call: Seen, forward: Forward, head: int) -> Reply:
    tag, *rest = call.params
    number = head if tag in ("latest", "pending", "safe") else int(tag, 16) if tag.startswith("0x") else 0
    if number > head:
        return _result(call, None)
    return _result(call, await ask(forward, "eth_getBlockByNumber", hex(number), *rest))


async def _is_above(forward: Forward, block_hash: str | None, head: int) -> bool:
    if block_hash is None:
        return False
    block = await ask(forward, "eth_getBlockByHash", block_hash, False)
    return block is None or int(block["number"], 16) > head


def fork(url: str) -> Action:
    """A rule for every method: another node answers, of another branch or chain."""

    async def action(call: Seen, forward: Forward) -> Reply:
        async with aiohttp.ClientSession() as session, session.post(url, json=call.message) as response:
            found: Message = await response.json()
            return Reply(found)

    return action


# Transactions: rules for the method `eth_sendRawTransaction`.


def fields(raw: bytes) -> list[int]:
    """The fields of a type 2 transaction that are numbers; addresses and data among them mean nothing."""
    return [int.from_bytes(field, "big") if isinstance(field, bytes) else 0 for field in rlp.decode(raw[1:])]


def _fields(call: Seen) -> list[int]:
    return fields(bytes.fromhex(call.params[0][2:]))


def gas_cap(cap: int = _GAS_CAP) -> Action:
    """No transaction may ask for more gas than that."""

    async def action(call: Seen, forward: Forward) -> Reply:
        gas = _fields(call)[_GAS]
        if gas > cap:
            return _error(call, f"transaction gas limit too high (cap: {cap}, tx: {gas})")
        return Reply(await forward(call.message))

    return action


def price_bump_rule(percent: int = 10) -> Action:
    """A replacement must offer so much more in both fee fields than what the pool has at its nonce. One sender."""
    best: dict[int, tuple[int, int]] = {}

    async def action(call: Seen, forward: Forward) -> Reply:
        fields = _fields(call)
        nonce, offer = fields[_NONCE], (fields[_TIP], fields[_MAX_FEE])
        known = best.get(nonce)
        raw_hash = "0x" + keccak(bytes.fromhex(call.params[0][2:])).hex()
        again = await ask(forward, "eth_getTransactionByHash", raw_hash) is not None
        if (
            known
            and not again
            and any(new * 100 < old * (100 + percent) for new, old in zip(offer, known, strict=True))
        ):
            return _error(call, "replacement transaction underpriced")
        answer = await forward(call.message)
        if "result" in answer:
            best[nonce] = offer
        return Reply(answer)

    return action


def nonce_order() -> Action:
    """Nonces in turn, one sender: what comes before those below it is refused as too high."""
    taken: set[int] = set()

    async def action(call: Seen, forward: Forward) -> Reply:
        nonce = _fields(call)[_NONCE]
        if nonce and nonce - 1 not in taken:
            return _error(call, f"nonce too high: tx nonce {nonce}")
        taken.add(nonce)
        return Reply(await forward(call.message))

    return action


def evict() -> Action:
    """The node takes the transaction, and its pool forgets it at once."""

    async def action(call: Seen, forward: Forward) -> Reply:
        answer = await forward(call.message)
        if "result" in answer:
            await ask(forward, "anvil_dropTransaction", answer["result"])
        return Reply(answer)

    return action


def one_of(actions: Iterable[Action]) -> Action:
    """The actions in turn, one for each call; the last one for all that follow."""
    turns = list(actions)

    async def action(call: Seen, forward: Forward) -> Reply:
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        return await turn(call, forward)

    return action
