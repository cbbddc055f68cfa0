"""The bloom of a header never denies a log that is there."""

from eth_utils.crypto import keccak
from hypothesis import given, strategies as st

from keeper.chain.bloom import may_contain
from keeper.model.chain import LogFilter

ADDRESSES = st.binary(min_size=20, max_size=20)
TOPICS = st.binary(min_size=32, max_size=32)


def bloom_of(*values: bytes) -> bytes:
    """As the yellow paper has it, bit by bit."""
    bloom = bytearray(256)
    for value in values:
        digest = keccak(value)
        for start in (0, 2, 4):
            bit = (digest[start] << 8 | digest[start + 1]) & 2047
            bloom[255 - bit // 8] |= 1 << bit % 8
    return bytes(bloom)


@given(ADDRESSES, TOPICS, st.lists(ADDRESSES, max_size=3), st.lists(TOPICS, max_size=3))
def test_a_log_that_is_there_is_never_denied(
    address: bytes, topic: bytes, addresses: list[bytes], topics: list[bytes]
) -> None:
    bloom = bloom_of(address, topic)
    assert may_contain(bloom, LogFilter((*addresses, address), (*topics, topic)))
    assert may_contain(bloom, LogFilter((*addresses, address)))
    assert may_contain(bloom, LogFilter((), (*topics, topic)))


def test_what_is_not_there_is_denied() -> None:
    address, topic = b"\x01" * 20, b"\x02" * 32
    bloom = bloom_of(address, topic)
    assert not may_contain(bloom, LogFilter((b"\x03" * 20,), (topic,)))
    assert not may_contain(bloom, LogFilter((address,), (b"\x04" * 32,)))


def test_no_bloom_claims_nothing() -> None:
    assert not may_contain(b"", LogFilter(()))
    assert not may_contain(bytes(256), LogFilter(()))
