"""A protocol whose liquidations are scripted: each account offers sizes that shrink with what limits leave."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keeper.errors import Refused
from keeper.model.assessment import Assessment, Unsafe
from keeper.model.chain import BlockRef, Call
from keeper.model.health import WAD, Health
from keeper.model.plan import Funds, InFlight, Opportunity, OwnLiquidation, Policy, token_key
from keeper.protocols.base import PriceReading, Snapshot
from keeper.protocols.columns import Columns

USDC = b"\xcc" * 20
GWEI = 10**9
HEAD = BlockRef(100, b"\1" * 32, b"\0" * 32, 1_000, base_fee=10 * GWEI, gas_used=15_000_000)


@dataclass(frozen=True)
class Script:
    """One possible liquidation at its full size; amounts of rewards and draws shrink in proportion."""

    reward: int = 100 * WAD
    gas: int = 200_000
    uses: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    spends: int = 0  # units of USDC
    saved: int = 0  # bad debt prevented, dollars in 1e18
    smallest: int = 1  # per mille of the full size that is still legal
    subject: str = "ETH"
    slip: int = 5  # percent of the reward
    pool: bytes = b""  # where it sells
    falls: int = 0  # by how much the reward falls with each liquidation of ours that sells there first


class Scripted:
    """`book`: account -> scripts, or the Refused that its adapter raises."""

    def __init__(self, book: Mapping[bytes, Sequence[Script] | Refused]) -> None:
        self.book = book
        self.addresses = sorted(book)
        self.asked = 0
        self.floors: dict[bytes, int] = {}
        self.deadlines: dict[bytes, int] = {}
        self.unencodable: frozenset[bytes] = frozenset()

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        self.asked += 1
        account = self.addresses[row]
        scripts = self.book[account]
        if isinstance(scripts, Refused):
            raise scripts
        sold = snapshot.moved or {}
        found = (_sized(account, script, limits, sold.get(script.pool, 0)) for script in scripts)
        return [opportunity for opportunity in found if opportunity is not None]

    def after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation], timestamp: int) -> Snapshot:
        """`moved`: how many of ours have sold in each pool; they name it as a limit."""
        sold = Counter(snapshot.moved or {})
        sold.update(bytes.fromhex(key[2:]) for one in own for key in one.uses if key.startswith("0x"))
        return replace(snapshot, moved=sold)

    def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, *, deadline: int) -> Call:
        if opportunity.account in self.unencodable:
            raise Refused("hold", "the engine is paused")
        self.floors[opportunity.account] = floor_wad
        self.deadlines[opportunity.account] = deadline
        return Call(b"\xee" * 20, opportunity.account + opportunity.subject.encode())

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        raise Refused("unsupported", "a feed of another kind")

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:
        return [PriceReading("ETH", USDC, WAD, 0), PriceReading("BTC", USDC, WAD, 0, "stale")]

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        return amount * 10**12

    def token_symbols(self, state: object) -> Mapping[bytes, tuple[str, int]]:
        return {USDC: ("USDC", 6)}


def _sized(account: bytes, script: Script, limits: Mapping[str, int], sold: int) -> Opportunity | None:
    mille = 1_000
    draws = {**{key: amount for key, (amount, _) in script.uses.items()}, token_key(USDC): script.spends}
    for key, amount in draws.items():
        if key in limits and amount > limits[key]:
            mille = min(mille, limits[key] * 1_000 // amount)
    if mille < script.smallest:
        return None
    health = Health(90, 100, liquidatable=True, health_wad=9 * WAD // 10)
    return Opportunity(
        account=account,
        kind="liquidate",
        subject=script.subject,
        size=mille,
        notional_wad=WAD,
        reward_wad=(script.reward - sold * script.falls) * mille // 1_000,
        rewards={USDC: script.reward * mille // 10**15},
        spends={USDC: script.spends * mille // 1_000} if script.spends else {},
        uses={
            **{key: (amount * mille // 1_000, limit) for key, (amount, limit) in script.uses.items()},
            **({f"0x{script.pool.hex()}": (1, 1_000)} if script.pool else {}),
        },
        gas=script.gas,
        gas_limit=script.gas * 3 // 2,
        before=health,
        after=health,
        bad_debt_prevented_wad=script.saved * mille // 1_000,
        slip_percent=script.slip,
        pools=(script.pool,) if script.pool else (),
    )


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


def book(*scripts: Script | Sequence[Script] | Refused) -> Scripted:
    """Account i of the book, counted from 1, offers these."""
    return Scripted({address(i): [s] if isinstance(s, Script) else s for i, s in enumerate(scripts, start=1)})


def assessment(protocol: Scripted, unpriced: Sequence[bytes] = ()) -> Assessment:
    health = Health(90, 100, liquidatable=True, health_wad=9 * WAD // 10)
    unsafe = tuple(Unsafe(row, account, health) for row, account in enumerate(protocol.addresses))
    return Assessment(unsafe=unsafe, unpriced=tuple(unpriced))


def snapshot(head: BlockRef = HEAD) -> Snapshot:
    return Snapshot(head, None, Columns(()), None)


def policy(**changes: object) -> Policy:
    values: dict[str, object] = {
        "target_wad": 11 * WAD // 10,
        "min_profit_wad": 0,
        "bad_debt_weight": 0.0,
        "max_fee": 500 * GWEI,
        "priority_fee": GWEI,
        "deadline_blocks": 6,
        "max_in_flight": 16,
        "gas_share": 0.5,
    }
    return Policy(**{**values, **changes})  # type: ignore[arg-type]


def funds(
    native: int = 100 * WAD, price: int = 2_000 * WAD, usdc: int = 10**12, floors: Mapping[bytes, int] | None = None
) -> Funds:
    return Funds(native, price, {USDC: usdc}, floors or {})


NOTHING_IN_FLIGHT = InFlight()
