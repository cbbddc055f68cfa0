"""The parameters of the demo's market: feeds, collaterals, markets and their brackets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keeper.model.health import WAD

DAY = 86_400


@dataclass(frozen=True, slots=True)
class EngineCollateralSpec:
    """One collateral. `feed` names one of the listing; `cap` in whole tokens, `min_gift` in dollars, others in 1e18."""

    symbol: str
    decimals: int
    feed: str
    weight: int
    discount: int = WAD // 20
    cap: int = 1_000_000
    min_gift: int = 1
    heartbeat_s: int = DAY


@dataclass(frozen=True, slots=True)
class EngineMarketSpec:
    """One market. `tiers`: (floor in dollars, maintenance rate in bps); sizes in 1e18, dollars in whole dollars."""

    symbol: str
    feed: str
    tiers: tuple[tuple[int, int], ...]
    step: int
    skew_scale: int
    max_open_interest: int
    block_cap: int
    penalty: int = WAD // 100
    keeper_share: int = WAD // 2
    initial_factor: int = 3 * WAD // 2
    trading_fee: int = WAD // 2_000
    max_funding_rate: int = WAD // 20
    min_notional: int = 50
    heartbeat_s: int = DAY

    def brackets(self) -> list[tuple[int, int, int]]:
        """(floor, rate, offset) with the offsets that make the maintenance margin continuous."""
        made: list[tuple[int, int, int]] = []
        for floor, rate_bps in self.tiers:
            rate = rate_bps * WAD // 10_000
            offset = made[-1][2] + floor * (rate - made[-1][1]) if made else 0
            made.append((floor * WAD, rate, offset))
        return made


@dataclass(frozen=True, slots=True)
class EngineListing:
    """What to deploy. `feeds`: label -> (decimals, price in whole dollars)."""

    feeds: Mapping[str, tuple[int, int]]
    collaterals: tuple[EngineCollateralSpec, ...]
    markets: tuple[EngineMarketSpec, ...]
    pool: int = 100_000_000
    insurance_fund: int = 1_000_000
    settlement: str = "USDC"
    settlement_decimals: int = 6

    def scaled(self, factor: float) -> "EngineListing":
        """The same market for more accounts: caps for all accounts together grow, rates and steps do not."""

        def more(amount: int) -> int:
            return int(amount * factor)

        return replace(
            self,
            collaterals=tuple(replace(spec, cap=more(spec.cap)) for spec in self.collaterals),
            markets=tuple(
                replace(
                    spec,
                    skew_scale=more(spec.skew_scale),
                    max_open_interest=more(spec.max_open_interest),
                    block_cap=more(spec.block_cap),
                )
                for spec in self.markets
            ),
            pool=more(self.pool),
            insurance_fund=more(self.insurance_fund),
        )


# The lowest maintenance rates are several times what a price moves between two reports of its feed, and the penalty is
# a fraction of them: a partial liquidation leaves an account that outlives the next reports.
DEMO = EngineListing(
    feeds={"BTC": (8, 60_000), "ETH": (8, 3_000), "SOL": (18, 150)},
    collaterals=(
        EngineCollateralSpec("WBTC", 8, "BTC", weight=90 * WAD // 100, cap=20_000),
        EngineCollateralSpec("WETH", 18, "ETH", weight=88 * WAD // 100, cap=400_000),
    ),
    markets=(
        EngineMarketSpec(
            "BTC",
            "BTC",
            ((0, 500), (100_000, 650), (500_000, 850), (2_000_000, 1_250)),
            step=WAD // 1_000,
            skew_scale=20_000 * WAD,
            max_open_interest=10_000 * WAD,
            block_cap=5_000_000,
        ),
        EngineMarketSpec(
            "ETH",
            "ETH",
            ((0, 600), (100_000, 750), (500_000, 1_000), (2_000_000, 1_500)),
            step=WAD // 100,
            skew_scale=400_000 * WAD,
            max_open_interest=200_000 * WAD,
            block_cap=5_000_000,
        ),
        EngineMarketSpec(
            "SOL",
            "SOL",
            ((0, 625), (50_000, 800), (250_000, 1_200), (1_000_000, 2_000)),
            step=WAD // 10,
            skew_scale=4_000_000 * WAD,
            max_open_interest=2_000_000 * WAD,
            block_cap=2_500_000,
        ),
    ),
)
