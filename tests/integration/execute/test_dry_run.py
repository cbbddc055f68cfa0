"""The dry run."""

from keeper.execute.dry_run import DryRun


async def test_a_dry_run_says_what_it_would_do_and_nothing_leaves(world):
    dry = DryRun(world.chain.reader, world.protocol, world.policy, world.events.append)
    plan = await world.plan(0)
    # nobody has no allowance, so the call that anyone could make is a mint
    plan = type(plan)(**{f: getattr(plan, f) for f in plan.__slots__} | {"call": type(plan.call)(
        world.token, world.abi.functions["mint"].encode(world.keeper, 1))})  # fmt: skip
    snapshot = await world.snapshot()
    assert await dry.submit([plan], snapshot, snapshot.block.timestamp + 1) == []
    assert world.event("plan.made").fields["live"] is False
    assert dry.address is None
    assert world.chain.requests["eth_sendRawTransaction"] == 0
    assert not (world.data_dir / "keeper.db").exists()
