"""A short run of `make chaos`, so that the program itself stays in order."""

from tests.e2e.chaos.chaos import broken, run

CYCLES = 10


async def test_ten_cycles_of_chaos_end_with_zeros() -> None:
    report = await run(CYCLES, seed=11)
    assert broken(report) == [], report
    assert report["cycles"] == CYCLES
    assert report["kills"] > 0
    assert report["mined"] > 0
