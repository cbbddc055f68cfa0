"""A live keeper that packs: several accounts of real Aave v3 in one transaction, and the books to the unit."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from keeper.abi import checksum
from keeper.app.daemon import Daemon
from keeper.execute.journal.journal import open_history
from keeper.execute.signing.local import from_private_key
from keeper.model.chain import hexed, unhexed
from keeper.model.events import Event
from keeper.model.intent import Intent, IntentState
from keeper.protocols import executor
from keeper.protocols.executor.batching import BATCH, members
from keeper.protocols.executor.contract import FUNCTIONS
from keeper.settings import Settings
from keeper.sim.market import TREASURY
from keeper.sim.markets.aave_v3 import DeployedAave, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.node.options import dev_key
from tests.support.engine import account

KEY = dev_key(3).hex()
SIGNER = from_private_key(KEY).address
PEOPLE = [account(index) for index in range(6)]
USD, ETHER = 10**6, 10**18
FLOOR = 250 * USD  # beyond what gas needs


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil(mining=False, gas_limit=60_000_000) as node:
        yield node


def with_executor(deployed: DeployedAave) -> bytes:
    """One of the signer's own, with funds."""
    impersonate(deployed.node, [*PEOPLE, SIGNER])
    [made] = deployed.node.send(Tx(SIGNER, None, executor.creation(TREASURY, SIGNER, deployed.exits.uniswap.factory)))
    address = unhexed(made["contractAddress"])
    deployed.node.send(deployed.mint("USDC", address, 1_000_000 * USD))
    impersonate(deployed.node, [TREASURY])
    floor = FUNCTIONS["setFloor"].encode(deployed.reserves["USDC"].token, FLOOR)
    deployed.node.send(Tx(TREASURY, address, floor))
    return address


def endanger(deployed: DeployedAave) -> None:
    """Everybody owes dollars for ether, which falls."""
    deployed.node.send(*deployed.fund("WETH", PEOPLE, 100 * ETHER))
    deployed.node.send(*deployed.fund("USDC", PEOPLE[:1], 100_000 * USD))
    deployed.node.send(*(deployed.supply(one, "WETH", 10 * ETHER) for one in PEOPLE))
    deployed.node.send(*(deployed.borrow(one, "USDC", 23_500 * USD) for one in PEOPLE))
    dollars = {spec.symbol: spec.dollars for spec in deployed.listing.reserves} | {"WETH": 2_800.0}
    pools = [pool for pool in deployed.exits.pools if "WETH" in pool]
    deployed.node.send(deployed.set_price("WETH", 2_800.0), *deployed.move_pools(dollars, pools))


def settings_of(directory: Path, url: str) -> Settings:
    return Settings(
        rpc_urls=(SecretStr(url),),
        chain_id=31337,
        protocol="aave_v3",
        deployment=directory / "deployment.json",
        data_dir=directory,
        private_key=SecretStr(KEY),
        native_price_usd=3_000,
        live=True,
        max_batch=4,
        poll_interval_s=0.05,
    )


class Run:
    """The daemon beside a node whose blocks are mined by hand."""

    def __init__(self, anvil: Anvil, directory: Path) -> None:
        self.anvil = anvil
        self.directory = directory
        self.deployed = deploy(Node.at(anvil.url))
        self.executor = with_executor(self.deployed)
        self.deployed.write_deployment(directory / "deployment.json", self.executor)
        endanger(self.deployed)
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    async def until(self, code: str, count: int) -> None:
        """Wait for so many events of a kind."""
        async with asyncio.timeout(60):
            while len(self.told(code)) < count:
                self.changed.clear()
                await self.changed.wait()

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def told(self, code: str) -> list[str]:
        return [event.message for event in self.events if event.kind.code == code]

    def balance(self) -> int:
        return self.deployed.balance(self.deployed.reserves["USDC"].token, self.executor)

    def outbid(self, who: bytes) -> None:
        """Somebody else liquidates an account first."""
        tx = self.deployed.liquidate(PEOPLE[0], who, "WETH", "USDC")
        fees = {"maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(10**11), "gas": hex(2_000_000)}
        request = {"from": hexed(tx.sender), "to": hexed(self.deployed.pool), "data": hexed(tx.data), **fees}
        self.anvil.rpc("eth_sendTransaction", request)

    def intents(self) -> list[Intent]:
        history = open_history("sqlite:///keeper.db", self.directory)
        try:
            return history.intents()
        finally:
            history.close()

    async def play(self, meanwhile: Callable[[], None]) -> list[Intent]:
        """Run until two batches were mined; `meanwhile`: what happens when they are out. The journal's intents."""
        stop = asyncio.Event()
        daemon = asyncio.create_task(Daemon(settings_of(self.directory, self.anvil.url), self.emit).run(stop))
        await self.until("tx.sent", 2)
        meanwhile()
        self.anvil.mine()
        await self.until("tx.mined", 2)
        stop.set()
        assert await daemon == 0
        return self.intents()


async def test_unsafe_accounts_go_out_together_and_the_books_are_exact(anvil: Anvil, tmp_path: Path) -> None:
    run = Run(anvil, tmp_path)
    before = run.balance()
    intents = await run.play(lambda: None)
    assert [(intent.kind, intent.subject, intent.state) for intent in intents] == [
        (BATCH, "4 accounts", IntentState.MINED),
        (BATCH, "2 accounts", IntentState.MINED),
    ]
    assert sorted(account for intent in intents for account in members(intent)) == sorted(PEOPLE)
    earned = [intent.outcome.profit[run.deployed.reserves["USDC"].token] for intent in intents if intent.outcome]
    assert run.balance() - before == sum(earned)
    assert all(run.deployed.user_data(one)[5] > ETHER for one in PEOPLE)
    for intent in intents:
        order = executor.order_of(intent.data)
        assert isinstance(order, executor.Batch)
        assert intent.outcome
        assert intent.outcome.profit[order.token] >= order.min_profit > FLOOR
        steps = [executor.order_of(data) for data, _ in order.steps]
        assert all(isinstance(step, executor.Single) and step.min_profit >= FLOOR for step in steps)


async def test_a_step_that_came_too_late_is_told_and_the_others_count(anvil: Anvil, tmp_path: Path) -> None:
    run = Run(anvil, tmp_path)
    before = run.balance()
    late: list[bytes] = []

    def lose_one() -> None:
        late.append(members(run.intents()[0])[1])
        run.outbid(late[0])

    intents = await run.play(lose_one)
    assert [intent.state for intent in intents] == [IntentState.MINED] * 2
    outcome = intents[0].outcome
    assert outcome
    assert outcome.reason.startswith(f"{checksum(late[0])}: HealthFactorNotBelowThreshold")
    earned = [intent.outcome.profit[run.deployed.reserves["USDC"].token] for intent in intents if intent.outcome]
    assert run.balance() - before == sum(earned)
    assert any(outcome.reason in message for message in run.told("tx.mined"))
