"""Real Perpetual Protocol v2 ("Curie", 2.8.4, unmodified) on a development node.

    node = Node.at(anvil.url)                        # keeper.sim.node.client; anvil started with mining=False
    bed = deploy(node)                               # or a Listing of your own: markets, collaterals, every parameter
    bed.admit(alice, bob)                            # impersonated, with ether
    node.send(*bed.fund(alice, "USDC", 1_000 * 10**6), *bed.fund(alice, "WETH", 10**18))  # into the vault
    node.send(bed.trade(alice, "vETH", 7 * 10**18))  # signed size; `spend` takes quote, `close` closes
    node.send(bed.add_liquidity(bob, "vETH", 10**18, 3_000 * 10**18, *bed.ticks("vETH", 2_700, 3_300)))
    node.send(bed.set_oracle("ETH", 2_700.0), *bed.move_pool("vETH", 2_700.0))  # read `move_pool` for the limits
    bed.warp(12)
    node.send(bed.liquidate(carol, alice, "vETH"), bed.close(carol, "vETH"))
    node.send(bed.liquidate_collateral(carol, alice, "WETH", 100 * 10**6))      # carol: `mint` and `approve` first
    bed.write_deployment(path, executor=b"")

Every operation of `Deployed` returns a `Tx` (or a list of them): `node.send` raises when one reverts, `node.try_send`
gives receipts, all in one block where they fit; `anvil.set_next_timestamp` or `bed.warp` moves time. `bed.contracts`
has the protocol's addresses by name ("ClearingHouse", "Vault", "AccountBalance", "Exchange", "OrderBook",
"MarketRegistry", "ClearingHouseConfig", "CollateralManager", "InsuranceFund", "QuoteToken"), `bed.tokens` by symbol,
`bed.feeds` by label (aggregator, ChainlinkPriceFeedV3, dispatcher; collaterals and markets share them), `bed.places`
by market (base token, pool), `bed.exits` the Uniswap v3 pools between real tokens, of the same factory as the
markets' own. Mark prices follow a pool and an oracle that move together within about 15 s."""

from keeper.sim.markets.curie.actions import HOUSE, MOVER, UINT256_MAX, Deployed, Feed, Place, balance
from keeper.sim.markets.curie.deploy import deploy
from keeper.sim.markets.curie.listing import DEMO, CollateralSpec, Listing, MarketSpec, Parameters

__all__ = [
    "DEMO",
    "HOUSE",
    "MOVER",
    "UINT256_MAX",
    "CollateralSpec",
    "Deployed",
    "Feed",
    "Listing",
    "MarketSpec",
    "Parameters",
    "Place",
    "balance",
    "deploy",
]
