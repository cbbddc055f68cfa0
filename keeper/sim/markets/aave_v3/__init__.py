"""Real Aave v3 on a development node: 3.0.2 from its package's bytecode, 3.6 compiled from its package's sources.

    node = Node.at(anvil.url)                       # keeper.sim.node.client; anvil started with mining=False
    bed = deploy(node, "3.0.2")                     # or "3.6"; a Listing of your own as the third argument
    impersonate(node, [alice])
    node.send(*bed.fund("WETH", [alice], 10**18))   # tokens, and their approval
    node.send(bed.supply(alice, "WETH", 10**18), bed.borrow(alice, "USDC", 2_000 * 10**6))
    node.send(bed.set_price("WETH", 2_100.0), *bed.move_pools({...}))
    node.send(*bed.fund("USDC", [bob], 10**10), bed.liquidate(bob, alice, "WETH", "USDC"))
    bed.user_data(alice)                            # the six outputs of getUserAccountData
    bed.write_deployment(path, executor=None)

Every operation of `Deployed` returns a `Tx` (or a list): send them together, in one block or one at a time (`node.send`
raises when one reverts, `node.try_send` gives receipts; `anvil.set_next_timestamp` warps). `bed.reserves[symbol]` has
the addresses of token, aToken, debt tokens and feed, `bed.exits.pools[(symbol, symbol, fee)]` the Uniswap v3 pools, and
`bed.exits.uniswap.factory` their factory.
"""

from keeper.sim.markets.aave_v3.actions import STABLE, UINT256_MAX, USER_DATA, VARIABLE, Deployed, Reserve
from keeper.sim.markets.aave_v3.contracts import V3_0_2, V3_6, VERSIONS
from keeper.sim.markets.aave_v3.deploy import deploy
from keeper.sim.markets.aave_v3.listing import DEMO, ETH_MODE, USD_MODE, EModeSpec, Listing, Rates, ReserveSpec

__all__ = [
    "DEMO", "ETH_MODE", "STABLE", "UINT256_MAX", "USD_MODE", "USER_DATA", "V3_0_2", "V3_6", "VARIABLE", "VERSIONS",
    "Deployed", "EModeSpec", "Listing", "Rates", "Reserve", "ReserveSpec", "deploy",
]  # fmt: skip
