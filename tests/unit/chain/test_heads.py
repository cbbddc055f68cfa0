"""What silence is suspicious, and which head a reader gets."""

from dataclasses import replace

from keeper.chain.heads import Pace, Slot
from keeper.model.chain import BlockRef


def block(number: int, timestamp: int = 0, fork: int = 0) -> BlockRef:
    return BlockRef(number, bytes([fork]) * 28 + number.to_bytes(4, "big"), bytes(32), timestamp)


def test_silence_is_suspicious_after_two_block_times() -> None:
    pace = Pace(1.0)
    assert pace.silence_s == 2.0
    for number in range(5):
        pace.note(block(number, 12 * number))
    assert (pace.block_time_s, pace.silence_s, pace.stalled_s) == (12, 24, 60)


def test_skipped_blocks_do_not_slow_the_pace() -> None:
    pace = Pace(1.0)
    pace.note(block(0, 0))
    pace.note(block(10, 120))
    assert pace.block_time_s == 12


def test_a_reorg_starts_the_pace_anew() -> None:
    pace = Pace(1.0)
    for number in (5, 6, 6):
        pace.note(block(number, number * 12))
    assert pace.block_time_s == 1.0


async def test_a_reader_gets_the_latest_head_and_each_once() -> None:
    slot = Slot()
    assert slot.offer(block(1))
    assert slot.offer(block(2))
    assert not slot.offer(block(2))
    assert await slot.take() == block(2)
    assert not slot.offer(block(1))
    assert slot.offer(replace(block(2), hash=b"\x09" * 32))
    assert (await slot.take()) != block(2)
