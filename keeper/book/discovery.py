"""Before the first log: the adapter finds out from the chain what the deployment file does not say."""

from keeper.chain.ports import ChainReader
from keeper.errors import OperatorError
from keeper.protocols.base import Protocol

_MOST_ROUNDS = 32


async def discover(reader: ChainReader, protocol: Protocol) -> Protocol:
    """The adapter that knows all it needs, asked at the newest block. Raises OperatorError."""
    head = await reader.head()
    for _ in range(_MOST_ROUNDS):
        if not (calls := protocol.discovery()):
            return protocol
        protocol = protocol.discovered(await reader.read(head, calls))
    raise OperatorError(f"KEEPER_PROTOCOL: {protocol.name} has not found out what it needs in {_MOST_ROUNDS} rounds")
