"""The planner's question: one account at one time, and the limits that other plans leave."""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.defi.uniswap_v3 import Pool, PoolState
from keeper.protocols.aave_v3.health import AaveMarket
from keeper.protocols.aave_v3.state import AaveHoldings


@dataclass(frozen=True, slots=True)
class AaveQuery:
    """One account at one time. `pools`: where collateral can be sold; `states`: as the keeper's own earlier
    liquidations leave them. `limits`: as in `Protocol.opportunities`."""

    market: AaveMarket
    pools: tuple[Pool, ...]
    states: Mapping[bytes, PoolState]
    address: bytes
    holdings: AaveHoldings
    target_wad: int
    limits: Mapping[str, int]
    flash_loans: bool
