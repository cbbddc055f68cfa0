"""Real Perpetual Protocol v2 ("Curie", 2.8.4, unmodified) on a development node.

    node = Node.at(anvil.url)                        # keeper.sim.node.client; anvil started with mining=False
    deployed = deploy(node)                          # or a CurieListing of your own
    deployed.admit(alice, bob)                       # impersonated, with ether
    node.send(*deployed.fund(alice, "USDC", 1_000 * 10**6), *deployed.fund(alice, "WETH", 10**18))  # into the vault
    node.send(deployed.trade(alice, "vETH", 7 * 10**18))  # signed size; `spend` takes quote, `close` closes
    node.send(deployed.add_liquidity(bob, "vETH", 10**18, 3_000 * 10**18, deployed.ticks("vETH", 2_700, 3_300)))
    node.send(deployed.set_oracle("ETH", 2_700.0), *deployed.move_pool("vETH", 2_700.0))  # limits: see `move_pool`
    deployed.warp(12)
    node.send(deployed.liquidate(carol, alice, "vETH"), deployed.close(carol, "vETH"))
    node.send(deployed.liquidate_collateral(carol, alice, "WETH", 100 * 10**6))      # carol: `mint` and `approve` first
    deployed.write_deployment(path, executor=b"")

Every operation of `DeployedCurie` returns a `Tx` (or a list of them): `node.send` raises when one reverts,
`node.try_send` gives receipts, all in one block where they fit; `anvil.set_next_timestamp` or `deployed.warp` moves
time. `deployed.contracts` has the protocol's addresses by name ("ClearingHouse", "Vault", "AccountBalance", "Exchange",
"OrderBook", "MarketRegistry", "ClearingHouseConfig", "CollateralManager", "InsuranceFund", "QuoteToken"),
`deployed.tokens` by symbol, `deployed.feeds` by label (aggregator, ChainlinkPriceFeedV3, dispatcher; collaterals and
markets share them), `deployed.markets` by market (base token, pool), `deployed.exits` the Uniswap v3 pools between real
tokens, of the same factory as the markets' own. Mark prices follow a pool and an oracle that move together within about
15 s.
"""

from keeper.sim.markets.curie.actions import (
    ARBITRAGEUR,
    MARKET_MAKER,
    UINT256_MAX,
    DeployedCurie,
    FeedContracts,
    MarketContracts,
    balance,
)
from keeper.sim.markets.curie.deploy import deploy
from keeper.sim.markets.curie.listing import DEMO, CurieCollateralSpec, CurieListing, CurieMarketSpec, OwnerParameters

__all__ = [
    "ARBITRAGEUR",
    "DEMO",
    "MARKET_MAKER",
    "UINT256_MAX",
    "CurieCollateralSpec",
    "CurieListing",
    "CurieMarketSpec",
    "DeployedCurie",
    "FeedContracts",
    "MarketContracts",
    "OwnerParameters",
    "balance",
    "deploy",
]
