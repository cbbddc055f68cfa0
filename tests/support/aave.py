"""Real Aave v3 on a node, beside a local book of it: the two must agree to the wei."""

from dataclasses import dataclass

from keeper.book.book import Book
from keeper.model.chain import Call, Log, unhexed
from keeper.protocols.aave_v3 import AaveV3Protocol
from keeper.protocols.base import Deployment, Means, Snapshot
from keeper.protocols.executor import creation
from keeper.sim.bench import Bench, block_ref
from keeper.sim.market import TREASURY
from keeper.sim.markets.aave_v3 import DEMO, AaveListing, DeployedAave, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx, impersonate
from tests.support.engine import account

KEEPER = account(0xEE)


@dataclass(eq=False, repr=False)
class AaveBench(Bench):
    """A node with the protocol deployed, an executor, and the adapter's view of both. Blocks are mined by hand."""

    deployed: DeployedAave
    executor: bytes
    protocol: AaveV3Protocol
    book: Book

    @classmethod
    def on(
        cls, anvil: Anvil, version: str, accounts: int, listing: AaveListing = DEMO, means: Means | None = None
    ) -> "AaveBench":
        """Deploy on a node that was started with `mining=False`; the first accounts may send, and have tokens."""
        node = Node.at(anvil.url)
        deployed = deploy(node, version, listing)
        people = [KEEPER, *(account(index) for index in range(accounts))]
        impersonate(node, people)
        executor = deploy_executor(node, deployed)
        contracts = {"PoolAddressesProvider": deployed.provider, "Executor": executor}
        deployment = Deployment("aave_v3", deployed.chain_id, deployed.start_block, contracts, means or Means())
        protocol = AaveV3Protocol(deployment)
        bench = cls(anvil, node, deployed, executor, protocol, Book(protocol, 1))
        bench.discover()
        for spec in listing.reserves:
            units = int(2_000_000 / spec.dollars) * 10**spec.decimals
            node.send(*deployed.fund(spec.symbol, people[1:], units), deployed.mint(spec.symbol, executor, 10 * units))
        return bench

    def discover(self) -> None:
        """Let the adapter find out what it needs, and begin a book."""
        head = self.head()
        while calls := self.protocol.discovery():
            self.protocol = self.protocol.discovered(self.read(calls, head))
        self.book = Book(self.protocol, undo_blocks=512)
        self.book.load(self.logs(self.deployed.start_block, head.number))
        self.book.rebase(head)

    def logs(self, first: int, last: int) -> list[Log]:
        """Logs that the adapter wants, in order."""
        state = self.book.state if self.book.head else self.protocol.initial_state()
        return self.logs_of(self.protocol.log_filter(state), first, last)

    def snapshot(self) -> Snapshot:
        """Everything the adapter needs, as of the head: the book is brought there first."""
        head = self.head()
        known = self.book.head
        assert known is not None
        if head.number > known.number:
            logs = self.logs(known.number + 1, head.number)
            for number in range(known.number + 1, head.number + 1):
                block = block_ref(self.anvil.block(number))
                self.book.apply(block, [log for log in logs if log.block_number == number])
        elif head.hash != known.hash:
            depth = self.book.depth_of(head.hash)
            assert depth is not None
            self.book.roll_back(depth)
        state = self.book.state
        asked = {address: self.protocol.account_reads(state, address) for address in self.book.unread}
        calls = self.protocol.reads(state)
        answers = iter(self.read([*calls, *(call for part in asked.values() for call in part)], head))
        readings = [next(answers) for _ in calls]
        self.book.take_in({address: [next(answers) for _ in part] for address, part in asked.items()})
        return self.book.snapshot(self.protocol.decode_reads(state, readings))

    def revert_reason(self, sender: bytes, call: Call) -> str:
        """The error that a call at the head reverts with, with its arguments; empty when it succeeds."""
        data = self.revert_data(sender, call)
        return "" if data is None else str(self.protocol.explain(data))


def deploy_executor(node: Node, deployed: DeployedAave, operator: bytes = KEEPER) -> bytes:
    """An executor of the keeper's, on the pools of the market."""
    data = creation(TREASURY, operator, deployed.exits.uniswap.factory)
    [receipt] = node.send(Tx(operator, None, data))
    return unhexed(str(receipt["contractAddress"]))
