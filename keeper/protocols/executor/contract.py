"""The executor contract (`contracts/src/KeeperExecutor.sol`): its ABI, its deployment, its roles, its code."""

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.abi import checksum, load_abi, load_creation, load_immutables, load_runtime
from keeper.model.chain import Call, CallResult

_ABI = load_abi("KeeperExecutor")
FUNCTIONS, EVENTS, ERRORS = _ABI.functions, _ABI.events, _ABI.errors
VERSION = 2  # version 1 had an `owner()` instead of roles, and no `version()`
_TIES = ("treasury", "operator", "factory", "wrapped")
_OWNER = bytes.fromhex("8da5cb5b")  # owner()
_WORD = 32


@dataclass(frozen=True, slots=True)
class Ties:
    """An executor's roles, the factory of the Uniswap v3 pools that it trades with, and the wrapped coin.

    `wrapped` is the zero address where there is none.
    """

    treasury: bytes
    operator: bytes
    factory: bytes
    wrapped: bytes


def ties_calls(executor: bytes) -> list[Call]:
    """What `ties` and `outdated` decode."""
    asked = [FUNCTIONS[name].encode() for name in ("version", *_TIES)]
    return [Call(executor, data) for data in (*asked, _OWNER)]


def ties(results: Sequence[CallResult]) -> Ties | None:
    """None when the answers are not those of an executor of this version."""
    version, *words = [_word(result) for result in results[: len(_TIES) + 1]]
    addresses = [word[12:] for word in words if word is not None and not any(word[:12])]
    if version is None or int.from_bytes(version, "big") != VERSION or len(addresses) != len(_TIES):
        return None
    return Ties(*addresses)


def outdated(results: Sequence[CallResult]) -> bool:
    """Whether the answers are those of an executor of version 1, which has an owner and a factory."""
    version, factory, owner = (_word(results[place]) for place in (0, 1 + _TIES.index("factory"), -1))
    return version is None and factory is not None and owner is not None


def outdated_message(executor: bytes) -> str:
    """One line for the operator: what is wrong with an executor of version 1, and where to read what to do."""
    return (
        f"executor {checksum(executor)} is of version 1, whose one key holds the capital: deploy a new one, then move "
        "the capital with `keeper executor sweep TOKEN all --old ADDRESS --live`, see docs/executor-migration.md"
    )


def is_ours(code: bytes) -> bool:
    """Whether deployed code is the executor's that this keeper ships, whatever its constructor got."""
    masked = bytearray(code)
    for start, length in load_immutables("KeeperExecutor"):
        masked[start : start + length] = bytes(len(masked[start : start + length]))
    return bytes(masked) == load_runtime("KeeperExecutor")


def creation(treasury: bytes, operator: bytes, factory: bytes, wrapped: bytes = bytes(20)) -> bytes:
    """Creation code of an executor, with its constructor's arguments."""
    words = (address.rjust(_WORD, b"\0") for address in (treasury, operator, factory, wrapped))
    return load_creation("KeeperExecutor") + b"".join(words)


def sweep(token: bytes, amount: int) -> bytes:
    """Calldata that sends units of a token, or wei for the zero address, to the executor's treasury."""
    return FUNCTIONS["sweep"].encode(token, amount)


def sell(token: bytes, pools: Sequence[bytes], min_out: int) -> bytes:
    """Calldata that sells all of a token through pools, for at least so many units of a token of the held list."""
    return FUNCTIONS["sell"].encode(token, list(pools), min_out)


def refuel(amount: int) -> bytes:
    """Calldata that pays coins (wei) to the operator."""
    return FUNCTIONS["refuel"].encode(amount)


def _word(result: CallResult) -> bytes | None:
    return result.data if result.ok and len(result.data) == _WORD else None
