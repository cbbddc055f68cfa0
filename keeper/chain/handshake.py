"""Asks a node for its chain and its abilities: at the first connection, and after it was down."""

from keeper.chain import multicall
from keeper.chain.codec import WireBlock, block_of, octets
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError
from keeper.chain.node_errors import is_overload
from keeper.model.chain import Call, hexed

_CLOCK = b"keeper.clock.probe.1"  # 20 bytes: an address without a known key
_TIMESTAMP_CODE = "0x4260005260206000f3"  # returns TIMESTAMP
_OTHER_TIME = 0x7FFF_FFFF
_WORD = 32


async def genesis_of(endpoint: Endpoint) -> bytes | None:
    """Hash of block 0; None where the node has pruned it."""
    found = await endpoint.request(WireBlock | None, "eth_getBlockByNumber", "0x0", False)  # type: ignore[arg-type]
    return block_of(found).hash if found else None


async def probe(endpoint: Endpoint) -> None:
    """Find out whether `eth_call` supports overrides of code and of block time: some nodes refuse or ignore them."""
    time = await _timestamp(endpoint, {"time": hex(_OTHER_TIME)})
    endpoint.abilities.time_override = time == _OTHER_TIME
    if time is None:
        time = await _timestamp(endpoint)
    endpoint.abilities.code_override = time is not None


async def _timestamp(endpoint: Endpoint, *overrides: dict[str, str]) -> int | None:
    """The newest block's time as read by code that a state override puts on the chain, through the bulk reader."""
    request = {"to": hexed(multicall.READER), "data": hexed(multicall.pack([Call(_CLOCK, b"")]))}
    codes = {**multicall.overrides({}), hexed(_CLOCK): {"code": _TIMESTAMP_CODE}}
    try:
        answer = octets(await endpoint.request(str, "eth_call", request, "latest", codes, *overrides))
    except RpcError as error:
        if is_overload(error):
            raise
        return None
    if not answer:
        return None
    (result,) = multicall.unpack(answer, 1)
    return int.from_bytes(result.data, "big") if result.ok and len(result.data) == _WORD else None
