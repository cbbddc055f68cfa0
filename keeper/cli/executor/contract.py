"""Reads of the executor contract through web3, and parsing of addresses."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.chain.connect import Chain
    from keeper.model.chain import BlockRef
    from keeper.protocols.executor import Ties


def executor_of(session: "Session") -> bytes:
    """The executor's address. Raises OperatorError when the deployment file names none."""
    if not session.deployment.executor:
        raise OperatorError(
            "KEEPER_DEPLOYMENT names no Executor: run `keeper executor deploy --factory ADDRESS --treasury ADDRESS "
            "--live`"
        )
    return session.deployment.executor


async def read_ties(chain: "Chain", address: bytes, block: "BlockRef") -> "Ties | None":
    """Roles and wiring of an executor at a block; None when the address is no executor of this version."""
    from keeper.protocols import executor

    return executor.ties(await chain.reader.read(block, executor.ties_calls(address)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the treasury set: coins (wei) a day and left today, floors in units, tokens of the list, an open offer."""

    pending: bytes
    gas_bound: int
    gas_left: int
    floors: "dict[bytes, int]"
    held: "frozenset[bytes]"


async def read_limits(chain: "Chain", address: bytes, block: "BlockRef", tokens: "Collection[bytes]") -> Limits:
    """The limits of an executor of this version, for these tokens."""
    from keeper.model.chain import Call
    from keeper.protocols.executor.contract import FUNCTIONS

    asked = [FUNCTIONS[name].encode() for name in ("pendingTreasury", "gasBound", "gasLeftToday")]
    asked += [FUNCTIONS[name].encode(token) for name in ("floor", "held") for token in tokens]
    answers = [result.data for result in await chain.reader.read(block, [Call(address, data) for data in asked])]
    pending, *numbers = answers[0][12:], *(int.from_bytes(data, "big") for data in answers[1:])
    floors = dict(zip(tokens, numbers[2 : 2 + len(tokens)], strict=True))
    listed = zip(tokens, numbers[2 + len(tokens) :], strict=True)
    return Limits(pending, numbers[0], numbers[1], floors, frozenset(token for token, flag in listed if flag))


async def balance_of(chain: "Chain", token: bytes, holder: bytes, block: "BlockRef") -> int:
    """Units of a token that an address holds at a block. Raises OperatorError when the address is no token."""
    from web3.exceptions import BadFunctionCallOutput, ContractLogicError

    from keeper.abi import checksum

    functions = chain.contract(token, "IERC20Metadata").functions
    try:
        return int(await functions.balanceOf(checksum(holder)).call(block_identifier=block.number))
    except (BadFunctionCallOutput, ContractLogicError):
        raise OperatorError(f"{checksum(token)} is not a token: it does not answer balanceOf", 4) from None


def address_of(option: str, text: str) -> bytes:
    """The address that an option gives. Raises OperatorError for any other text."""
    from eth_utils.address import is_address, is_checksum_address, is_checksum_formatted_address

    garbled = is_checksum_formatted_address(text) and not is_checksum_address(text)
    if not text.startswith("0x") or not is_address(text) or garbled:
        raise OperatorError(f"{option}: {text} is not an address: give 0x and 40 hex digits, with a valid checksum")
    return bytes.fromhex(text[2:])
