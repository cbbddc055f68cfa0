"""Holds accounts that depend on a doubtful price, and drops plans that do not pay at the reference price.

It knows no protocol. An account depends on a feed when, with that feed's answer removed, its adapter refuses it as
unpriced or its equity is another by a dollar or more: dust of a collateral holds no account. A plan is valued again by
decoding the same reads with the reference price in the feed's place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keeper.defi.chainlink import answer_of, with_answer
from keeper.errors import Refused
from keeper.model.assessment import Assessment, Unsafe
from keeper.model.chain import Call, CallResult
from keeper.model.health import WAD
from keeper.model.plan import Plan, Rejected, Rejection
from keeper.model.refusal import RefusalCode
from keeper.protocols.base import Protocol, Snapshot
from keeper.risk.price_guard import Doubt, Verdict

_NOTHING = CallResult(False, b"")


@dataclass(frozen=True, slots=True)
class PriceFilter:
    """One block's snapshot, the answers that it was decoded from, and the verdict on them."""

    protocol: Protocol
    snapshot: Snapshot
    answers: Sequence[CallResult]
    verdict: Verdict
    timestamp: int

    def without_held(self, assessment: Assessment) -> tuple[Assessment, list[Rejected]]:
        """The assessment without held accounts, and the held ones with their reasons."""
        if self.verdict.stopped:
            held = [_rejected(account, self.verdict.stopped) for account in assessment.unsafe]
            return replace(assessment, unsafe=()), held
        reasons = self._reasons(assessment.unsafe, [doubt for doubt in self.verdict.doubts if not doubt.follow])
        kept = tuple(account for account in assessment.unsafe if account.row not in reasons)
        held = [_rejected(account, reasons[account.row]) for account in assessment.unsafe if account.row in reasons]
        return replace(assessment, unsafe=kept), held

    def without_unprofitable(
        self, plans: Sequence[Plan], assessment: Assessment, least_wad: int
    ) -> tuple[Assessment, list[Rejected]]:
        """The assessment without accounts whose plan depends on a doubtful price and is unprofitable at the reference.

        The removed accounts come second. A price without a reference counts as zero. least_wad: the least profit,
        dollars in 1e18.
        """
        followed = [doubt for doubt in self.verdict.doubts if doubt.follow]
        reasons = self._reasons(assessment.unsafe, followed)
        rows = {account.address: account for account in assessment.unsafe}
        executable = self._executable(followed) if reasons else self.snapshot
        refused = {
            plan.account: _rejected(account, f"{reasons[account.row]}; the plan is unprofitable at the reference price")
            for plan in plans
            if (account := rows[plan.account]).row in reasons and self._value_wad(plan, executable) < least_wad
        }
        kept = tuple(account for account in assessment.unsafe if account.address not in refused)
        return replace(assessment, unsafe=kept), list(refused.values())

    def _value_wad(self, plan: Plan, executable: Snapshot) -> int:
        """Dollars (1e18) after gas at the reference prices."""
        chosen = plan.opportunity
        worth = sum(self.protocol.value_wad(executable, token, units) for token, units in chosen.rewards.items())
        return plan.value_wad - chosen.reward_wad + worth

    def _reasons(self, accounts: Sequence[Unsafe], doubts: Sequence[Doubt]) -> dict[int, str]:
        """Row -> reason, for accounts that depend on a doubtful price."""
        reasons: dict[int, str] = {}
        for doubt in doubts:
            blind = self._read_again({doubt.feed: None})
            for account in accounts:
                if account.row not in reasons and self._depends(blind, account):
                    reasons[account.row] = str(doubt)
        return reasons

    def _depends(self, blind: Snapshot, account: Unsafe) -> bool:
        try:
            health = self.protocol.health(blind, account.row, self.timestamp)
        except Refused as refusal:
            return refusal.code == RefusalCode.UNPRICED
        return abs(health.equity - account.health.equity) >= WAD

    def _executable(self, doubts: Sequence[Doubt]) -> Snapshot:
        """The snapshot with each doubtful price replaced by its reference, or removed where there is none."""
        wanted: dict[bytes, Doubt | None] = {}
        for doubt in doubts:
            wanted[doubt.feed] = doubt if doubt.reference_wad is not None else None
        return self._read_again(wanted)

    def _read_again(self, wanted: Mapping[bytes, Doubt | None]) -> Snapshot:
        """The snapshot decoded again with these feeds' answers replaced by a reference price, or removed."""
        calls = self.protocol.reads(self.snapshot.state)
        results = [
            _instead(result, wanted[feed]) if (feed := _feed_of(call, wanted)) is not None else result
            for call, result in zip(calls, self.answers, strict=True)
        ]
        return replace(self.snapshot, readings=self.protocol.decode_reads(self.snapshot.state, results))


def _feed_of(call: Call, feeds: Mapping[bytes, object]) -> bytes | None:
    """The feed that a read is about: the one it calls, or whose address is in its data."""
    return next((feed for feed in feeds if call.to == feed or feed in call.data), None)


def _instead(result: CallResult, doubt: Doubt | None) -> CallResult:
    answer = answer_of(result)
    if doubt is None or doubt.reference_wad is None or answer is None:
        return _NOTHING
    return with_answer(result, answer * doubt.reference_wad // doubt.price_wad)


def _rejected(account: Unsafe, why: str) -> Rejected:
    return Rejected(account.address, Rejection.HOLD, why, account.health.health_wad)


def answers_by_contract(calls: Sequence[Call], results: Sequence[CallResult]) -> dict[bytes, CallResult]:
    """The last answer of each contract."""
    return {call.to: result for call, result in zip(calls, results, strict=True)}
