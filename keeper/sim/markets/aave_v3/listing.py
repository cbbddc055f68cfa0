"""The parameters of an Aave v3 market: reserves with their parameters, eModes, and the pools to sell collateral in."""

from dataclasses import dataclass, replace

from keeper.sim.markets.exits import ExitSpec

ETH_MODE, USD_MODE = 1, 2


@dataclass(frozen=True, slots=True)
class Rates:
    """An interest rate curve, all in basis points (the kink's usage, then yearly rates)."""

    optimal: int = 8_000
    base: int = 0
    slope1: int = 400
    slope2: int = 6_000


@dataclass(frozen=True, slots=True)
class ReserveSpec:
    """One reserve. `dollars`: its first price; shares in basis points; `liquidity`: dollars that can be borrowed.

    debt_ceiling: in cents, 0 is none; an asset that has one is collateral only in isolation. stable: lends at stable
    rates, too (3.0.2 only). emode: its category as collateral and debt, 0 is none.
    """

    symbol: str
    decimals: int
    dollars: float
    ltv: int
    threshold: int
    bonus: int  # 10_500 is 5 % more than the debt
    rates: Rates = Rates()
    factor: int = 1_000
    fee: int = 1_000  # the protocol's part of the bonus
    debt_ceiling: int = 0
    in_isolation: bool = False  # may be borrowed against an isolated asset
    siloed: bool = False
    stable: bool = False
    emode: int = 0
    liquidity: int = 200_000_000


@dataclass(frozen=True, slots=True)
class EModeSpec:
    """One eMode category. `dollars`: the price of all its assets at first, in 3.0.2 only; 0 leaves each its own."""

    number: int
    ltv: int
    threshold: int
    bonus: int
    label: str
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class AaveListing:
    """What to deploy."""

    reserves: tuple[ReserveSpec, ...]
    emodes: tuple[EModeSpec, ...]
    exits: tuple[ExitSpec, ...]
    flash_premium: int = 5  # basis points

    def scaled(self, factor: float) -> "AaveListing":
        """The same market for more accounts: more liquidity in reserves and pools."""
        return replace(
            self,
            reserves=tuple(
                replace(spec, liquidity=int(spec.liquidity * factor), debt_ceiling=int(spec.debt_ceiling * factor))
                for spec in self.reserves
            ),
            exits=tuple(replace(spec, dollars=int(spec.dollars * factor)) for spec in self.exits),
        )

    def reserve(self, symbol: str) -> ReserveSpec:
        """The spec of a reserve."""
        return next(spec for spec in self.reserves if spec.symbol == symbol)


_DEEP, _USUAL, _THIN = 20_000_000, 8_000_000, 2_000_000

# LINK is isolated, sUSD siloed. Every token has pools with WETH and USDC.
DEMO = AaveListing(
    reserves=(
        ReserveSpec("WETH", 18, 3_000.0, 8_000, 8_250, 10_500, Rates(9_000, 0, 270, 8_000), 1_500, emode=ETH_MODE),
        ReserveSpec(
            "USDC", 6, 1.0, 7_500, 7_800, 10_450, Rates(9_000, 0, 550, 6_000), stable=True, in_isolation=True,
            emode=USD_MODE,
        ),
        ReserveSpec("WBTC", 8, 60_000.0, 7_300, 7_800, 10_500, Rates(4_500, 0, 400, 30_000), 5_000),
        ReserveSpec("wstETH", 18, 3_600.0, 7_850, 8_100, 10_600, Rates(4_500, 0, 450, 8_000), 500, emode=ETH_MODE),
        ReserveSpec(
            "DAI", 18, 1.0, 6_300, 7_700, 10_500, Rates(9_000, 0, 550, 7_500), in_isolation=True, emode=USD_MODE
        ),
        ReserveSpec(
            "LINK", 18, 15.0, 6_600, 7_100, 10_700, Rates(4_500, 0, 700, 30_000), 2_000, debt_ceiling=20_000_000_00
        ),
        ReserveSpec("sUSD", 18, 1.0, 0, 0, 0, Rates(8_000, 100, 1_000, 10_000), 2_000, siloed=True),
    ),
    emodes=(
        EModeSpec(ETH_MODE, 9_300, 9_500, 10_100, "ETH correlated"),
        EModeSpec(USD_MODE, 9_300, 9_500, 10_100, "Stablecoins", dollars=1.0),
    ),
    exits=(
        ExitSpec("WETH", "USDC", 500, _DEEP),
        ExitSpec("WETH", "USDC", 3_000, _USUAL),
        ExitSpec("WBTC", "WETH", 3_000, _USUAL),
        ExitSpec("WBTC", "USDC", 3_000, _USUAL),
        ExitSpec("wstETH", "WETH", 100, _USUAL, (1.02, 1.3, 1_000.0)),
        ExitSpec("wstETH", "USDC", 3_000, _THIN),
        ExitSpec("DAI", "USDC", 100, _USUAL, (1.005, 1.05, 1_000.0)),
        ExitSpec("DAI", "WETH", 3_000, _USUAL),
        ExitSpec("LINK", "WETH", 3_000, _THIN),
        ExitSpec("LINK", "USDC", 3_000, _THIN),
        ExitSpec("sUSD", "USDC", 500, _THIN, (1.01, 1.1, 1_000.0)),
        ExitSpec("sUSD", "WETH", 3_000, _THIN),
        ExitSpec("WBTC", "DAI", 3_000, _THIN),
        ExitSpec("wstETH", "DAI", 3_000, _THIN),
        ExitSpec("LINK", "DAI", 3_000, _THIN),
    ),
)  # fmt: skip
