"""Builds the execution that the settings ask for: live with a signer and a journal, or dry with neither."""

from contextlib import ExitStack
from dataclasses import dataclass

from keeper.app.policies import limits_of, native_price_of, policy_of, relay_policy_of, trade_limits_of
from keeper.app.roles import check_roles
from keeper.app.session import Session
from keeper.chain.relay import Relays
from keeper.errors import OperatorError
from keeper.execute.breakers.monitor import BreakerMonitor
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.capital import CapitalWatch
from keeper.execute.dry_run import DryRun
from keeper.execute.execution import Execution
from keeper.execute.executor import LiveExecution
from keeper.execute.journal.database import file_of, locate
from keeper.execute.journal.journal import Journal, open_journal
from keeper.execute.leadership.fencing import FencedRelays, FencedSender
from keeper.execute.leadership.file_lock import lock_directory, lock_signer
from keeper.execute.leadership.lease import lease_length
from keeper.execute.leadership.right import WriteRight
from keeper.execute.signing.calls import AdapterCalls
from keeper.execute.signing.policy import MAX_TX_GAS, SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import Signer
from keeper.execute.standby import RENEWALS, Standby
from keeper.execute.tx.broadcaster import Broadcaster
from keeper.execute.tx.crash_points import Hook, no_hook
from keeper.execute.tx.outcomes import OutcomeBuilder
from keeper.execute.tx.routing import Router
from keeper.execute.tx.simulator import Simulator
from keeper.model.breaker import BreakerName
from keeper.model.events import JOURNAL_REBUILT, Emit, Event
from keeper.protocols.permission import checks_calls, knows_stakes
from keeper.settings import Settings

REBUILT = "the journal was damaged and recreated"


async def build_execution(
    settings: Settings, session: Session, signer: Signer | None, emit: Emit, hook: Hook = no_hook
) -> Execution:
    """A dry run without a signer; else a live execution that has taken up what an earlier run left.

    Raises OperatorError: no usable signer or journal, or another keeper holds it (exit code 3).
    """
    if signer is None:
        return dry_run(settings, session, emit)
    return await live(settings, session, signer, emit, hook)


def dry_run(settings: Settings, session: Session, emit: Emit) -> DryRun:
    """Simulates plans and signs nothing."""
    return DryRun(session.chain.reader, session.protocol, policy_of(settings), emit)


async def live(settings: Settings, session: Session, signer: Signer, emit: Emit, hook: Hook) -> Standby:
    """Holds the locks of the data directory and the signer, and leads, or waits to lead with KEEPER_STANDBY."""
    _check_calls(settings, session)
    name = session.protocol.name
    if session.protocol.needs_executor and not session.deployment.executor:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT names no Executor, which a live keeper needs on {name}: run "
            "`keeper executor deploy --factory ADDRESS --treasury ADDRESS --live` with the address of the Uniswap v3 "
            "factory and of the account that owns the capital"
        )
    await check_roles(settings, session, signer.address)
    lease_s = await lease_length(settings.lease_s, session.chain.reader)
    genesis = await session.chain.reader.block_by_number(0)
    is_file = file_of(locate(settings.database_url.get_secret_value(), settings.data_dir)) is not None
    with ExitStack() as taken:
        locks = [
            lock_directory(settings.data_dir),
            lock_signer(signer.address, settings.chain_id, genesis.hash, shared=not is_file),
        ]
        for lock in locks:
            taken.callback(lock.close)
        standby = Standby(Leader(settings, session, signer, emit, hook, lease_s), emit, lease_s / RENEWALS, locks)
        await standby.start(settings.standby)
        taken.pop_all()
    return standby


def _check_calls(settings: Settings, session: Session) -> None:
    """The adapter says what it may call, as far as the settings need it. Raises OperatorError."""
    name = session.protocol.name
    if not checks_calls(session.protocol) and not settings.allow_unchecked_calls:
        raise OperatorError(
            f"KEEPER_PROTOCOL: the plug-in {name} does not say which calls it may make (`permits` in "
            "docs/adding-a-protocol.md): install a version that does, run without --live, or set "
            "KEEPER_ALLOW_UNCHECKED_CALLS=true to sign any call to its contracts"
        )
    if trade_limits_of(settings).need_stakes and not knows_stakes(session.protocol):
        raise OperatorError(
            f"KEEPER_PROTOCOL: the plug-in {name} does not say what its calls are about (`stakes` in "
            "docs/adding-a-protocol.md), so limits on notional, accounts and assets cannot be kept: unset them"
        )


def signing_policy_of(settings: Settings, session: Session, keeper: bytes) -> SigningPolicy:
    """What a daemon's key may sign: the adapter's calls to the contracts that it calls, and to nothing else."""
    targets, calls = (
        session.protocol.targets(session.deployment),
        AdapterCalls(session.protocol, trade_limits_of(settings)),
    )
    return SigningPolicy(settings.chain_id, keeper, targets, policy_of(settings).max_fee, calls=calls)


@dataclass(frozen=True, slots=True)
class Leader:
    """Makes this keeper the one that sends: opens the journal, and builds the execution that writes it."""

    settings: Settings
    session: Session
    signer: Signer
    emit: Emit
    hook: Hook
    lease_s: float

    @property
    def address(self) -> bytes:
        return self.signer.address

    def open_journal(self) -> Journal:
        url, data_dir = self.settings.database_url.get_secret_value(), self.settings.data_dir
        return open_journal(url, data_dir, self.address, self.settings.chain_id, self.lease_s)

    async def lead(self, journal: Journal) -> Execution:
        monitor = self._monitor(journal.right)
        execution = self._execution(journal, monitor)
        try:
            await check_roles(self.settings, self.session, self.address)  # the treasury may have changed them since
            await self.signer.open()
            await execution.recover()
            head = await self.session.chain.reader.head()
            monitor.tick(head)
            monitor.close(BreakerName.JOURNAL, head)  # it can be written, or it would not be open
            if journal.damaged:
                moved_to = str(journal.damaged)
                self.emit(
                    Event(JOURNAL_REBUILT, f"{REBUILT}; the damaged file is {moved_to}", None, {"moved_to": moved_to})
                )
                execution.hold(REBUILT, BreakerName.REBUILT)
        except BaseException:
            await execution.close()
            raise
        return execution

    def _execution(self, journal: Journal, monitor: BreakerMonitor) -> LiveExecution:
        settings, session = self.settings, self.session
        policy, protocol, native = policy_of(settings), session.protocol, native_price_of(settings)
        rules = signing_policy_of(settings, session, self.address)
        signer = PolicySigner(self.signer, rules, settings.signer_timeout_s)
        broadcaster = Broadcaster(journal, signer, self._router(journal.right), self.emit, self.hook)
        broadcaster.pending.data_fees = session.data_fees
        simulator = Simulator(session.chain.reader, protocol, self.address)
        outcomes = OutcomeBuilder(
            simulator, self.address, lambda snapshot: native.at(protocol, snapshot, snapshot.block.timestamp)
        )
        executor = session.deployment.executor
        execution = LiveExecution(broadcaster, simulator, outcomes, monitor, policy, executor)
        if settings.check_capital:
            reader, sender = session.chain.reader, session.chain.sender
            execution.capital = CapitalWatch(
                reader, sender, protocol, self.address, executor, MAX_TX_GAS * policy.max_fee
            )
        return execution

    def _monitor(self, right: WriteRight) -> BreakerMonitor:
        settings = self.settings
        url, chain_id = settings.database_url.get_secret_value(), settings.chain_id
        store = open_breaker_store(url, settings.data_dir, self.address, chain_id)
        store.fence = right.fence
        return BreakerMonitor(limits_of(settings), store, self.emit, settings.missed_blocks)

    def _router(self, right: WriteRight) -> Router:
        """To nodes and, where the settings name relays, to these first."""
        settings, sender = self.settings, FencedSender(self.session.chain.sender, right)
        if not settings.relay_urls:
            return Router(sender)
        urls = [url.get_secret_value() for url in settings.relay_urls]
        relays = FencedRelays(Relays(urls, settings.request_timeout_s), right)
        return Router(sender, relays, relay_policy_of(settings))
