"""Asks a node for its chain and its abilities: at the first connection, and after it was down."""

from collections.abc import Mapping, Sequence
from typing import Any

from keeper.chain import multicall
from keeper.chain.abilities import FEES, NEW_NAMES, OLD_NAMES, PARENT_HASH, Abilities
from keeper.chain.codec import WireBlock, block_of, octets, quantity
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError
from keeper.chain.node_errors import is_overload, unfunded
from keeper.model.chain import Call, hexed

_PROBE = b"keeper.clock.probe.1"  # 20 bytes: an address without a known key
_PAYER = b"keeper.payer.probe.1"
_WORD = 32
_GAS = 1_000_000
_HIGH_FEE = 10**15  # wei: above any base fee
_OFFER = {"from": hexed(_PAYER), "gas": hex(_GAS), "maxFeePerGas": hex(_HIGH_FEE), "maxPriorityFeePerGas": "0x1"}
_PAID = {hexed(_PAYER): {"balance": hex(2 * _GAS * _HIGH_FEE)}}
# What the probe's code reads, by the name of what it tells.
_READS = {
    "time": "42",
    "number": "43",
    "base fee": "48",
    "randomness": "44",
    "fee recipient": "41",
    FEES: "3a",  # GASPRICE
    PARENT_HASH: "6001430340",  # BLOCKHASH(NUMBER - 1)
}
_OTHER_TIME = 0x7FFF_FFFF
_OTHER = {
    "time": hex(_OTHER_TIME),
    "base fee": hex(0x1234_5678),  # wei
    "randomness": hexed(b"\xa5" * _WORD),
    "fee recipient": hexed(_PAYER),
}
_FEW = 16  # blocks
_NONE: Mapping[str, Any] = {}

Seen = Mapping[str, int]


async def genesis_of(endpoint: Endpoint) -> bytes | None:
    """Hash of block 0; None where the node has pruned it."""
    found = await endpoint.request(WireBlock | None, "eth_getBlockByNumber", "0x0", False)  # type: ignore[arg-type]
    return block_of(found).hash if found else None


async def probe(endpoint: Endpoint) -> None:
    """Find out which overrides and fees `eth_call` supports: some nodes refuse or ignore them."""
    latest = await _see(endpoint, list(_READS)) or await _see(endpoint, ["time"])  # a chain without one of the opcodes
    if latest is None:
        missing = (*NEW_NAMES, *([] if (fees := await _takes_fees(endpoint)) else [FEES]))
        endpoint.abilities = Abilities(fees=fees, missing=missing)
        return
    offer = await _offer(endpoint, latest)
    taken, seen = await _overridden(endpoint, latest, offer)
    able = Abilities(code_override=True, fees=bool(offer), strict="strict" in offer, block_fields=taken)
    able.missing = tuple(await _missing(endpoint, latest, able, seen))
    await _learn_parent(endpoint, latest, able)
    endpoint.abilities = able


async def _offer(endpoint: Endpoint, latest: Seen) -> dict[str, Any]:
    """The fee fields that the node does not refuse or ignore; empty when it does either."""
    for offer in (_OFFER, {**_OFFER, "strict": True}):
        seen = await _see(endpoint, list(latest), offer)
        if seen and seen.get(FEES, 1):
            return offer
    return {}


async def _overridden(endpoint: Endpoint, latest: Seen, offer: Mapping[str, Any]) -> tuple[dict[str, str], Seen]:
    """What of the block the node overrides, by its own names, and what a call saw with it. latest: seen without."""
    wanted = {
        name: value for name, value in {**_OTHER, "number": hex(latest.get("number", 0) + 1)}.items() if name in latest
    }
    best: tuple[dict[str, str], Seen] = {}, {}
    for names in (NEW_NAMES, OLD_NAMES, {"time": "time", "number": "number"}):
        given = {names[name]: value for name, value in wanted.items() if name in names}
        seen = await _see(endpoint, list(latest), offer, given)
        taken = {name: names[name] for name in wanted if name in names and seen and seen[name] == int(wanted[name], 16)}
        if seen and "time" in taken and len(taken) > len(best[0]):
            best = taken, seen
        if best[0].keys() >= wanted.keys() - {"number"}:
            break
    return best


async def _missing(endpoint: Endpoint, latest: Seen, able: Abilities, seen: Seen) -> list[str]:
    """By what a contract can tell a simulation. latest, seen: what a call sees without and with overrides."""
    missing = [name for name in NEW_NAMES if name in latest and name not in able.block_fields]
    if "number" in missing and abs(quantity(await endpoint.request(str, "eth_blockNumber")) - latest["number"]) > _FEW:
        missing.remove("number")  # contracts see another chain's number, as on Arbitrum
    if not able.fees:
        missing.append(FEES)
    if seen.get(PARENT_HASH) == 0 and "number" in able.block_fields:
        missing.append(PARENT_HASH)
    return missing


async def _learn_parent(endpoint: Endpoint, latest: Seen, able: Abilities) -> None:
    """Read the block before the newest: on some chains all have one randomness, and another would be noticed."""
    earlier = await _see(endpoint, list(latest), block=hex(latest["number"] - 1)) if latest.get("number") else None
    known = earlier or latest
    able.fee_recipient = hexed(known.get("fee recipient", 0).to_bytes(20, "big"))
    if known.get("randomness") == latest.get("randomness"):
        able.block_fields = {name: field for name, field in able.block_fields.items() if name != "randomness"}


async def _takes_fees(endpoint: Endpoint) -> bool:
    """Whether a node without state overrides takes the fee fields: it may say that the sender has no coins."""
    try:
        await endpoint.request(str, "eth_call", {"to": hexed(_PROBE), "data": "0x", **_OFFER}, "latest")
    except RpcError as error:
        if is_overload(error):
            raise
        return unfunded(error)
    return True


async def _see(
    endpoint: Endpoint,
    reads: Sequence[str],
    fields: Mapping[str, Any] = _NONE,
    overrides: Mapping[str, str] = _NONE,
    block: str = "latest",
) -> dict[str, int] | None:
    """What code that a state override puts on a block reads, through the bulk reader; None when the node refuses."""
    request = {"to": hexed(multicall.READER), "data": hexed(multicall.pack([Call(_PROBE, b"")])), **fields}
    state = {**multicall.overrides({}), hexed(_PROBE): {"code": _code(reads)}, **(_PAID if fields else {})}
    try:
        given = [dict(overrides)] if overrides else []
        answer = octets(await endpoint.request(str, "eth_call", request, block, state, *given))
    except RpcError as error:
        if is_overload(error):
            raise
        return None
    if not answer:
        return None
    (result,) = multicall.unpack(answer, 1)
    if not result.ok or len(result.data) != _WORD * len(reads):
        return None
    words = [int.from_bytes(result.data[at : at + _WORD], "big") for at in range(0, len(result.data), _WORD)]
    return dict(zip(reads, words, strict=True))


def _code(reads: Sequence[str]) -> str:
    """Code that returns a word for each."""
    stores = [f"{_READS[name]}60{_WORD * index:02x}52" for index, name in enumerate(reads)]
    return f"0x{''.join(stores)}60{_WORD * len(reads):02x}6000f3"
