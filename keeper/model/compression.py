"""The length of FastLZ-compressed bytes, by which the OP stack charges for a transaction's data since Fjord.

`FlzCompressLen` of op-geth (core/types/rollup_cost.go), `flz_compress_len` of op-revm: level 1, length only.
"""

_HASH_BITS = 0x1FFF
_FARTHEST = 0x1FFF
_LAST = 13  # bytes at the end that start no match
_LONGEST_RUN = 32
_LONGEST_MATCH = 262
_SHORT_MATCH = 6


def fastlz_length(data: bytes) -> int:
    """Bytes that FastLZ compresses `data` to."""
    table = [0] * (_HASH_BITS + 1)
    limit = max(len(data) - _LAST, 0)
    length, anchor, at = 0, 0, 2
    while at < limit:
        at, found = _next_match(data, table, at, limit)
        if found < 0:
            break
        if at > anchor:
            length += _literals(at - anchor)
        same = _common(data, found + 3, at + 3, limit + 9)
        length += _match(same)
        at += same
        for _ in range(2):
            table[_hash(_three(data, at))] = at
            at += 1
        anchor = at
    return length + _literals(len(data) - anchor)


def _next_match(data: bytes, table: list[int], at: int, limit: int) -> tuple[int, int]:
    """Where the next repetition starts, and where its first occurrence does; -1 for none before `limit`."""
    while True:
        word = _three(data, at)
        slot = _hash(word)
        earlier, table[slot] = table[slot], at
        if at >= limit:
            return at, -1
        if at - earlier <= _FARTHEST and word == _three(data, earlier):
            return at, earlier
        at += 1


def _three(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16


def _hash(word: int) -> int:
    return (2_654_435_769 * word & 0xFFFF_FFFF) >> 19 & _HASH_BITS


def _common(data: bytes, left: int, right: int, end: int) -> int:
    """How many bytes are alike from two places on, the one that ends the comparison included."""
    count = 0
    while right + count < end:
        count += 1
        if data[left + count - 1] != data[right + count - 1]:
            break
    return count


def _literals(count: int) -> int:
    whole, rest = divmod(count, _LONGEST_RUN)
    return whole * (_LONGEST_RUN + 1) + (rest + 1 if rest else 0)


def _match(length: int) -> int:
    whole, rest = divmod(length - 1, _LONGEST_MATCH)
    return whole * 3 + (3 if rest >= _SHORT_MATCH else 2)
