"""Reads of the executor contract through web3, and parsing of addresses."""

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
            "KEEPER_DEPLOYMENT names no Executor: run `keeper executor deploy --factory ADDRESS --live`"
        )
    return session.deployment.executor


async def read_ties(chain: "Chain", address: bytes, block: "BlockRef") -> "Ties | None":
    """Owner and factory of an executor at a block; None when the address is no executor."""
    from web3.exceptions import BadFunctionCallOutput, ContractLogicError

    from keeper.model.chain import unhexed
    from keeper.protocols.executor import Ties

    functions = chain.contract(address, "KeeperExecutor").functions
    try:
        owner, factory = [await functions[name]().call(block_identifier=block.number) for name in ("owner", "factory")]
    except (BadFunctionCallOutput, ContractLogicError):
        return None
    return Ties(unhexed(owner), unhexed(factory))


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
