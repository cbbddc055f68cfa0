"""Reads of the executor contract, and parsing of addresses."""

from typing import TYPE_CHECKING

from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.protocols.executor import Ties


def executor_of(session: "Session") -> bytes:
    """The executor's address. Raises OperatorError when the deployment file names none."""
    if not session.deployment.executor:
        raise OperatorError(
            "KEEPER_DEPLOYMENT names no Executor: run `keeper executor deploy --factory ADDRESS --live`"
        )
    return session.deployment.executor


async def read_ties(session: "Session", address: bytes) -> "Ties | None":
    """Owner and factory of an executor; None when the address is no executor."""
    from keeper.protocols import executor

    reader = session.chain.reader
    return executor.ties(await reader.read(await reader.head(), executor.ties_calls(address)))


async def balance_of(session: "Session", token: bytes, holder: bytes) -> int:
    """Units of a token that an address holds at the newest block."""
    from keeper.chain.balances import token_balances

    balances = await token_balances(session.chain.reader, await session.chain.reader.head(), holder, [token])
    return balances[token]


def address_of(option: str, text: str) -> bytes:
    """The address that an option gives. Raises OperatorError for any other text."""
    from eth_utils.address import is_address, is_checksum_address, is_checksum_formatted_address

    garbled = is_checksum_formatted_address(text) and not is_checksum_address(text)
    if not text.startswith("0x") or not is_address(text) or garbled:
        raise OperatorError(f"{option}: {text} is not an address: give 0x and 40 hex digits, with a valid checksum")
    return bytes.fromhex(text[2:])
