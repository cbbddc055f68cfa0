"""Plug-ins written against an older guide."""

import keeper.demo.anvil
import keeper.sim.node.anvil


def test_tests_of_plug_ins_find_anvil_where_the_guide_named_it() -> None:
    assert keeper.demo.anvil.Anvil is keeper.sim.node.anvil.Anvil
