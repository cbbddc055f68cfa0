"""The accounts of a seeded market: every kind that the rules distinguish, all with debt that is at risk in a fall."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from eth_utils.crypto import keccak

from keeper.errors import InvariantBroken
from keeper.model.chain import hexed
from keeper.sim.markets.aave_v3.actions import STABLE, VARIABLE, DeployedAave
from keeper.sim.markets.aave_v3.contracts import V3_0_2
from keeper.sim.markets.aave_v3.listing import DEMO, ETH_MODE, USD_MODE, AaveListing
from keeper.sim.node.client import Tx, impersonate

WHALE_SHARE = 0.08
LEAST_DOLLARS, MOST_DOLLARS = 1_000, 3_000_000
MOST_OF_LTV = 0.995  # of what an account may borrow at most
STABLE_SHARE = 0.2  # of debts in an asset that lends at stable rates, in 3.0.2
_CHUNK = 50


@dataclass(frozen=True, slots=True)
class AccountKind:
    """A kind of account. `room`: least and greatest fall of collateral against debt until it is unsafe, a share."""

    share: float
    collaterals: tuple[str, ...]
    debts: tuple[str, ...]
    emode: int = 0
    room: tuple[float, float] = (0.04, 0.5)
    most: tuple[int, int] = (1, 1)  # collaterals, debts


KINDS = (
    AccountKind(0.46, ("WETH", "WBTC", "wstETH"), ("USDC", "DAI"), most=(3, 2)),
    AccountKind(0.06, ("WBTC",), ("WETH",), room=(0.03, 0.12)),
    AccountKind(0.10, ("USDC", "DAI"), ("WETH", "WBTC"), most=(2, 2)),
    AccountKind(0.14, ("wstETH",), ("WETH",), ETH_MODE, room=(0.026, 0.08)),
    AccountKind(0.06, ("DAI",), ("USDC",), USD_MODE, room=(0.026, 0.08)),
    AccountKind(0.10, ("LINK",), ("USDC", "DAI"), most=(1, 2)),
    AccountKind(0.08, ("WETH", "WBTC"), ("sUSD",), most=(2, 1)),
)


@dataclass(frozen=True, slots=True)
class AaveOpening:
    """What one account starts with: token units by symbol. `borrows`: (symbol, units, rate mode)."""

    account: bytes
    supplies: tuple[tuple[str, int], ...]
    borrows: tuple[tuple[str, int, int], ...]
    emode: int = 0


def build_openings(seed: int, accounts: int, version: str, listing: AaveListing = DEMO) -> tuple[AaveOpening, ...]:
    """The same for the same arguments, on every machine."""
    chance = Random(f"aave accounts {seed}")  # noqa: S311
    return tuple(_opening(chance, seed, index, version, listing) for index in range(accounts))


def _opening(chance: Random, seed: int, index: int, version: str, listing: AaveListing) -> AaveOpening:
    [kind] = chance.choices(KINDS, [kind.share for kind in KINDS])
    collaterals = chance.sample(kind.collaterals, chance.randint(1, kind.most[0]))
    debts = chance.sample(kind.debts, chance.randint(1, kind.most[1]))
    wealth = _wealth(chance)
    supplied = [
        (symbol, wealth * share) for symbol, share in zip(collaterals, _shares(chance, collaterals), strict=True)
    ]
    lent, safe = _limits(supplied, listing, kind.emode)
    total = min(safe * (1 - chance.uniform(*kind.room)), lent * MOST_OF_LTV)
    borrows = []
    for symbol, share in zip(debts, _shares(chance, debts), strict=True):
        stable = version == V3_0_2 and listing.reserve(symbol).stable and chance.random() < STABLE_SHARE
        borrows.append((symbol, _units(listing, symbol, total * share), STABLE if stable else VARIABLE))
    account = keccak(text=f"aave account {seed} {index}")[-20:]
    supplies = tuple((symbol, _units(listing, symbol, dollars)) for symbol, dollars in supplied)
    return AaveOpening(account, supplies, tuple(borrows), kind.emode)


def _wealth(chance: Random) -> float:
    """Dollars of collateral."""
    whale = chance.random() < WHALE_SHARE
    drawn = chance.lognormvariate(math.log(400_000), 0.6) if whale else chance.lognormvariate(math.log(12_000), 1.0)
    return min(max(drawn, LEAST_DOLLARS), MOST_DOLLARS)


def _limits(supplied: Sequence[tuple[str, float]], listing: AaveListing, emode: int) -> tuple[float, float]:
    """(dollars that can be borrowed, dollars of debt above which the account is unsafe)."""
    modes = {mode.number: mode for mode in listing.emodes}
    rules = [(modes.get(emode) or listing.reserve(symbol), dollars) for symbol, dollars in supplied]
    return (
        sum(dollars * rule.ltv / 10_000 for rule, dollars in rules),
        sum(dollars * rule.threshold / 10_000 for rule, dollars in rules),
    )


def _units(listing: AaveListing, symbol: str, dollars: float) -> int:
    spec = listing.reserve(symbol)
    return int(dollars / spec.dollars * 10**spec.decimals)


def _shares(chance: Random, parts: Sequence[str]) -> list[float]:
    """Random positive shares that add up to one."""
    raw = [chance.uniform(0.3, 1.0) for _ in parts]
    return [part / sum(raw) for part in raw]


# On the chain.


def open_accounts(deployed: DeployedAave, openings: Sequence[AaveOpening]) -> None:
    """The owner supplies for all of them; each borrows for itself. Raises InvariantBroken when one is refused."""
    for start in range(0, len(openings), _CHUNK):
        _open(deployed, openings[start : start + _CHUNK])


def _open(deployed: DeployedAave, openings: Sequence[AaveOpening]) -> None:
    totals: dict[str, int] = {}
    for opening in openings:
        for symbol, units in opening.supplies:
            totals[symbol] = totals.get(symbol, 0) + units
    deployed.node.send(
        *(deployed.mint(symbol, deployed.owner, units) for symbol, units in totals.items()),
        *(
            deployed.supply(deployed.owner, symbol, units, opening.account)
            for opening in openings
            for symbol, units in opening.supplies
        ),
    )
    impersonate(deployed.node, [opening.account for opening in openings])
    wanted = [(opening.account, tx) for opening in openings for tx in _choices(deployed, opening)]
    receipts = deployed.node.try_send([tx for _, tx in wanted])
    for (account, tx), receipt in zip(wanted, receipts, strict=True):
        if int(receipt["status"], 16) != 1:
            raise InvariantBroken(f"the pool refused 0x{tx.data[:4].hex()} of {hexed(account)} at opening")


def _choices(deployed: DeployedAave, opening: AaveOpening) -> list[Tx]:
    """The account's own transactions: an isolated asset has to be enabled as collateral."""
    txs = [
        deployed.use_as_collateral(opening.account, symbol)
        for symbol, _ in opening.supplies
        if deployed.listing.reserve(symbol).debt_ceiling
    ]
    txs += [deployed.set_emode(opening.account, opening.emode)] if opening.emode else []
    return txs + [deployed.borrow(opening.account, symbol, units, mode) for symbol, units, mode in opening.borrows]
