"""The bloom filter of a block header: it proves that a log is absent, never that it is present."""

from functools import lru_cache

from eth_utils.crypto import keccak

from keeper.model.chain import LogFilter

_BITS = 2048


@lru_cache(maxsize=65_536)
def _mask(value: bytes) -> int:
    """The three bits that a value sets: yellow paper, section 4.3.1."""
    digest = keccak(value)
    mask = 0
    for start in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[start : start + 2], "big") % _BITS)
    return mask


def may_contain(bloom: bytes, wanted: LogFilter) -> bool:
    """Whether a block with this bloom may have a log that matches the filter. False without a bloom."""
    bits = int.from_bytes(bloom, "big")
    if not bits:
        return False
    addresses = not wanted.addresses or any(bits & _mask(one) == _mask(one) for one in wanted.addresses)
    return addresses and (not wanted.topics or any(bits & _mask(one) == _mask(one) for one in wanted.topics))
