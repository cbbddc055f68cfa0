"""The executor contract (`contracts/src/KeeperExecutor.sol`): its ABI, its deployment, its owner and factory."""

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.abi import load_abi, load_creation
from keeper.model.chain import Call, CallResult

_ABI = load_abi("KeeperExecutor")
FUNCTIONS, EVENTS, ERRORS = _ABI.functions, _ABI.events, _ABI.errors
_WORD = 32


@dataclass(frozen=True, slots=True)
class Ties:
    """An executor's owner, and the factory of the Uniswap v3 pools that it trades with."""

    owner: bytes
    factory: bytes


def ties_calls(executor: bytes) -> list[Call]:
    """What `ties` decodes."""
    return [Call(executor, FUNCTIONS[name].encode()) for name in ("owner", "factory")]


def ties(results: Sequence[CallResult]) -> Ties | None:
    """None when the answers are not an executor's."""
    if any(not result.ok or len(result.data) != _WORD or any(result.data[:12]) for result in results):
        return None
    return Ties(*(result.data[12:] for result in results))


def creation(owner: bytes, factory: bytes) -> bytes:
    """Creation code of an executor, with its constructor's arguments."""
    return load_creation("KeeperExecutor") + owner.rjust(_WORD, b"\0") + factory.rjust(_WORD, b"\0")


def sweep(token: bytes, amount: int) -> bytes:
    """Calldata that sends units of a token to the executor's owner."""
    return FUNCTIONS["sweep"].encode(token, amount)
