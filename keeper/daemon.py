"""The composition root: builds every stage from the settings, and runs the loop."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from keeper.abi import checksum, load_abi
from keeper.book.discovery import discover
from keeper.book.follower import Advance, Follower
from keeper.chain.connect import Chain, connect
from keeper.chain.pool import Limits
from keeper.clock import Clock, SystemClock
from keeper.errors import InvariantBroken, OperatorError, Transient
from keeper.execute.build import Execution, build_execution, native_price_of, signer_of
from keeper.model.assessment import Assessment
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef, Call
from keeper.model.events import (
    BOOK_PARITY_FAILED,
    FUNDS_LOW,
    NODE_DOWN,
    Emit,
    Event,
)
from keeper.model.health import WAD
from keeper.model.plan import Funds, Policy, Rejected, Rejection
from keeper.observe.reporter import Reporter
from keeper.plan.planner import choose, unjudged
from keeper.protocols.base import Deployment, Means, PriceReading, Protocol, Snapshot
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.risk.doubtful import Doubtful, answers_by_contract
from keeper.risk.guard import PriceGuard, guard_policy
from keeper.risk.prices import price_events
from keeper.risk.screening import assess
from keeper.settings import Settings

T = TypeVar("T")
GWEI = 10**9
UNLIMITED = 2**127
DRAIN_S = 9.0
LAST_S = 1.0
_UNAFFORDABLE = (Rejection.FEE_CAP, Rejection.INSUFFICIENT_FUNDS)
_ERC20 = load_abi("IERC20Metadata")


def policy_of(settings: Settings) -> Policy:
    """The operator's choices in the units of the stages."""
    return Policy(
        target_wad=int(settings.target_health * WAD),
        min_profit_wad=int(settings.min_profit_usd * WAD),
        bad_debt_weight=float(settings.bad_debt_weight),
        max_fee=int(settings.max_fee_gwei * GWEI),
        priority_fee=int(settings.priority_fee_gwei * GWEI),
        deadline_blocks=settings.deadline_blocks,
        max_in_flight=settings.max_in_flight,
        max_batch=settings.max_batch,
        gas_share=float(settings.gas_share),
        base_fee_denominator=settings.base_fee_denominator,
        base_fee_elasticity=settings.base_fee_elasticity,
        cooldown_blocks=settings.cooldown_blocks,
    )


@dataclass(frozen=True, slots=True)
class Wiring:
    """A connected protocol: what every command that talks to a node begins with."""

    chain: Chain
    deployment: Deployment
    protocol: Protocol


async def wire(settings: Settings, emit: Emit, clock: Clock | None = None, keeper: bytes = b"") -> Wiring:
    """Connect, check that the deployment is there, and let its adapter find out the rest. Raises OperatorError.

    keeper: the signer's address, empty when none is known.
    """
    deployment = load_deployment(settings.deployment, settings.chain_id, settings.protocol)
    deployment = replace(deployment, means=Means(keeper, settings.flash_loans))
    protocol = load_protocol(deployment)
    urls = [url.get_secret_value() for url in settings.rpc_urls]
    limits = Limits(settings.max_lag_blocks, settings.undo_blocks)
    chain = await connect(urls, settings.chain_id, settings.request_timeout_s, emit, limits, clock)
    try:
        await _check_deployment(chain, deployment)
        protocol = await discover(chain.reader, protocol)
    except BaseException:
        await chain.close()
        raise
    return Wiring(chain, deployment, protocol)


async def _check_deployment(chain: Chain, deployment: Deployment) -> None:
    head = await chain.reader.head()
    if deployment.start_block > head.number:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: start_block {deployment.start_block} lies ahead of the newest block, {head.number}"
        )
    for name, address in deployment.contracts.items():
        if not await chain.reader.code(address):
            raise OperatorError(
                f"KEEPER_DEPLOYMENT: {name} at {checksum(address)} has no code on chain {deployment.chain_id}: "
                "wrong address, or wrong chain"
            )


@dataclass(slots=True)
class BlockTimes:
    """Estimates the next block's timestamp, at which a transaction sent now executes."""

    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=9))

    def saw(self, block: BlockRef) -> None:
        self.stamps.append(block.timestamp)

    def next_timestamp(self, block: BlockRef) -> int:
        """Seconds: the block's own plus the median distance of the newest blocks, at least one second."""
        steps = sorted(late - early for early, late in zip(self.stamps, list(self.stamps)[1:], strict=False))
        return block.timestamp + max(steps[len(steps) // 2] if steps else 1, 1)


class Daemon:
    """Watches one protocol and, when live, liquidates. One instance, one run."""

    def __init__(self, settings: Settings, emit: Emit, clock: Clock | None = None) -> None:
        self.settings = settings
        self.policy = policy_of(settings)
        self.snapshot: Snapshot | None = None
        self.assessment: Assessment | None = None
        self.execution: Execution
        self._emit = emit
        self._clock = clock or SystemClock()
        self._times = BlockTimes()
        self._native = native_price_of(settings)
        self._reporter = Reporter(settings.data_dir, settings.idle_s, emit, self._clock)
        self._prices: list[PriceReading] = []
        self._guard = PriceGuard(guard_policy(settings), emit)
        self._doubtful: Doubtful | None = None
        self._broken = False
        self._poor = False
        self._turn = asyncio.Lock()

    async def run(self, stop: asyncio.Event, blocks: int | None = None) -> int:
        """The loop, until `stop` is set or `blocks` blocks were handled. Returns the exit code (0, or 5).

        Raises OperatorError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            make_directory(self.settings.data_dir)
            signer = await asyncio.to_thread(signer_of, self.settings) if self.settings.live else None
            keeper = signer.address if signer else b""
            wiring = await _unless(stop, wire(self.settings, self._emit, self._clock, keeper))
            if wiring is None:
                return 0
            stack.push_async_callback(wiring.chain.close)

            async def replan() -> None:
                await self._replan(wiring, self.execution)

            building = build_execution(
                self.settings,
                self.policy,
                wiring.chain,
                wiring.protocol,
                wiring.deployment,
                signer,
                self._emit,
                replan=replan,
            )
            execution = await _unless(stop, building)
            if execution is None:
                return 0
            stack.push_async_callback(execution.close)
            self.execution = execution
            follower = Follower(
                wiring.chain.reader,
                wiring.protocol,
                wiring.deployment.start_block,
                self._emit,
                self.settings.undo_blocks,
                self.settings.audit_accounts,
                beside=self._guard.calls,
            )
            self._reporter.started(wiring.protocol.name, self.settings.chain_id, self.settings.live, execution.address)
            reason = "failed"
            try:
                reason = await self._loop(stop, blocks, wiring, execution, follower)
            finally:
                await execution.drain(DRAIN_S)
                self._reporter.stopped(reason)
        return 5 if self._broken else 0

    async def _loop(
        self, stop: asyncio.Event, blocks: int | None, wiring: Wiring, execution: Execution, follower: Follower
    ) -> str:
        handled = 0
        heads = wiring.chain.heads(self.settings.poll_interval_s)
        async for head in _until(stop, heads):
            try:
                turn = asyncio.ensure_future(self._block(head, wiring, execution, follower))
                handled += await _ended(turn, stop, execution)
            except Transient as error:
                self._emit(Event(NODE_DOWN, f"block {head} is left out: {error}", head.number, {"error": str(error)}))
                follower.look_again()
                heads.again(head)
            except InvariantBroken as error:
                if self.snapshot is None:
                    raise  # there is nothing to watch
                self._broken = True
                execution.hold(f"an invariant broke: {error}")
                handled += 1
            if blocks is not None and handled >= blocks:
                return f"{handled} blocks handled"
        return "asked to stop"

    async def _block(self, head: BlockRef, wiring: Wiring, execution: Execution, follower: Follower) -> int:
        """One turn of the loop. Returns how many blocks were handled: 0 when the head brought nothing new."""
        async with self._turn:
            return await self._handle(head, wiring, execution, follower)

    async def _handle(self, head: BlockRef, wiring: Wiring, execution: Execution, follower: Follower) -> int:
        started = time.perf_counter()
        advance = await follower.advance(head)
        if advance is None:
            return 0
        snapshot = advance.snapshot
        self._times.saw(snapshot.block)
        timestamp = self._times.next_timestamp(snapshot.block)
        self._audit(advance, execution)
        await execution.follow(snapshot)
        assessment = assess(wiring.protocol, snapshot, timestamp)
        self._judge_prices(advance, timestamp, wiring.protocol)
        self._native.at(wiring.protocol, snapshot, timestamp)  # a name that no price has is told at once
        if assessment.unsafe:
            await self._liquidate(snapshot, assessment, timestamp, wiring, execution)
        else:
            self._reporter.rejected(unjudged(assessment), snapshot.block.number)
        self._reporter.block(advance.logs, snapshot.block, assessment, time.perf_counter() - started)
        self._reporter.state(
            snapshot.block, assessment, execution.in_flight().count, execution.held, self._prices, execution.role
        )
        self.snapshot, self.assessment = snapshot, assessment
        return 1

    async def _replan(self, wiring: Wiring, execution: Execution) -> None:
        """What a keeper that took over does at once: the last block's plans, for which the next may be too late."""
        async with self._turn:
            if self.snapshot is None or self.assessment is None or not self.assessment.unsafe:
                return
            timestamp = self._times.next_timestamp(self.snapshot.block)
            with suppress(Transient):
                await execution.follow(self.snapshot)  # what the other sent may be mined by now
                await self._liquidate(self.snapshot, self.assessment, timestamp, wiring, execution)

    async def _liquidate(
        self, snapshot: Snapshot, assessment: Assessment, timestamp: int, wiring: Wiring, execution: Execution
    ) -> None:
        if wiring.chain.problem:
            return  # the chain has said why nothing can be decided
        doubtful = self._doubtful
        if doubtful is None or doubtful.snapshot.block != snapshot.block:
            return
        sure, held = doubtful.split(assessment)
        funds = await self._funds(snapshot, timestamp, wiring, execution)
        in_flight = execution.in_flight()
        while True:
            schedule = choose(wiring.protocol, snapshot, sure, timestamp, self.policy, funds, in_flight)
            sure, unworthy = doubtful.worthy(schedule.plans, sure, self.policy.min_profit_wad)
            if not unworthy:
                break
            held += unworthy  # and once more without them, so that they take nobody's place
        if any(item.reason in _UNAFFORDABLE for item in schedule.rejected):
            execution.wanted()
        self._watch_purse(schedule.rejected, funds, snapshot.block)
        unsent = await execution.submit(schedule.plans, snapshot, timestamp)
        self._reporter.rejected([*schedule.rejected, *held, *unsent], snapshot.block.number)

    async def _funds(self, snapshot: Snapshot, timestamp: int, wiring: Wiring, execution: Execution) -> Funds:
        """Balances at the snapshot's block; without a signer the purse is taken for bottomless."""
        price = self._native.at(wiring.protocol, snapshot, timestamp)
        tokens = wiring.protocol.purse(snapshot.state)
        if execution.address is None:
            return Funds(UNLIMITED, price, dict.fromkeys(tokens, UNLIMITED))
        balances, native = await asyncio.gather(
            token_balances(wiring.chain, snapshot.block, wiring.deployment.holder, tokens),
            wiring.chain.reader.balance(execution.address, snapshot.block),
        )
        in_flight = execution.in_flight()
        left = {token: max(amount - in_flight.spends.get(token, 0), 0) for token, amount in balances.items()}
        return Funds(max(native - in_flight.native, 0), price, left)

    def _watch_purse(self, rejected: Sequence[Rejected], funds: Funds, block: BlockRef) -> None:
        """Say once that plans are left out for want of funds; each block looks again."""
        short = next((item for item in rejected if item.reason is Rejection.INSUFFICIENT_FUNDS), None)
        if short and not self._poor:
            fields = {"token": "", "balance": str(funds.native), "needed": short.message}
            self._emit(
                Event(FUNDS_LOW, f"{checksum(short.account)} is left out, {short.message}", block.number, fields)
            )
        self._poor = short is not None

    def _judge_prices(self, advance: Advance, timestamp: int, protocol: Protocol) -> None:
        """Say what is wrong with the block's prices, and keep what that means for accounts."""
        snapshot = advance.snapshot
        prices = protocol.prices(snapshot, timestamp)
        for event in price_events(prices, self._prices, self.settings.max_price_move, snapshot.block.number):
            self._emit(event)
        self._prices = prices
        answers = answers_by_contract(protocol.reads(snapshot.state), advance.answers)
        verdict = self._guard.judge(snapshot.block, prices, answers, advance.beside)
        self._doubtful = Doubtful(protocol, snapshot, advance.answers, verdict, timestamp)

    def _audit(self, advance: Advance, execution: Execution) -> None:
        for mismatch in advance.mismatches:
            self._broken = True
            account = checksum(mismatch.account)
            message = f"local health of {account} differs from the contract's: {mismatch.difference}"
            fields = {"account": account, "difference": mismatch.difference}
            self._emit(Event(BOOK_PARITY_FAILED, message, advance.snapshot.block.number, fields))
            execution.hold(message, BreakerName.PARITY)


async def token_balances(chain: Chain, block: BlockRef, owner: bytes, tokens: list[bytes]) -> dict[bytes, int]:
    """Units of each token at a block. Raises Transient when a token does not answer."""
    balance_of = _ERC20.functions["balanceOf"]
    results = await chain.reader.read(block, [Call(token, balance_of.encode(owner)) for token in tokens])
    balances = {}
    for token, result in zip(tokens, results, strict=True):
        if not result.ok or len(result.data) < 32:
            raise Transient(f"token {checksum(token)} does not answer balanceOf")
        balances[token] = balance_of.decode(result.data)[0]
    return balances


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of a part of the start; None when the keeper is asked to stop before it is there."""
    task = asyncio.ensure_future(work)
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def _ended(turn: asyncio.Future[int], stop: asyncio.Event, execution: Execution) -> int:
    """What a turn came to. One that is under way when the keeper is asked to stop sends nothing new, finishes what it
    is sending and notes it; after DRAIN_S it is left to the next start.
    """
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not turn.done():
            await execution.drain(DRAIN_S)
            await asyncio.wait({turn}, timeout=LAST_S)
        return turn.result() if turn.done() else 0
    finally:
        for task in (turn, stopping):
            task.cancel()
        await asyncio.gather(turn, stopping, return_exceptions=True)


async def _until(stop: asyncio.Event, heads: AsyncIterator[BlockRef]) -> AsyncIterator[BlockRef]:
    """Heads until `stop` is set, even while none comes."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[BlockRef] | None = None
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(heads))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            yield coming.result()
    finally:
        tasks = [task for task in (coming, stopping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def make_directory(path: Path) -> None:
    """The data directory. Raises OperatorError when it cannot be made or written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise OperatorError(f"KEEPER_DATA_DIR: cannot make {path}: {error.strerror}") from None
    if not writable:
        raise OperatorError(f"KEEPER_DATA_DIR: {path} is not writable")
