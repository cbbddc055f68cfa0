"""The reference protocol on a real node, beside a local book folded from its logs: the two must agree to the wei."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keeper.abi import load_abi, load_runtime
from keeper.book.book import Book
from keeper.chain.errors import RpcError
from keeper.model.chain import BlockRef, Call, CallResult, Log, hexed, unhexed
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Snapshot
from keeper.protocols.margin_engine import MarginEngineProtocol
from keeper.sim.markets.margin_engine.deploy import DeployedEngine, deploy
from keeper.sim.markets.margin_engine.listing import EngineCollateralSpec, EngineListing, EngineMarketSpec
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx, impersonate

READER = b"\xbb" * 20
_READ = load_abi("BulkReader").functions["read"]
_RUNTIME = {hexed(READER): {"code": hexed(load_runtime("BulkReader"))}}

# Small caps, coarse steps and high dust limits in some markets, so that every rule of the engine gets to decide.
LISTING = EngineListing(
    feeds={"BTC": (8, 60_000), "ETH": (8, 3_000), "SOL": (18, 150)},
    collaterals=(
        EngineCollateralSpec("WBTC", 8, "BTC", weight=90 * WAD // 100, cap=20_000),
        EngineCollateralSpec("WETH", 18, "ETH", weight=88 * WAD // 100, cap=400_000),
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


def block_ref(found: Mapping[str, Any]) -> BlockRef:
    """A block as the node gives it."""
    return BlockRef(
        number=int(found["number"], 16),
        hash=unhexed(found["hash"]),
        parent=unhexed(found["parentHash"]),
        timestamp=int(found["timestamp"], 16),
    )


def log_of(found: Mapping[str, Any]) -> Log:
    """A log as the node gives it."""
    return Log(
        address=unhexed(found["address"]),
        topics=tuple(unhexed(topic) for topic in found["topics"]),
        data=unhexed(found["data"]),
        block_number=int(found["blockNumber"], 16),
        block_hash=unhexed(found["blockHash"]),
        index=int(found["logIndex"], 16),
        tx_hash=unhexed(found["transactionHash"]),
    )


@dataclass
class Bench:
    """A node with the protocol deployed, and the adapter's view of it. Blocks are mined by hand."""

    anvil: Anvil
    node: Node
    deployed: DeployedEngine
    protocol: MarginEngineProtocol
    keeper: bytes

    @classmethod
    def on(cls, anvil: Anvil, listing: EngineListing = LISTING, accounts: int = 0) -> "Bench":
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

    def head(self) -> BlockRef:
        return block_ref(self.anvil.block())

    def logs(self, first: int, last: int) -> list[Log]:
        """Logs of the engine, in order."""
        query = {"address": hexed(self.deployed.engine), "fromBlock": hex(first), "toBlock": hex(last)}
        return [log_of(found) for found in self.node.rpc("eth_getLogs", query)]

    def book(self, block: BlockRef | None = None) -> Book:
        """A fresh book from ALL logs up to a block."""
        block = block or self.head()
        book = Book(self.protocol, undo_blocks=8)
        book.load(self.logs(self.deployed.start_block, block.number))
        book.rebase(block)
        return book

    def read(self, calls: Sequence[Call], block: BlockRef) -> list[CallResult]:
        """Many views at one block."""
        data = _READ.encode([(call.to, call.data) for call in calls])
        at = {"blockHash": hexed(block.hash)}
        answer = self.node.rpc("eth_call", {"to": hexed(READER), "data": hexed(data), "gas": "0x5f5e100"}, at, _RUNTIME)
        return [CallResult(*found) for found in _READ.decode(unhexed(answer))[0]]

    def snapshot(self, book: Book | None = None) -> Snapshot:
        """Everything the adapter needs, as of the head."""
        book = book or self.book()
        assert book.head is not None
        readings = self.protocol.decode_reads(book.state, self.read(self.protocol.reads(book.state), book.head))
        return book.snapshot(readings)

    def mine_at(self, timestamp: int, *txs: Tx) -> list[Mapping[str, Any]]:
        """Mine transactions in one block at a timestamp; receipts, reverted or not."""
        self.anvil.set_next_timestamp(timestamp)
        if txs:
            return self.node.try_send(txs)
        self.anvil.rpc("evm_mine")
        return []

    def revert_reason(self, sender: bytes, call: Call) -> str:
        """Name of the error that a call at the head reverts with; empty when it succeeds."""
        request = {"from": hexed(sender), "to": hexed(call.to), "data": hexed(call.data), "gas": "0x1c9c380"}
        try:
            self.anvil.rpc("eth_call", request, "latest")
        except RpcError as error:
            return self.protocol.explain(unhexed(error.data)).name
        return ""
