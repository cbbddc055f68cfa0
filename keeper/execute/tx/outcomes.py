"""From a receipt to an outcome in the books, to the wei."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.execute.tx.broadcaster import described, identity
from keeper.execute.tx.simulator import Simulator
from keeper.model.chain import Receipt, hexed
from keeper.model.events import TX_CANCELLED, TX_MINED, TX_REVERTED, Event
from keeper.model.health import WAD
from keeper.model.intent import APPROVE, FILL, NATIVE, Attempt, Intent, IntentState, Outcome
from keeper.protocols.base import Revert, RevertAction, Snapshot
from keeper.protocols.executor.batching import BATCH, members
from keeper.protocols.executor.logs import steps_failed

_TRANSFER = keccak(text="Transfer(address,address,uint256)")
_TRANSFER_TOPICS = 3
_LONGEST_REASON = 500  # characters

PriceOfNative = Callable[[Snapshot], int]


@dataclass(frozen=True, slots=True)
class Result:
    """How an intent ended. `retry`: it reverted for a reason that may be gone in the next block, as a moved price.

    `failed`: the accounts whose liquidation reverted on chain. `lost`: all of them because somebody was first.
    """

    state: IntentState
    outcome: Outcome
    retry: bool = False
    failed: tuple[bytes, ...] = ()
    lost: bool = False


class OutcomeBuilder:
    """Decides what a mined transaction achieved. `native_price`: dollars (1e18) of the native coin at a snapshot."""

    def __init__(self, simulator: Simulator, keeper: bytes, native_price: PriceOfNative) -> None:
        self._protocol = simulator.protocol
        self._simulator = simulator
        self.keeper = keeper
        self.native_price = native_price

    async def book(self, intent: Intent, attempt: Attempt, receipt: Receipt, snapshot: Snapshot) -> Result:
        """The end of an intent. Gas and data are paid in any case; rewards come from the transaction's own logs."""
        profit = {NATIVE: -receipt.gas_used * receipt.effective_gas_price - receipt.data_fee}
        if attempt.cancels:
            return Result(IntentState.CANCELLED, self._outcome(receipt, profit, "", snapshot))
        if receipt.status != 1:
            return await self._book_revert(intent, receipt, profit, snapshot)
        if intent.kind == APPROVE:
            return Result(IntentState.MINED, self._outcome(receipt, profit, "", snapshot))
        if intent.kind == BATCH:
            return self._book_batch(intent, receipt, profit, snapshot)
        achieved = self._protocol.achieved(snapshot.state, intent.account, self.keeper, receipt.logs)
        if achieved is None:
            return _reverted(self._outcome(receipt, profit, "no_effect", snapshot), [intent.account])
        problem = ""
        for token, units in achieved.rewards.items():
            moved = self._moved(token, receipt)
            if moved not in (None, units):
                problem = f"the token moved {moved} units instead of {units}"
            profit[token] = profit.get(token, 0) + (units if moved is None else moved)
        return Result(IntentState.MINED, self._outcome(receipt, profit, problem, snapshot, achieved.bad_debt_wad))

    async def _book_revert(
        self, intent: Intent, receipt: Receipt, profit: dict[bytes, int], snapshot: Snapshot
    ) -> Result:
        if receipt.gas_used >= intent.gas_limit:
            return _reverted(self._outcome(receipt, profit, "out_of_gas", snapshot), members(intent))
        revert = await self._simulator.why_it_reverted(intent, receipt)
        outcome = self._outcome(receipt, profit, str(revert or "unknown"), snapshot)
        return _reverted(outcome, members(intent), [revert] if revert else [])

    def _book_batch(self, intent: Intent, receipt: Receipt, profit: dict[bytes, int], snapshot: Snapshot) -> Result:
        """The sum of its steps, and the reasons of those that failed."""
        accounts = members(intent)
        each = [self._protocol.achieved(snapshot.state, account, self.keeper, receipt.logs) for account in accounts]
        found = [achieved for achieved in each if achieved is not None]
        for achieved in found:
            for token, units in achieved.rewards.items():
                profit[token] = profit.get(token, 0) + units
        failed = [
            (accounts[step.index], self._protocol.explain(step.reason))
            for step in steps_failed(intent.to, receipt.logs)
        ]
        named = "; ".join(f"{checksum(account)}: {revert}" for account, revert in failed)
        reason = named[:_LONGEST_REASON] if found else "no_effect"
        bad_debt_wad = sum(achieved.bad_debt_wad for achieved in found)
        outcome = self._outcome(receipt, profit, reason, snapshot, bad_debt_wad)
        reverts = [revert for _, revert in failed]
        if not found:
            return _reverted(outcome, accounts, reverts)
        lost = all(revert.is_lost_race for revert in reverts)
        return Result(IntentState.MINED, outcome, failed=tuple(account for account, _ in failed), lost=lost)

    def _moved(self, token: bytes, receipt: Receipt) -> int | None:
        """Units that the keeper gained by the token's Transfer logs, net of a transfer fee; None without such logs.

        Transfer(address indexed from, address indexed to, uint256 value) of EIP-20.
        """
        moves = [
            (log.topics[1][12:], log.topics[2][12:], int.from_bytes(log.data, "big"))
            for log in receipt.logs
            if log.address == token and len(log.topics) == _TRANSFER_TOPICS and log.topics[0] == _TRANSFER
        ]
        ours = [units * ((to == self.keeper) - (source == self.keeper)) for source, to, units in moves]
        return sum(ours) if any(self.keeper in move[:2] for move in moves) else None

    def _outcome(
        self, receipt: Receipt, profit: dict[bytes, int], reason: str, snapshot: Snapshot, bad_debt_wad: int = 0
    ) -> Outcome:
        return Outcome(
            tx_hash=receipt.tx_hash,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            status=receipt.status,
            gas_used=receipt.gas_used,
            effective_gas_price=receipt.effective_gas_price,
            profit=profit,
            reason=reason,
            value_wad=self._value(profit, snapshot),
            bad_debt_wad=bad_debt_wad,
        )

    def _value(self, profit: Mapping[bytes, int], snapshot: Snapshot) -> int:
        tokens = {token: units for token, units in profit.items() if token != NATIVE}
        native = profit.get(NATIVE, 0) * self.native_price(snapshot) // WAD
        return native + sum(self._protocol.value_wad(snapshot, token, units) for token, units in tokens.items())


def _reverted(outcome: Outcome, accounts: Sequence[bytes], reverts: Sequence[Revert] = ()) -> Result:
    """The end of a transaction that achieved nothing. `reverts`: the reasons known; none when they are unknown."""
    known = bool(reverts)
    retry = known and all(revert.action is RevertAction.RETRY for revert in reverts)
    lost = known and all(revert.is_lost_race for revert in reverts)
    return Result(IntentState.REVERTED, outcome, retry, tuple(accounts), lost)


def booked_event(intent: Intent, why: str) -> Event:
    """The event of a settled intent. `why`: the reason of a cancellation."""
    outcome = intent.outcome
    assert outcome is not None
    fields: dict[str, object] = {**identity(intent), "hash": hexed(outcome.tx_hash)}
    number = outcome.block_number
    if intent.state is IntentState.CANCELLED:
        cancelled = f"tx cancelled: {described(intent)}: {why}"
        if intent.kind == FILL:
            cancelled = f"nonce gap {intent.nonce} filled by a self-transfer"
        return Event(
            TX_CANCELLED,
            cancelled,
            number,
            {**identity(intent), "reason": why},
        )
    fields["gas_used"] = outcome.gas_used
    if intent.state is IntentState.REVERTED:
        message = f"tx reverted: {described(intent)}, block {number}: {outcome.reason}"
        return Event(TX_REVERTED, message, number, {**fields, "reason": outcome.reason})
    fields |= {
        "effective_gas_price_wei": str(outcome.effective_gas_price),
        "profit": {hexed(token): str(units) for token, units in outcome.profit.items()},
        "profit_usd": round(outcome.value_wad / WAD, 6),
        "bad_debt_usd": round(outcome.bad_debt_wad / WAD, 6),
    }
    message = f"tx mined: {described(intent)}, block {number}: {outcome.value_wad / WAD:+.2f} USD after gas"
    if intent.kind == BATCH and outcome.reason:
        message += f"; failed steps: {outcome.reason}"
    return Event(TX_MINED, message, number, fields)
