"""Storage slots of proxies' implementations and of the elements of Solidity's mappings and arrays."""

from eth_utils.crypto import keccak

from keeper.model.chain import Call, CallResult, storage_read

_WORD = 32


def eip1967_slot(label: str) -> int:
    """EIP-1967: the hash of a label, less one."""
    return int.from_bytes(keccak(text=label), "big") - 1


IMPLEMENTATION_SLOT = eip1967_slot("eip1967.proxy.implementation")
ADMIN_SLOT = eip1967_slot("eip1967.proxy.admin")
BEACON_SLOT = eip1967_slot("eip1967.proxy.beacon")


def implementation(proxy: bytes) -> Call:
    """The read of a proxy's implementation; `stored_address` decodes it."""
    return storage_read(proxy, [IMPLEMENTATION_SLOT])


def stored_address(result: CallResult) -> bytes:
    """The address in a one-word answer, empty when there is none: the contract is no such proxy."""
    if not result.ok or len(result.data) != _WORD or not any(result.data):
        return b""
    return result.data[12:]


def mapping_slot(slot: int, *keys: int | bytes) -> int:
    """Where `mapping[key]...` lies whose declaration is at `slot`.

    A key is a number (negative ones as int256) or raw bytes: an address or a bytes32, in other words a value type.
    """
    for key in keys:
        slot = int.from_bytes(keccak(_word(key) + _word(slot)), "big")
    return slot


def array_slot(slot: int, index: int = 0, size: int = 1) -> int:
    """Where element `index` of a dynamic array at `slot` begins, each of `size` whole slots."""
    return (int.from_bytes(keccak(_word(slot)), "big") + index * size) % 2**256


def words(result: CallResult) -> list[int]:
    """The slots' values in the answer to a storage read, unsigned; empty when it failed."""
    if not result.ok:
        return []
    return [int.from_bytes(result.data[at : at + _WORD], "big") for at in range(0, len(result.data), _WORD)]


def bits(word: int, offset: int, width: int) -> int:
    """An unsigned field of a packed word, `offset` bits from its lowest."""
    return word >> offset & (1 << width) - 1


def signed_bits(word: int, offset: int, width: int) -> int:
    """A field of a packed word in two's complement."""
    value = bits(word, offset, width)
    return value - (1 << width) if value >> width - 1 else value


def _word(key: int | bytes) -> bytes:
    if isinstance(key, bytes):
        if len(key) > _WORD:
            raise ValueError("a key of a mapping is at most 32 bytes")
        return key.rjust(_WORD, b"\0")
    return (key % 2**256).to_bytes(_WORD, "big")
