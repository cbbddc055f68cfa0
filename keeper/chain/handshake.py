"""Asks a node for its chain and its abilities: at the first connection, and after it was down."""

from keeper.chain import multicall
from keeper.chain.codec import WireBlock, block_of, octets
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError
from keeper.chain.node_errors import is_overload
from keeper.model.chain import Call, hexed

_PROBE = b"keeper.clock.probe.1"  # 20 bytes: an address without a known key
_PAYER = b"keeper.payer.probe.1"
_TIMESTAMP_CODE = "0x4260005260206000f3"  # returns TIMESTAMP
_BASE_FEE_CODE = "0x4860005260206000f3"  # returns BASEFEE
_OTHER_TIME = 0x7FFF_FFFF
_OTHER_FEE = 0x1234_5678  # wei
_WORD = 32
_GAS = 1_000_000
_HIGH_FEE = 10**15  # wei: above any base fee
_BALANCE = 2 * _GAS * _HIGH_FEE
_OFFER = {"from": hexed(_PAYER), "gas": hex(_GAS), "maxFeePerGas": hex(_HIGH_FEE), "maxPriorityFeePerGas": "0x1"}


async def genesis_of(endpoint: Endpoint) -> bytes | None:
    """Hash of block 0; None where the node has pruned it."""
    found = await endpoint.request(WireBlock | None, "eth_getBlockByNumber", "0x0", False)  # type: ignore[arg-type]
    return block_of(found).hash if found else None


async def probe(endpoint: Endpoint) -> None:
    """Find out which overrides and fees `eth_call` supports: some nodes refuse or ignore them."""
    able = endpoint.abilities
    time = await _word(endpoint, _TIMESTAMP_CODE, {}, {"time": hex(_OTHER_TIME)})
    able.time_override = time == _OTHER_TIME
    if time is None:
        time = await _word(endpoint, _TIMESTAMP_CODE, {})
    able.code_override = time is not None
    await _probe_fees(endpoint)


async def _probe_fees(endpoint: Endpoint) -> None:
    """Whether the node takes the fee fields of a transaction, and another base fee for the block."""
    able, base_fee = endpoint.abilities, None
    able.base_fee_override = False
    if able.time_override:
        other = {"time": hex(_OTHER_TIME), "baseFeePerGas": hex(_OTHER_FEE)}
        base_fee = await _word(endpoint, _BASE_FEE_CODE, _OFFER, other)
        able.base_fee_override = base_fee == _OTHER_FEE
    if base_fee is None and able.code_override:
        base_fee = await _word(endpoint, _BASE_FEE_CODE, _OFFER)
    able.fees = base_fee is not None or not able.code_override


async def _word(endpoint: Endpoint, code: str, fields: dict[str, str], *overrides: dict[str, str]) -> int | None:
    """What code that a state override puts on the newest block returns, through the bulk reader."""
    request = {"to": hexed(multicall.READER), "data": hexed(multicall.pack([Call(_PROBE, b"")])), **fields}
    state = {**multicall.overrides({}), hexed(_PROBE): {"code": code}}
    if fields:
        state[hexed(_PAYER)] = {"balance": hex(_BALANCE)}
    try:
        answer = octets(await endpoint.request(str, "eth_call", request, "latest", state, *overrides))
    except RpcError as error:
        if is_overload(error):
            raise
        return None
    if not answer:
        return None
    (result,) = multicall.unpack(answer, 1)
    return int.from_bytes(result.data, "big") if result.ok and len(result.data) == _WORD else None
