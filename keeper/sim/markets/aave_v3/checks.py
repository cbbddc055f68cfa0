"""Totals of the liquidations in a market of Aave v3."""

from keeper.abi import load_abi
from keeper.model.chain import hexed
from keeper.sim.markets.aave_v3.actions import DeployedAave
from keeper.sim.node.artifacts import log_of

_CALL = load_abi("IAavePool").events["LiquidationCall"].topic


def covered_dollars(deployed: DeployedAave) -> float:
    """Dollars that all liquidations on the chain repaid, at the first prices."""
    wanted = {"address": hexed(deployed.pool), "topics": [hexed(_CALL)], "fromBlock": "0x0"}
    symbols = {item.token: symbol for symbol, item in deployed.reserves.items()}
    total = 0.0
    for log in map(log_of, deployed.node.rpc("eth_getLogs", wanted)):
        spec = deployed.listing.reserve(symbols[log.topics[2][12:]])
        total += int.from_bytes(log.data[:32], "big") / 10**spec.decimals * spec.dollars
    return total
