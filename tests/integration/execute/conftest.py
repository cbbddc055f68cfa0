"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.anvil import Anvil
from tests.support.world import World


@pytest.fixture
async def world(anvil: Anvil, tmp_path: Path) -> AsyncIterator[World]:
    built = await World(anvil, tmp_path).connect()
    yield built
    await built.close()
