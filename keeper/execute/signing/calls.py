"""Which calls the key may sign now: those that the adapter permits in the newest block, within the limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from keeper.abi import checksum
from keeper.errors import InvariantBroken, Transient
from keeper.model.chain import Call
from keeper.model.limits import TradeLimits, dollars
from keeper.model.stakes import Stakes
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.permission import checks_calls

_REFUSED = "refused to sign"


class LimitReached(Transient):
    """A limit of the operator forbids it now; it may be signed in a later block."""


@dataclass
class Budget:
    """What was signed in a block, against the limits of a block."""

    limits: TradeLimits
    messages: int = 0
    notional_wad: int = 0

    def refusal(self, stakes: Stakes | None, replaces: bool = False) -> str:
        """Why one more transaction is too many; empty when it is not. A replacement adds no notional."""
        most, largest = self.limits.messages_block, self.limits.notional_block_wad
        if most is not None and self.messages >= most:
            return f"{self.messages} transactions were signed in this block, KEEPER_MAX_MESSAGES_BLOCK is {most}"
        if largest is None or replaces:
            return ""
        if stakes is None or stakes.notional_wad is None:
            return "its notional is unknown, and KEEPER_MAX_NOTIONAL_USD_BLOCK is set"
        total = self.notional_wad + stakes.notional_wad
        limit = f"KEEPER_MAX_NOTIONAL_USD_BLOCK is {dollars(largest)}"
        return f"with it the notional of this block is {dollars(total)}, {limit}" if total > largest else ""

    def take(self, stakes: Stakes | None) -> None:
        """Count one that is signed. Without stakes it adds no notional."""
        self.messages += 1
        self.notional_wad += (stakes.notional_wad or 0) if stakes else 0


class CallRules:
    """Which calls to the policy's targets may be signed: none."""

    def see(self, snapshot: Snapshot) -> None:
        """Judge by this block from now on."""

    def check(self, call: Call, replaces: bool) -> Stakes | None:  # noqa: ARG002
        """What a call that may be signed is about. `replaces`: bytes that were signed before.

        Raises InvariantBroken for a call that must never be signed, LimitReached for one that may be later.
        """
        raise InvariantBroken(f"{_REFUSED}: a call to 0x{call.to.hex()}")

    def signed(self, stakes: Stakes | None) -> None:
        """Count a signature. No stakes: of a replacement, an approval or a transfer to itself."""

    def accounts_of(self, call: Call) -> tuple[bytes, ...]:  # noqa: ARG002
        """The accounts that a call is about, as far as known."""
        return ()

    def refusals(self, calls: Sequence[Call]) -> list[str]:
        """For calls that are to be signed in one block, in this order: why the limits forbid each, empty if not."""
        return [""] * len(calls)


class AnyCall(CallRules):
    """All calls to the targets, whatever they say."""

    def check(self, call: Call, replaces: bool) -> Stakes | None:  # noqa: ARG002
        return None


@dataclass(frozen=True)
class ExactCall(CallRules):
    """One call and no other."""

    call: Call

    def check(self, call: Call, replaces: bool) -> Stakes | None:
        return None if call == self.call else super().check(call, replaces)


@dataclass
class AdapterCalls(CallRules):
    """Calls that `Protocol.permits` allows, of accounts in the book, within the limits.

    An adapter without `permits` may make every call to the targets.
    """

    protocol: Protocol
    limits: TradeLimits = field(default_factory=TradeLimits)
    _snapshot: Snapshot | None = None
    _budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self._budget = Budget(self.limits)
        self._checks = checks_calls(self.protocol)

    def see(self, snapshot: Snapshot) -> None:
        if self._snapshot is None or snapshot.block.number != self._snapshot.block.number:
            self._budget = Budget(self.limits)
        self._snapshot = snapshot

    def check(self, call: Call, replaces: bool) -> Stakes | None:
        """An account that no longer holds what a replacement is about is no reason to stop: it may have been faster."""
        snapshot = self._snapshot
        if snapshot is None:
            raise LimitReached("no block was read yet")
        if self._checks and (why := self.protocol.permits(snapshot.state, call)):
            raise InvariantBroken(f"{_REFUSED}: {why}")
        stakes = self.protocol.stakes(snapshot, call) if self._checks else None
        if stakes and (why := _contradiction(stakes, snapshot)):
            raise LimitReached(why) if replaces else InvariantBroken(f"{_REFUSED}: {why}")
        doubt = stakes.doubt if stakes else ""
        if why := doubt or self.limits.refusal(stakes) or self._budget.refusal(stakes, replaces):
            raise LimitReached(why)
        return None if replaces else stakes

    def signed(self, stakes: Stakes | None) -> None:
        self._budget.take(stakes)

    def accounts_of(self, call: Call) -> tuple[bytes, ...]:
        stakes = self._stakes(call)
        return stakes.accounts if stakes else ()

    def refusals(self, calls: Sequence[Call]) -> list[str]:
        budget, found = replace(self._budget), list[str]()
        for call in calls:
            stakes = self._stakes(call) if self.limits.any else None
            why = self.limits.refusal(stakes) or budget.refusal(stakes)
            if not why:
                budget.take(stakes)
            found.append(why)
        return found

    def _stakes(self, call: Call) -> Stakes | None:
        """Of a call that is not checked yet. None where it is not permitted: it fails when it is to be signed."""
        snapshot = self._snapshot
        if snapshot is None or not self._checks or self.protocol.permits(snapshot.state, call):
            return None
        return self.protocol.stakes(snapshot, call)


def _contradiction(stakes: Stakes, snapshot: Snapshot) -> str:
    """Why the book's accounts do not fit the call."""
    strangers = [account for account in stakes.accounts if snapshot.columns.accounts.row(account) is None]
    return f"account {checksum(strangers[0])} is not in the book" if strangers else stakes.misfit
