"""The reference protocol on a real node, beside a local book folded from its logs: the two must agree to the wei."""

from dataclasses import dataclass

from keeper.book.book import Book
from keeper.model.chain import BlockRef, Call, Log, LogFilter
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Snapshot
from keeper.protocols.margin_engine import MarginEngineProtocol
from keeper.sim.bench import Bench
from keeper.sim.markets.margin_engine.deploy import DeployedEngine, deploy
from keeper.sim.markets.margin_engine.listing import EngineCollateralSpec, EngineListing, EngineMarketSpec
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, impersonate

# Small caps, coarse steps and high dust limits in some markets, so that every rule of the engine gets to decide.
LISTING = EngineListing(
    feeds={"BTC": (8, 60_000), "ETH": (8, 3_000), "SOL": (18, 150), "ODD": (6, 10)},
    collaterals=(
        EngineCollateralSpec("WBTC", 8, "BTC", weight=90 * WAD // 100, cap=20_000),
        EngineCollateralSpec("WETH", 18, "ETH", weight=88 * WAD // 100, cap=400_000),
        EngineCollateralSpec("ODD", 12, "ODD", weight=70 * WAD // 100),  # no market has its feed
    ),
    markets=(
        EngineMarketSpec(
            "BTC",
            "BTC",
            ((0, 250), (100_000, 400), (500_000, 600), (2_000_000, 1_000)),
            step=WAD // 1_000,
            skew_scale=500 * WAD,
            max_open_interest=10_000 * WAD,
            block_cap=20_000_000,
        ),
        EngineMarketSpec(
            "ETH",
            "ETH",
            ((0, 300), (50_000, 450), (500_000, 700)),
            step=WAD // 100,
            skew_scale=10_000 * WAD,
            max_open_interest=200_000 * WAD,
            block_cap=60_000,
            penalty=15 * WAD // 1_000,
            keeper_share=WAD // 3,
        ),
        EngineMarketSpec(
            "SOL",
            "SOL",
            ((0, 400), (50_000, 600), (250_000, 1_000), (1_000_000, 2_000)),
            step=20 * WAD,
            skew_scale=100_000 * WAD,
            max_open_interest=2_000_000 * WAD,
            block_cap=5_000_000,
            min_notional=8_000,
            keeper_share=WAD,
        ),
    ),
)


def account(index: int) -> bytes:
    """An address of a test account."""
    return bytes.fromhex(f"ac{index:038x}")


@dataclass(eq=False, repr=False)
class EngineBench(Bench):
    """A node with the protocol deployed, and the adapter's view of it. Blocks are mined by hand."""

    deployed: DeployedEngine
    protocol: MarginEngineProtocol
    keeper: bytes

    @classmethod
    def on(cls, anvil: Anvil, listing: EngineListing = LISTING, accounts: int = 0) -> "EngineBench":
        """Deploy on a node that was started with `mining=False`; the first accounts may send."""
        node = Node.at(anvil.url)
        market = deploy(node, listing)
        deployment = Deployment("margin_engine", market.chain_id, market.start_block, {"MarginEngine": market.engine})
        keeper = account(0xEE)
        bench = cls(anvil, node, market, MarginEngineProtocol(deployment), keeper)
        impersonate(node, [keeper, *(account(index) for index in range(accounts))])
        node.send(
            market.mint(listing.settlement, keeper, 10**9 * 10**listing.settlement_decimals),
            market.approve(listing.settlement, keeper),
        )
        return bench

    def logs(self, first: int, last: int) -> list[Log]:
        """Logs of the engine, in order."""
        return self.logs_of(LogFilter((self.deployed.engine,)), first, last)

    def book(self, block: BlockRef | None = None) -> Book:
        """A fresh book from ALL logs up to a block."""
        block = block or self.head()
        book = Book(self.protocol, undo_blocks=8)
        book.load(self.logs(self.deployed.start_block, block.number))
        book.rebase(block)
        return book

    def snapshot(self, book: Book | None = None) -> Snapshot:
        """Everything the adapter needs, as of the head."""
        book = book or self.book()
        assert book.head is not None
        readings = self.protocol.decode_reads(book.state, self.read(self.protocol.reads(book.state), book.head))
        return book.snapshot(readings)

    def revert_reason(self, sender: bytes, call: Call) -> str:
        """Name of the error that a call at the head reverts with; empty when it succeeds."""
        data = self.revert_data(sender, call)
        return "" if data is None else self.protocol.explain(data).name
