"""The soak in small: what takes minutes is `make soak`, where memory is judged, too."""

import random
from pathlib import Path

from tests.e2e.soak.run import Soak


async def test_a_short_run_under_light_faults_leaks_no_task_and_no_descriptor(tmp_path: Path) -> None:
    run = Soak(tmp_path, random.Random(7))
    async with run.started():
        for _ in range(150):
            await run.block()
        await run.settle()
        counts = run.counts()
    assert counts["intents"].get("mined", 0) > 5
    assert len(counts["faults"]) > 3
    early, late = run.samples()[1:3], run.samples()[-2:]
    assert max(one["descriptors"] for one in late) <= max(one["descriptors"] for one in early) + 2
    assert max(one["tasks"] for one in late) <= max(one["tasks"] for one in early) + 2
