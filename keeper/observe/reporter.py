"""Reports each block as events and in the status file; what lasts for many blocks is reported once."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from keeper import __version__
from keeper.abi import checksum
from keeper.clock import Clock
from keeper.model.assessment import Assessment
from keeper.model.chain import BlockRef, hexed
from keeper.model.events import (
    ACCOUNT_UNSAFE,
    HEAD_NEW,
    KEEPER_IDLE,
    KEEPER_STARTED,
    KEEPER_STOPPED,
    PLAN_REJECTED,
    Emit,
    Event,
)
from keeper.model.health import shown
from keeper.model.plan import Rejected
from keeper.observe.state import Sending
from keeper.observe.status import Status, write_status
from keeper.protocols.base import PriceReading
from keeper.redact import Redactor


class Reporter:
    """Remembers what was reported: an account is reported when it becomes unsafe, not in every block."""

    def __init__(self, data_dir: Path, idle_s: float, emit: Emit, clock: Clock, redact: Redactor) -> None:
        self._data_dir = data_dir
        self._redact = redact  # for the file; listeners of events have their own
        self._idle_s = idle_s
        self._emit = emit
        self._clock = clock
        self._unsafe: set[bytes] = set()
        self._rejected: dict[bytes, str] = {}
        self._last_idle = float("-inf")
        self._status: Status | None = None

    def started(self, protocol: str, chain_id: int, live: bool, signer: bytes | None) -> None:
        """Report the start; `signer` is None in a dry run."""
        name = checksum(signer) if signer else None
        now = self._clock.now()
        self._status = Status(__version__, os.getpid(), live, protocol, chain_id, name, started_at=now)
        mode = f"live as {name}" if live else "dry run: nothing is signed or sent"
        fields = {"version": __version__, "protocol": protocol, "chain_id": chain_id, "live": live, "signer": name}
        self._emit(Event(KEEPER_STARTED, f"watching {protocol} on chain {chain_id}, {mode}", None, fields))

    def stopped(self, reason: str) -> None:
        """Report the end and its reason."""
        if self._status is not None:
            self._status.stopped = self._redact(reason)
            self._status.updated_at = self._clock.now()
            self._write(self._status)
        self._emit(Event(KEEPER_STOPPED, f"stopped: {reason}", None, {"reason": reason}))

    def block(self, logs: int, block: BlockRef, assessment: Assessment, elapsed_s: float) -> None:
        """Report a block, and the accounts that became liquidatable in it."""
        fields = {
            "hash": hexed(block.hash),
            "timestamp": block.timestamp,
            "base_fee_wei": str(block.base_fee),
            "logs": logs,
            "unsafe": len(assessment.unsafe),
            "elapsed_ms": round(elapsed_s * 1000, 2),
        }
        message = f"block {block}: {assessment.active} accounts, {len(assessment.unsafe)} unsafe"
        self._emit(Event(HEAD_NEW, message, block.number, fields))
        unsafe = {found.address: found.health for found in assessment.unsafe}
        for address, health in unsafe.items():
            if address in self._unsafe:
                continue
            fields = {
                "account": checksum(address),
                "health_wad": str(health.health_wad),
                "equity": str(health.equity),
                "requirement": str(health.requirement),
            }
            message = f"account {checksum(address)} is liquidatable at health {shown(health.health_wad)}"
            self._emit(Event(ACCOUNT_UNSAFE, message, block.number, fields))
        self._unsafe = set(unsafe)
        known = unsafe.keys() | assessment.refused.keys() | set(assessment.unpriced)
        self._rejected = {account: why for account, why in self._rejected.items() if account in known}

    def rejected(self, rejected: Sequence[Rejected], number: int) -> None:
        """Report accounts that are skipped, once for each account and reason."""
        for item in rejected:
            if self._rejected.get(item.account) == item.reason:
                continue
            self._rejected[item.account] = item.reason
            account = checksum(item.account)
            fields = {"account": account, "reason": str(item.reason), "health_wad": str(item.health_wad)}
            self._emit(Event(PLAN_REJECTED, f"account {account} skipped: {item.message}", number, fields))

    def state(
        self,
        block: BlockRef,
        assessment: Assessment,
        sending: Sending,
        prices: Sequence[PriceReading],
    ) -> None:
        """Write the status file, and the heartbeat when it is due."""
        status = self._status
        if status is None:
            return
        nearest = assessment.nearest
        status.updated_at = self._clock.now()
        status.block, status.block_hash, status.block_time = block.number, hexed(block.hash), block.timestamp
        status.accounts, status.active = assessment.accounts, assessment.active
        status.unsafe, status.unpriced = len(assessment.unsafe), len(assessment.unpriced)
        status.nearest_account = checksum(nearest.address) if nearest else None
        status.nearest_health = nearest.health if nearest else None
        in_flight = sending.in_flight()
        status.in_flight = in_flight.count
        status.held, status.role = self._redact(sending.held), self._redact(sending.role)
        status.cooling = {checksum(account): until for account, until in in_flight.cooling.items()}
        status.quarantined = dict(in_flight.quarantined)
        status.blocks_seen += 1
        status.problems = [f"{price.label}: {price.problem}" for price in prices if price.problem]
        self._write(status)
        if self._clock.monotonic() - self._last_idle >= self._idle_s:
            self._last_idle = self._clock.monotonic()
            self._heartbeat(status, block)

    def _write(self, status: Status) -> None:
        """The file is only for people to look at: a full disk must not stop the keeper."""
        with suppress(OSError):
            write_status(self._data_dir, status)

    def _heartbeat(self, status: Status, block: BlockRef) -> None:
        near = status.nearest_health
        text = "none has an open position" if near is None else f"lowest health {near:.4f}"
        fields = {
            "accounts": status.active,
            "nearest_health": None if near is None else round(near, 6),
            "nearest_account": status.nearest_account,
            "head_age_s": round(self._clock.now() - block.timestamp, 1),
            "in_flight": status.in_flight,
        }
        self._emit(Event(KEEPER_IDLE, f"watching {status.active} accounts, {text}", block.number, fields))
