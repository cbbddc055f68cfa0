"""F26: heads that are skipped, told twice, or late. Gaps are filled by parent hash, each block is applied just once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.node_rules import dup_heads, late_heads, skip_heads
from tests.support.proxy import Action
from tests.support.storm import Storm, storm

FAULTS: dict[str, tuple[Callable[[], Action], range | None]] = {
    "skipped": (skip_heads, range(3, 6)),
    "told twice": (lambda: dup_heads(3), None),
    "late": (lambda: late_heads(0.1), None),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_block_is_applied_exactly_once(tmp_path: Path, fault: str) -> None:
    rule, nth = FAULTS[fault]
    async with storm(tmp_path, pushed=True, poll_interval_s=0.3) as weather:
        weather.proxy.when("eth_subscription", nth=nth).do(rule())
        before = len(weather.proxy.seen)
        first = weather.anvil.block_number() + 1
        for _ in range(8):
            await weather.step()
        await weather.play(1)
        assert applied(weather, before) == dict.fromkeys(range(first, weather.anvil.block_number() + 1), 1)
        await weather.settle()


def applied(weather: Storm, since: int) -> Counter[int]:
    """How often the logs of each block were asked for, by its hash."""
    blocks = {weather.anvil.block(number)["hash"]: number for number in range(1, weather.anvil.block_number() + 1)}
    calls = [call for call in weather.proxy.seen[since:] if call.method == "eth_getLogs"]
    return Counter(blocks[call.params[0]["blockHash"]] for call in calls)
