"""`Anvil` where the tests of plug-ins import it from; it is `keeper.sim.node.anvil`'s."""

from keeper.sim.node.anvil import Anvil

__all__ = ["Anvil"]
