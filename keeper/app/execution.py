"""Builds the execution that the settings ask for: live with a signer and a journal, or dry with neither."""

from contextlib import ExitStack
from typing import Protocol as Interface

from keeper.app.policies import limits_of, native_price_of
from keeper.app.signers import signer_of
from keeper.chain.ports import ChainReader, ChainSender
from keeper.chain.relay import Relays
from keeper.errors import OperatorError
from keeper.execute.breakers.monitor import BreakerMonitor
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.dry_run import DryRun
from keeper.execute.execution import Execution
from keeper.execute.executor import LiveExecution
from keeper.execute.journal.database import file_of, locate
from keeper.execute.journal.journal import Journal, open_journal
from keeper.execute.leadership.fencing import FencedRelays, FencedSender
from keeper.execute.leadership.file_lock import lock_directory, lock_signer
from keeper.execute.leadership.lease import lease_length
from keeper.execute.leadership.right import WriteRight
from keeper.execute.signing.policy import SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import Signer
from keeper.execute.standby import RENEWALS, Standby
from keeper.execute.tx.broadcaster import Broadcaster
from keeper.execute.tx.crash_points import Hook, no_hook
from keeper.execute.tx.outcomes import OutcomeBuilder
from keeper.execute.tx.routing import RelayPolicy, Router
from keeper.execute.tx.simulator import Simulator
from keeper.model.breaker import BreakerName
from keeper.model.events import JOURNAL_REBUILT, Emit, Event
from keeper.model.health import WAD
from keeper.model.intent import Route
from keeper.model.plan import Policy
from keeper.protocols.base import Deployment, Protocol
from keeper.settings import Settings

REBUILT = "the journal was damaged, and begun anew"

__all__ = ["Execution", "build_execution", "signer_of"]


class Chain(Interface):
    """A connected chain."""

    @property
    def reader(self) -> ChainReader: ...

    @property
    def sender(self) -> ChainSender: ...


async def build_execution(
    settings: Settings,
    policy: Policy,
    chain: Chain,
    protocol: Protocol,
    deployment: Deployment,
    signer: Signer | None,
    emit: Emit,
    *,
    hook: Hook = no_hook,
) -> Execution:
    """A dry run without a signer; else an executor, with what an earlier run left taken up.

    Raises OperatorError: no usable signer or journal, or another keeper holds it (exit code 3).
    """
    if signer is None:
        return DryRun(chain.reader, protocol, policy, emit)
    if protocol.needs_executor and not deployment.executor:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT names no Executor, by which a live keeper liquidates on {protocol.name}: run "
            "`keeper executor deploy --factory ADDRESS --live` with the address of the Uniswap v3 factory"
        )
    url, data_dir, chain_id = settings.database_url.get_secret_value(), settings.data_dir, settings.chain_id
    rules = SigningPolicy(chain_id, signer.address, frozenset(deployment.contracts.values()), policy.max_fee)

    native = native_price_of(settings)

    async def lead(journal: Journal) -> Execution:
        store = open_breaker_store(url, data_dir, signer.address, chain_id)
        store.fence = journal.right.fence
        monitor = BreakerMonitor(limits_of(settings), store, emit, settings.missed_blocks)
        router = Router(FencedSender(chain.sender, journal.right), *relays_of(settings, journal.right))
        policy_signer = PolicySigner(signer, rules, settings.signer_timeout_s)
        broadcaster = Broadcaster(journal, policy_signer, router, emit, hook)
        simulator = Simulator(chain.reader, protocol, signer.address)
        outcomes = OutcomeBuilder(
            simulator, signer.address, lambda snapshot: native.at(protocol, snapshot, snapshot.block.timestamp)
        )
        executor = LiveExecution(broadcaster, simulator, outcomes, monitor, policy, deployment.executor)
        try:
            await signer.open()
            await executor.recover()
            head = await chain.reader.head()
            monitor.tick(head)
            monitor.close(BreakerName.JOURNAL, head)  # it can be written, or it would not be open
            if journal.damaged:
                emit(Event(JOURNAL_REBUILT, f"{REBUILT}: {journal.damaged}", None, {"moved_to": str(journal.damaged)}))
                executor.hold(REBUILT, BreakerName.REBUILT)
        except BaseException:
            await executor.close()
            raise
        return executor

    lease_s = await lease_length(settings.lease_s, chain.reader)
    genesis = await chain.reader.block_by_number(0)
    is_file = file_of(locate(url, data_dir)) is not None
    with ExitStack() as taken:
        locks = [lock_directory(data_dir), lock_signer(signer.address, chain_id, genesis.hash, shared=not is_file)]
        for lock in locks:
            taken.callback(lock.close)
        standby = Standby(
            signer.address,
            lambda: open_journal(url, data_dir, signer.address, chain_id, lease_s),
            lead,
            emit,
            lease_s / RENEWALS,
            locks,
        )
        await standby.start(settings.standby)
        taken.pop_all()
    return standby


def relays_of(settings: Settings, right: WriteRight) -> tuple[FencedRelays | None, RelayPolicy | None]:
    """How plans travel privately; nothing of it where no relay is set."""
    if not settings.relay_urls:
        return None, None
    urls = [url.get_secret_value() for url in settings.relay_urls]
    least_wad = int(settings.relay_min_usd * WAD)
    privacy = RelayPolicy(
        Route(settings.relay_mode), settings.relay_blocks, settings.relay_fallback == "public", least_wad
    )
    return FencedRelays(Relays(urls, settings.request_timeout_s), right), privacy
