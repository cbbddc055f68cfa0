"""Finds transactions by their sender, which nodes do not index: by when the sender's nonce grew."""

from collections.abc import Collection

import msgspec

from keeper.chain.codec import fixed, quantity
from keeper.chain.errors import RpcError, StateMissing
from keeper.chain.pool import NodePool
from keeper.errors import Transient
from keeper.model.chain import hexed


class _WireTx(msgspec.Struct, rename={"sender": "from"}):
    sender: str
    nonce: str
    hash: str


class _WireBody(msgspec.Struct):
    transactions: list[_WireTx]


async def sent_by(pool: NodePool, account: bytes, nonces: Collection[int], after: int, last: int) -> list[bytes]:
    """Hashes of an account's transactions with these nonces, in blocks `after` + 1 to `last`.

    Raises Transient where a node does not answer, or one of them is not there: StateMissing where none has the state
    of an earlier block.
    """
    found: dict[int, bytes] = {}
    for nonce in sorted(nonces):
        if nonce not in found:
            number = await _block_of(pool, account, nonce, after, last)
            found |= await _in_block(pool, account, number)
    if missing := set(nonces) - found.keys():
        raise Transient(f"no transaction of {hexed(account)} with nonce {min(missing)} in blocks {after + 1} to {last}")
    return [found[nonce] for nonce in sorted(nonces)]


async def _block_of(pool: NodePool, account: bytes, nonce: int, after: int, last: int) -> int:
    """The block that used a nonce, by bisection."""
    low, high = after, last
    while high - low > 1:
        middle = (low + high) // 2
        try:
            used = await pool.fetch(quantity, str, "eth_getTransactionCount", hexed(account), hex(middle))
        except RpcError as error:
            if StateMissing.says(error):
                raise StateMissing(str(error)) from None
            raise
        low, high = (low, middle) if used > nonce else (middle, high)
    return high


async def _in_block(pool: NodePool, account: bytes, number: int) -> dict[int, bytes]:
    """The account's transactions in a block, by nonce."""
    body = await pool.request(_WireBody, "eth_getBlockByNumber", hex(number), True)
    mine = [tx for tx in body.transactions if tx.sender.lower() == hexed(account)]
    return {quantity(tx.nonce): fixed(tx.hash) for tx in mine}
