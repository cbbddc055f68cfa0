"""Token balances, in one read."""

from collections.abc import Collection

from keeper.abi import checksum, load_abi
from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call

_BALANCE_OF = load_abi("IERC20Metadata").functions["balanceOf"]


async def token_balances(
    reader: ChainReader, block: BlockRef, owner: bytes, tokens: Collection[bytes]
) -> dict[bytes, int]:
    """Units of each token at a block. Raises Transient when balanceOf fails."""
    ordered = sorted(tokens)
    if not ordered:
        return {}
    results = await reader.read(block, [Call(token, _BALANCE_OF.encode(owner)) for token in ordered])
    balances = {}
    for token, result in zip(ordered, results, strict=True):
        if not result.ok or len(result.data) < 32:
            raise Transient(f"balanceOf failed for token {checksum(token)}")
        balances[token] = int(_BALANCE_OF.decode(result.data)[0])
    return balances
