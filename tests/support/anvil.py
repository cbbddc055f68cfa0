"""The node that tests run against, and its fixtures. The class is the demo's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keeper.sim.node.anvil import Anvil
from keeper.sim.node.options import MNEMONIC, dev_key, find_anvil, free_port

__all__ = ["MNEMONIC", "Anvil", "anvil", "dev_key", "find_anvil", "free_port", "shared_anvil", "start_anvil"]


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """A node of this test's own that mines a block for each transaction."""
    with Anvil() as node:
        yield node


@pytest.fixture(scope="module")
def shared_anvil() -> Iterator[Anvil]:
    """One node for the tests of a module: they must not mind each other's blocks."""
    with Anvil() as node:
        yield node


@pytest.fixture
def start_anvil() -> Iterator[Callable[..., Anvil]]:
    """Starts nodes with options; all are stopped after the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Anvil:
            return stack.enter_context(Anvil(**options))

        yield start
