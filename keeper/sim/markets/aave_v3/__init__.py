"""Real Aave v3 on a development node: 3.0.2 from its package's bytecode, 3.6 compiled from its package's sources.

    node = Node.at(anvil.url)                       # keeper.sim.node.client; anvil started with mining=False
    deployed = deploy(node, "3.0.2")                # or "3.6"; an AaveListing of your own as the third argument
    impersonate(node, [alice])
    node.send(*deployed.fund("WETH", [alice], 10**18))   # tokens, and their approval
    node.send(deployed.supply(alice, "WETH", 10**18), deployed.borrow(alice, "USDC", 2_000 * 10**6))
    node.send(deployed.set_price("WETH", 2_100.0), *deployed.move_pools({...}))
    node.send(*deployed.fund("USDC", [bob], 10**10), deployed.liquidate(bob, alice, "WETH", "USDC"))
    deployed.user_data(alice)                            # the six outputs of getUserAccountData
    deployed.write_deployment(path, executor=b"")

Every operation of `DeployedAave` returns a `Tx` (or a list): send them together, in one block or one at a time
(`node.send` raises when one reverts, `node.try_send` gives receipts; `anvil.set_next_timestamp` warps).
`deployed.reserves[symbol]` has the addresses of token, aToken, debt tokens and feed,
`deployed.exits.pools[(symbol, symbol, fee)]` the Uniswap v3 pools, and `deployed.exits.uniswap.factory` their factory.
"""

from keeper.sim.markets.aave_v3.actions import STABLE, UINT256_MAX, USER_DATA, VARIABLE, DeployedAave, ReserveContracts
from keeper.sim.markets.aave_v3.contracts import V3_0_2, V3_6, VERSIONS
from keeper.sim.markets.aave_v3.deploy import deploy
from keeper.sim.markets.aave_v3.listing import DEMO, ETH_MODE, USD_MODE, AaveListing, EModeSpec, Rates, ReserveSpec

__all__ = [
    "DEMO",
    "ETH_MODE",
    "STABLE",
    "UINT256_MAX",
    "USD_MODE",
    "USER_DATA",
    "V3_0_2",
    "V3_6",
    "VARIABLE",
    "VERSIONS",
    "AaveListing",
    "DeployedAave",
    "EModeSpec",
    "Rates",
    "ReserveContracts",
    "ReserveSpec",
    "deploy",
]  # fmt: skip
