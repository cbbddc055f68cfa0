"""The parameters of a Perpetual Protocol v2 market: feeds, collaterals, markets, parameters, and pools to sell in.

Ratios are in millionths, as the contracts have them; dollars are whole dollars unless marked otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keeper.sim.markets.exits import ExitSpec

MILLION = 10**6


@dataclass(frozen=True, slots=True)
class CurieCollateralSpec:
    """A collateral beside the settlement token. `feed` names a feed of the listing, `cap` is in whole tokens."""

    symbol: str
    decimals: int
    feed: str
    weight: int = 700_000  # the contract's collateralRatio
    discount: int = 100_000
    cap: int = 1_000_000


@dataclass(frozen=True, slots=True)
class CurieMarketSpec:
    """A market, and its initial liquidity: `dollars` of each side, within each price factor."""

    symbol: str
    feed: str
    pool_fee: int = 3_000
    fee: int = 1_000
    insurance_fee: int = 100_000  # of the fee
    most_ticks: int = 1_000  # the contract's maxTickCrossedWithinBlock
    cardinality: int = 300
    dollars: int = 10_000_000
    ranges: tuple[float, ...] = (1.5, 6.0)


@dataclass(frozen=True, slots=True)
class OwnerParameters:
    """The owner's parameters: of CollateralManager down to `dust`, then of ClearingHouseConfig and the feeds."""

    most_collaterals: int = 5
    debt_ratio: int = 750_000  # debtNonSettlementTokenValueRatio
    liquidation_ratio: int = 500_000
    buffer: int = 2_000  # mmRatioBuffer
    insurance_fee: int = 30_000  # clInsuranceFundFeeRatio
    debt_threshold: int = 10_000
    dust: int = 500
    penalty: int = 25_000
    most_funding: int = 100_000  # maxFundingRate
    twap_s: int = 900
    mark_twap_s: int = 1_800
    premium_s: int = 900
    feed_timeout_s: int = 86_400


@dataclass(frozen=True, slots=True)
class CurieListing:
    """What to deploy. `feeds`: label -> (decimals, dollars)."""

    feeds: Mapping[str, tuple[int, float]]
    collaterals: tuple[CurieCollateralSpec, ...]
    markets: tuple[CurieMarketSpec, ...]
    exits: tuple[ExitSpec, ...]
    parameters: OwnerParameters = OwnerParameters()
    insurance_fund: int = 1_000_000
    settlement: str = "USDC"
    settlement_decimals: int = 6

    def scaled(self, factor: float) -> "CurieListing":
        """The same market for more accounts: liquidity and the insurance fund grow, ratios do not."""

        def more(spec: Any) -> Any:
            return replace(spec, dollars=int(spec.dollars * factor))

        return replace(
            self,
            markets=tuple(more(spec) for spec in self.markets),
            exits=tuple(more(spec) for spec in self.exits),
            insurance_fund=int(self.insurance_fund * factor),
        )


DEMO = CurieListing(
    feeds={"BTC": (8, 60_000), "ETH": (8, 3_000)},
    collaterals=(
        CurieCollateralSpec("WETH", 18, "ETH"),
        CurieCollateralSpec("WBTC", 8, "BTC", weight=750_000, discount=80_000),
    ),
    markets=(CurieMarketSpec("vBTC", "BTC", dollars=50_000_000), CurieMarketSpec("vETH", "ETH", dollars=50_000_000)),
    exits=(ExitSpec("WETH", "USDC", 500, 5_000_000), ExitSpec("WBTC", "USDC", 3_000, 5_000_000)),
)
