"""Discovery: before the first log the adapter reads from the chain what the deployment file does not contain."""

from keeper.chain.ports import ChainReader
from keeper.errors import OperatorError
from keeper.protocols.base import Protocol

_MOST_ROUNDS = 32


async def discover(reader: ChainReader, protocol: Protocol) -> Protocol:
    """The adapter after discovery at the newest block. Raises OperatorError."""
    head = await reader.head()
    for _ in range(_MOST_ROUNDS):
        if not (calls := protocol.discovery()):
            return protocol
        protocol = protocol.discovered(await reader.read(head, calls))
    raise OperatorError(
        f"KEEPER_PROTOCOL: {protocol.name} asked for more than {_MOST_ROUNDS} rounds of reads to find its contracts: "
        "check KEEPER_DEPLOYMENT, or report it to the author of the plug-in"
    )
