"""What happens to a real Aave v3 in the parity run: what users, owners and prices do, by name and three numbers."""

from dataclasses import replace
from random import Random
from typing import Any

from keeper.errors import Refused
from keeper.protocols.aave_v3.state import DEBTS, SUPPLIES
from keeper.protocols.base import Snapshot
from keeper.sim.markets.aave_v3 import STABLE, V3_0_2, V3_6, VARIABLE
from keeper.sim.node.client import Tx
from tests.support.aave import KEEPER, AaveBench
from tests.support.engine import account

ACCOUNTS = 8
GAS = 6_000_000

KINDS = {
    "supply": 2,
    "withdraw": 2,
    "borrow": 5,
    "repay": 2,
    "emode": 1,
    "flag": 1,
    "transfer": 1,
    "rate": 1,
    "price": 4,
    "crash": 16,
    "depeg": 4,
    "pools": 1,
    "rules": 2,
    "guard": 2,
}  # how often each is drawn
Action = tuple[str, int, int, int]


def furnish(bench: AaveBench) -> None:
    """Accounts of every kind near their limits: eModes, isolation, siloed debt, several collaterals, stable rates."""
    deployed = bench.deployed
    for spec in deployed.listing.reserves:
        units = int(5_000_000 / spec.dollars) * 10**spec.decimals
        bench.node.send(*deployed.fund(spec.symbol, [KEEPER], units))
    who = [account(index) for index in range(ACCOUNTS)]
    mode = STABLE if deployed.version == V3_0_2 else VARIABLE
    bench.node.try_send(
        [
            deployed.supply(who[0], "WETH", 10 * 10**18),
            deployed.borrow(who[0], "USDC", 23_900 * 10**6),
            deployed.supply(who[1], "wstETH", 10 * 10**18),
            deployed.set_emode(who[1], 1),
            deployed.borrow(who[1], "WETH", 11 * 10**18),
            deployed.supply(who[2], "USDC", 50_000 * 10**6),
            deployed.set_emode(who[2], 2),
            deployed.supply(who[2], "WETH", 5 * 10**18),
            deployed.borrow(who[2], "DAI", 57_500 * 10**18),
            deployed.supply(who[3], "LINK", 1_000 * 10**18),
            deployed.use_as_collateral(who[3], "LINK"),
            deployed.borrow(who[3], "USDC", 9_800 * 10**6),
            deployed.supply(who[4], "WBTC", 10**8),
            deployed.supply(who[4], "WETH", 10**18),
            deployed.borrow(who[4], "USDC", 20_000 * 10**6, mode),
            deployed.borrow(who[4], "USDC", 12_000 * 10**6),
            deployed.borrow(who[4], "DAI", 13_000 * 10**18),
            deployed.supply(who[5], "WETH", 10**18),
            deployed.borrow(who[5], "sUSD", 2_390 * 10**18),
            deployed.supply(who[6], "USDC", 3_000 * 10**6),
            deployed.supply(who[6], "WETH", 10**17),
            deployed.borrow(who[6], "USDC", 1_500 * 10**6),
            deployed.borrow(who[6], "WETH", 3 * 10**17),
            deployed.supply(who[7], "USDC", 100_000 * 10**6),
            deployed.supply(who[7], "WETH", 10 * 10**18),
            deployed.supply(who[7], "WBTC", 10**8),
            deployed.borrow(who[7], "USDC", 10_000 * 10**6, mode),
        ]
    )


class Steps:
    """Makes the transactions of one action after another."""

    sentinel = b""

    def __init__(self, bench: AaveBench) -> None:
        self.bench = bench

    @staticmethod
    def action(chance: Random) -> Action:
        [kind] = chance.choices(list(KINDS), list(KINDS.values()))
        return kind, chance.randrange(2**16), chance.randrange(2**16), chance.randrange(2**40)

    # ---- comparing

    def txs(self, snapshot: Snapshot, kind: str, a: int, b: int, c: int) -> list[Tx]:
        made: Tx | list[Tx] | None = getattr(self, f"tx_{kind}")(snapshot, a, b, c)
        return [replace(tx, gas=GAS) for tx in (made if isinstance(made, list) else [made] if made else [])]

    def symbol(self, b: int) -> str:
        reserves = self.bench.deployed.listing.reserves
        return reserves[b % len(reserves)].symbol

    def held(self, snapshot: Snapshot, who: bytes, table: str, b: int) -> str:
        """Mostly a symbol of what an account has or owes."""
        row = snapshot.columns.accounts.row(who)
        found = [index for index, _ in snapshot.columns[table].holdings(row)] if row is not None else []
        return self.pick(snapshot.state.reserves, found, b).symbol

    @staticmethod
    def saver(a: int) -> bytes:
        """Often the one who can afford it."""
        return account(7 if a % 3 else a % ACCOUNTS)

    def worth(self, snapshot: Snapshot, symbol: str, dollars: float) -> int:
        """Units of an asset for dollars."""
        spec = self.bench.deployed.listing.reserve(symbol)
        price = snapshot.readings.prices.get(self.bench.deployed.reserves[symbol].token) or 10**8
        return int(dollars * 1e8 / price * 10**spec.decimals) + 1

    def tx_supply(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.symbol(b)
        return self.bench.deployed.supply(
            account(a % ACCOUNTS), symbol, self.worth(snapshot, symbol, 20_000 * c / 2**40)
        )

    def tx_withdraw(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, self.saver(a), SUPPLIES, b)
        units = {"units": self.worth(snapshot, symbol, 20_000 * c / 2**40)} if c % 3 else {}
        return self.bench.deployed.withdraw(self.saver(a), symbol, **units)

    def tx_borrow(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """Often as much as there is room for."""
        who = account(a % ACCOUNTS)
        symbol = self.symbol(b)
        row = snapshot.columns.accounts.row(who)
        try:
            room = self.bench.protocol.health(snapshot, row, snapshot.block.timestamp).views if row is not None else {}
        except Refused:
            room = {}
        dollars = room.get("availableBorrowsBase", 0) / 1e8 * (0.99 if c % 3 else c / 2**40)
        mode = STABLE if self.bench.deployed.version == V3_0_2 and symbol == "USDC" and c % 2 else VARIABLE
        return self.bench.deployed.borrow(who, symbol, self.worth(snapshot, symbol, dollars), mode)

    def tx_repay(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, account(a % ACCOUNTS), DEBTS, b)
        units = {"units": self.worth(snapshot, symbol, 10_000 * c / 2**40)} if c % 3 else {}
        mode = STABLE if self.bench.deployed.version == V3_0_2 and symbol == "USDC" and c % 2 else VARIABLE
        return self.bench.deployed.repay(account(a % ACCOUNTS), symbol, mode=mode, **units)

    def tx_emode(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        return self.bench.deployed.set_emode(account(a % ACCOUNTS), b % 3)

    def tx_flag(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        return self.bench.deployed.use_as_collateral(
            self.saver(a), self.held(snapshot, self.saver(a), SUPPLIES, b), bool(c % 2)
        )

    def tx_transfer(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, self.saver(a), SUPPLIES, b)
        units = self.worth(snapshot, symbol, 5_000 * c / 2**40)
        return self.bench.deployed.transfer(self.saver(a), symbol, account((a // 8) % ACCOUNTS), units)

    def tx_rate(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | None:
        if self.bench.deployed.version == V3_6:
            return self.bench.deployed.mint_to_treasury(self.symbol(b))
        who = account((4, 7, a % ACCOUNTS)[b % 3])
        return self.bench.deployed.swap_rate_mode(who, "USDC", STABLE if c % 2 else VARIABLE)

    def tx_price(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        spec = self.bench.deployed.listing.reserves[b % 7]
        return self.bench.deployed.set_price(spec.symbol, spec.dollars * (0.93 + 0.14 * c / 2**40))

    def tx_crash(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | list[Tx]:
        """One price, or all coins together."""
        deployed = self.bench.deployed
        if a % 2:
            falling = [spec for spec in deployed.listing.reserves if spec.dollars > 2]
            return [deployed.set_price(spec.symbol, spec.dollars * (0.97 - 0.25 * c / 2**40)) for spec in falling]
        if b % 9 == 8 and deployed.emode_feeds:
            return deployed.set_emode_price(2, (0.0, 0.5 + c / 2**40)[min(c % 6, 1)])
        # What somebody has falls, or what he owes rises.
        falls = c % 5 != 0
        spec = deployed.listing.reserve(self.held(snapshot, account(a % ACCOUNTS), SUPPLIES if falls else DEBTS, b))
        factor = 1.0 - 0.3 * c / 2**40 if falls else 1.0 + 0.3 * c / 2**40
        now = snapshot.readings.prices.get(deployed.reserves[spec.symbol].token, 0) / 1e8 or spec.dollars
        return deployed.set_price(spec.symbol, now * factor if c % 30 else 0.0)

    def tx_depeg(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """What should stand at par does not: trouble for accounts in eModes."""
        deployed, share = self.bench.deployed, c / 2**40
        if b % 3 == 0:
            return deployed.set_price("wstETH", deployed.listing.reserve("wstETH").dollars * (1 - 0.1 * share))
        if b % 3 == 1 and deployed.emode_feeds:
            return deployed.set_emode_price(2, 1 + 0.15 * share)
        return deployed.set_price("DAI", 1 + 0.1 * share)

    def tx_pools(self, snapshot: Snapshot, a: int, b: int, c: int) -> list[Tx]:
        """A few pools follow the oracle."""
        deployed = self.bench.deployed
        prices = {spec.symbol: spec.dollars for spec in deployed.listing.reserves}
        for reserve in snapshot.state.reserves:
            if price := snapshot.readings.prices.get(reserve.asset):
                prices[reserve.symbol] = price / 1e8
        chosen = [pool for place, pool in enumerate(deployed.exits.pools) if place % 5 == a % 5]
        return deployed.move_pools(prices, chosen)

    def tx_rules(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """Parameters of a reserve or an eMode."""
        deployed, share = self.bench.deployed, c / 2**40
        spec = deployed.listing.reserves[a % 6]
        token = deployed.reserves[spec.symbol].token
        old = deployed.version == V3_0_2
        choices = [
            ("setLiquidationProtocolFee(address,uint256)", token, (0, int(10_000 * share))[c % 2]),
            ("configureReserveAsCollateral(address,uint256,uint256,uint256)", token, 0, spec.threshold, spec.bonus),
            (
                "configureReserveAsCollateral(address,uint256,uint256,uint256)",
                token, spec.ltv - 500, spec.threshold - int(300 * share), spec.bonus + int(400 * share),
            ),
            ("setReserveFlashLoaning(address,bool)", token, bool(c % 2)),
            ("setReserveFactor(address,uint256)", token, int(9_000 * share)),
            ("setReserveFreeze(address,bool)", token, bool(c % 2)),
        ]  # fmt: skip
        if old:
            choices += [
                ("setAssetEModeCategory(address,uint8)", token, c % 3),
                ("updateFlashloanPremiumTotal(uint128)", int(50 * share)),
                (
                    "setEModeCategory(uint8,uint16,uint16,uint16,address,string)",
                    1, 9_300, 9_500, 10_100 + int(300 * share), deployed.emode_feeds[2] and bytes(20), "ETH",
                ),
            ]  # fmt: skip
        else:
            mode = 1 + c % 2
            choices += [
                ("setAssetCollateralInEMode(address,uint8,bool)", token, mode, bool(b % 2)),
                ("setAssetLtvzeroInEMode(address,uint8,bool)", token, mode, bool(b % 2)),
                (
                    "setEModeCategory(uint8,uint16,uint16,uint16,string)",
                    mode,
                    9_000,
                    9_400 + int(100 * share),
                    10_100 + int(300 * share),
                    "x",
                ),
                ("updateFlashloanPremium(uint128)", int(50 * share)),
            ]
        return deployed.configure(*choices[b % len(choices)])

    def tx_guard(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | list[Tx]:
        """Pauses, with a grace period in 3.6; the sentinel, mostly up."""
        deployed = self.bench.deployed
        symbol = self.symbol(b)
        if a % 3 == 0:
            bed_sentinel = self.sentinel
            since = snapshot.block.timestamp - c % 5_000
            return deployed.set_sequencer(bed_sentinel, c % 4 == 0, since)
        if deployed.version == V3_6 and a % 3 == 1:
            return [deployed.pause(symbol), deployed.pause(symbol, False, grace=1 + c % 3_000)]
        return deployed.pause(symbol, c % 3 == 0)

    @staticmethod
    def pick(listed: Any, held: list[int], at: int) -> Any:
        """Mostly something that is held."""
        return listed[held[at % len(held)]] if held and at % 8 else listed[at % len(listed)]
