"""A small world for tests of sending: a node, a token, accounts to take it from, and an executor with real wires.

The "protocol" takes tokens that accounts have approved: a liquidation without the margin engine around it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from keeper.chain.connect import Chain, connect
from keeper.chain.ports import ChainSender, PrivateSender
from keeper.execute.breakers.breakers import BreakerLimits
from keeper.execute.breakers.monitor import BreakerMonitor
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.executor import LiveExecution
from keeper.execute.journal.journal import Journal, open_history, open_journal
from keeper.execute.signing.calls import AnyCall, CallRules
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.policy import SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import Signer
from keeper.execute.tx.broadcaster import Broadcaster
from keeper.execute.tx.crash_points import CrashPoint, Hook, no_hook
from keeper.execute.tx.outcomes import OutcomeBuilder
from keeper.execute.tx.routing import RelayPolicy, Router
from keeper.execute.tx.simulator import Simulator
from keeper.model.chain import Call, Log, Receipt
from keeper.model.events import Event
from keeper.model.health import Health
from keeper.model.intent import Intent, SendResult, SendStatus
from keeper.model.plan import Opportunity, Plan, Policy
from keeper.protocols.base import Achieved, Revert, RevertAction, Snapshot
from keeper.protocols.columns import Columns
from keeper.sim.markets.margin_engine.deploy import artifact
from tests.support.anvil import Anvil, dev_key

GWEI = 10**9
TOKENS = 10**18
CHAIN_ID = 31337
URL = "sqlite:///keeper.db"
PATIENCE_S = 30.0  # of requests and signatures: a busy machine is no fault
TRANSFER = keccak(text="Transfer(address,address,uint256)")
HEALTH = Health(0, 1, liquidatable=True, health_wad=0)


def address_of(index: int) -> bytes:
    """Address of a development account."""
    return bytes.fromhex(Account.from_key(dev_key(index)).address[2:])


class Taking:
    """Takes an account's approved tokens; what it brings is read from the token's own logs."""

    def __init__(self, token: bytes, wanted: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.token = token
        self.wanted = list(wanted)
        self.action = RevertAction.SKIP  # what every revert asks for

    def allowances(self, state: Any) -> list[tuple[bytes, bytes]]:
        return self.wanted

    def achieved(self, state: Any, account: bytes, keeper: bytes, logs: Sequence[Log]) -> Achieved | None:
        units = 0
        for log in logs:
            if log.topics[0] == TRANSFER and log.topics[2][12:] == keeper:
                units += int.from_bytes(log.data, "big")
        return Achieved({self.token: units}, units) if units else None

    def explain(self, data: bytes) -> Revert:
        known = artifact("TestToken")[0].errors.get(data[:4])
        return Revert(known.name if known else data.hex(), (), self.action)

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        return amount * 2


class Wiretap:
    """A sender that notes all bytes that leave, and can be told to spoil the next answers."""

    def __init__(self, inner: ChainSender) -> None:
        self._inner = inner
        self.sent: list[bytes] = []
        self.spoil: list[Callable[[SendResult], SendResult]] = []
        self.swallow = 0  # next so many sends never reach the node, and are refused

    async def send_raw(self, raw: bytes) -> SendResult:
        if self.swallow:
            self.swallow -= 1
            return SendResult(SendStatus.REFUSED, "underpriced", "transaction underpriced")
        self.sent.append(raw)
        result = await self._inner.send_raw(raw)
        return self.spoil.pop(0)(result) if self.spoil else result

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        return await self._inner.receipt(tx_hash)

    async def transaction(self, tx_hash: bytes) -> Mapping[str, Any] | None:
        return await self._inner.transaction(tx_hash)

    async def nonce(self, account: bytes) -> int:
        return await self._inner.nonce(account)


class CrashError(Exception):
    """The process ends here."""


class World:
    """Node, token, victims and keeper. Blocks come only from `mine`."""

    def __init__(self, anvil: Anvil, data_dir: Path) -> None:
        self.anvil = anvil
        self.data_dir = data_dir
        self.url = URL
        self.events: list[Event] = []
        self.keeper = address_of(1)
        self.victims = [address_of(index) for index in (2, 3, 4)]
        self.abi, code = artifact("TestToken")
        self.token = anvil.deploy(code + encode(["string", "uint8"], ["TKN", 18]), sender=address_of(0))
        for victim in self.victims:
            self.transact(victim, "mint", victim, 1000 * TOKENS)
            self.transact(victim, "approve", self.keeper, 2**256 - 1)
        self.policy = Policy(11 * 10**17, 0, 0.0, 500 * GWEI, GWEI, 6, 16, 0.5)
        self.protocol = Taking(self.token)
        self.chain: Chain
        self.tap: Wiretap
        self.signer: Signer = from_private_key(dev_key(1).hex())
        self.budget_s = PATIENCE_S
        self.calls: CallRules = AnyCall()
        self.columns = Columns(())
        self.relays: PrivateSender | None = None
        self.relay_policy: RelayPolicy | None = None
        self.executors: list[LiveExecution] = []
        anvil.set_automine(False)

    async def connect(self, url: str = "") -> "World":
        """To the node itself, or to a proxy before it."""
        self.chain = await connect([url or self.anvil.url], CHAIN_ID, PATIENCE_S, self.events.append)
        self.tap = Wiretap(self.chain.sender)
        return self

    async def close(self) -> None:
        for executor in self.executors:
            await executor.close()
        await self.chain.close()

    def transact(self, sender: bytes, name: str, *args: Any, **options: Any) -> str:
        """A call to the token by one of the node's own accounts."""
        return self.anvil.send(self.token, self.abi.functions[name].encode(*args), sender=sender, **options)

    def outbid(self, sender: bytes, name: str, *args: Any) -> str:
        """The same, ahead of whatever the keeper offers."""
        request = {
            "from": "0x" + sender.hex(),
            "to": "0x" + self.token.hex(),
            "data": "0x" + self.abi.functions[name].encode(*args).hex(),
            "maxFeePerGas": hex(1000 * GWEI),
            "maxPriorityFeePerGas": hex(100 * GWEI),
        }
        return str(self.anvil.rpc("eth_sendTransaction", request))

    def tokens(self, account: bytes) -> int:
        function = self.abi.functions["balanceOf"]
        return int(function.decode(self.anvil.call(self.token, function.encode(account)))[0])

    def journal(self) -> Journal:
        return open_journal(self.url, self.data_dir, self.keeper, CHAIN_ID, lease_s=60)

    async def executor(
        self,
        *,
        hook: Hook = no_hook,
        max_reverts: int = 3,
        targets: Sequence[bytes] | None = None,
        limits: BreakerLimits | None = None,
    ) -> LiveExecution:
        """A recovered executor on the world's journal, that may call the token unless told otherwise."""
        allowed = frozenset([self.token] if targets is None else targets)
        rules = SigningPolicy(CHAIN_ID, self.keeper, allowed, self.policy.max_fee, calls=self.calls)
        signer = PolicySigner(self.signer, rules, self.budget_s)
        router = Router(self.tap, self.relays, self.relay_policy)
        store = open_breaker_store(self.url, self.data_dir, self.keeper, CHAIN_ID)
        broadcaster = Broadcaster(self.journal(), signer, router, self.events.append, hook)
        simulator = Simulator(self.chain.reader, self.protocol, self.keeper)
        executor = LiveExecution(
            broadcaster,
            simulator,
            OutcomeBuilder(simulator, self.keeper, lambda _: 3000 * 10**18),
            BreakerMonitor(limits or BreakerLimits(max_reverts, 50), store, self.events.append),
            self.policy,
        )
        self.executors.append(executor)
        await executor.recover()
        return executor

    async def crash(self, point: CrashPoint) -> None:
        """An executor that ends at a point of the send path, with a plan half-way."""

        def hook(reached: CrashPoint) -> None:
            if reached is point:
                raise CrashError

        executor = await self.executor(hook=hook)
        try:
            await self.submit(executor, await self.plan(0))
        except CrashError:
            await self.stop(executor)
        else:
            raise AssertionError(f"{point} was not reached")

    def resume(self) -> None:
        """What `keeper resume` does."""
        store = open_breaker_store(self.url, self.data_dir, self.keeper, CHAIN_ID)
        store.resume()
        store.close()

    async def stop(self, executor: LiveExecution) -> None:
        """End an executor as a process would."""
        self.executors.remove(executor)
        await executor.close()

    async def snapshot(self) -> Snapshot:
        return Snapshot(await self.chain.reader.head(), None, self.columns, None)

    async def mine(self, executor: LiveExecution, blocks: int = 1, base_fee: int | None = None) -> None:
        """Blocks, each followed."""
        for _ in range(blocks):
            if base_fee is not None:
                self.anvil.set_next_base_fee(base_fee)
            self.anvil.mine()
            await executor.follow(await self.snapshot())

    async def plan(self, victim: int = 0, units: int = 10 * TOKENS, max_fee: int = 50 * GWEI, **changes: Any) -> Plan:
        """Take tokens from a victim."""
        head = await self.chain.reader.head()
        account = self.victims[victim]
        data = self.abi.functions["transferFrom"].encode(account, self.keeper, units)
        limits: dict[str, Any] = {"gas_limit": 100_000, "bid": 400 * GWEI, "deadline": 6, **changes}
        opportunity = Opportunity(
            account, "take", "TKN", units, 0, 0, {self.token: units}, {}, {"cap": (units, 2**100)}, 60_000,
            limits["gas_limit"], HEALTH, HEALTH,
        )  # fmt: skip
        deadline = head.number + limits["deadline"]
        return Plan(
            opportunity, Call(self.token, data), max_fee, GWEI, limits["bid"], 10**18, 1.0, head.number, deadline
        )

    async def submit(self, executor: LiveExecution, *plans: Plan) -> list[Any]:
        snapshot = await self.snapshot()
        return await executor.submit(plans, snapshot, snapshot.block.timestamp + 1)

    def intents(self) -> list[Intent]:
        """The journal as `keeper txs` sees it."""
        history = open_history(self.url, self.data_dir)
        try:
            return history.intents()
        finally:
            history.close()

    def codes(self, prefix: str = "") -> list[str]:
        return [event.kind.code for event in self.events if event.kind.code.startswith(prefix)]

    def event(self, code: str) -> Event:
        """The only event with this code."""
        [found] = [event for event in self.events if event.kind.code == code]
        return found
