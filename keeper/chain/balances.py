"""Token balances and the executor's floors, in one read each."""

from collections.abc import Collection, Sequence

from keeper.abi import checksum, load_abi
from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call

_BALANCE_OF = load_abi("IERC20Metadata").functions["balanceOf"]
_FLOOR = load_abi("KeeperExecutor").functions["floor"]


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


async def profit_floors(
    reader: ChainReader, block: BlockRef, executor: bytes, tokens: Collection[bytes]
) -> dict[bytes, int]:
    """Least profit in units of each token that the executor allows at a block, where it is above zero.

    None is known where there is no executor, or one of another kind.
    """
    ordered = sorted(tokens) if executor else []
    if not ordered:
        return {}
    results = await reader.read(block, [Call(executor, _FLOOR.encode(token)) for token in ordered])
    answered = {
        token: int(_FLOOR.decode(result.data)[0])
        for token, result in zip(ordered, results, strict=True)
        if result.ok and len(result.data) == 32
    }
    return {token: units for token, units in answered.items() if units}


async def holdings(
    reader: ChainReader, block: BlockRef, places: Sequence[tuple[bytes, bytes]]
) -> dict[tuple[bytes, bytes], int]:
    """Units by owner and token at a block, without tokens that do not answer. Raises Transient."""
    if not places:
        return {}
    results = await reader.read(block, [Call(token, _BALANCE_OF.encode(owner)) for owner, token in places])
    return {
        place: int(_BALANCE_OF.decode(result.data)[0])
        for place, result in zip(places, results, strict=True)
        if result.ok and len(result.data) >= 32
    }
