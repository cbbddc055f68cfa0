"""Assets that are skipped for a while, because what is sent for them would fail for account after account. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper.execute.tx.simulator import OUT_OF_GAS
from keeper.model.intent import Intent
from keeper.model.plan import Opportunity
from keeper.protocols.base import Revert, RevertAction

FIRST_BLOCKS = 10
MOST_BLOCKS = 640


def key_of(item: Opportunity | Intent) -> str:
    """What is quarantined together: one kind of liquidation of one asset."""
    return f"{item.kind} {item.subject}"


def is_assets(revert: Revert) -> bool:
    """May be the asset's fault: not the account's, and not a rule of the protocol that the next block may satisfy."""
    if revert is OUT_OF_GAS:  # our gas limit is too low
        return False
    if revert.action is RevertAction.RETRY:
        return revert.is_foreign
    return revert.action in (RevertAction.HOLD, RevertAction.BUG)


@dataclass(slots=True)
class _AssetRecord:
    """What is known of one asset since its last success. Each further quarantine is twice as long.

    `failures`: account and block of each since the last quarantine. `blamed`: accounts that failed before it.
    `on_chain`: some of them passed the simulation.
    """

    failures: set[tuple[bytes, int]] = field(default_factory=set)
    blamed: frozenset[bytes] = frozenset()
    on_chain: bool = False
    reason: str = ""
    until_block: int = 0
    blocks: int = FIRST_BLOCKS

    @property
    def is_sure(self) -> bool:
        """More than one account failed, in more than one block; after a quarantine one more account is enough."""
        accounts, blocks = {account for account, _ in self.failures}, {block for _, block in self.failures}
        return (len(accounts) > 1 and len(blocks) > 1) or (bool(self.blamed) and not accounts <= self.blamed)

    def suspicion(self, account: bytes) -> int:
        if any(account == other for other, _ in self.failures):
            return 2
        return int(account in self.blamed)


class Quarantine:
    """Counts failures by asset. An account that fails, however often, is its own; when a second one does, it is the
    asset's. Afterwards one account at a time is tried: a success ends it, the failure of one more account doubles it.
    """

    def __init__(self) -> None:
        self._cases: dict[str, _AssetRecord] = {}

    def failed(
        self, key: str, account: bytes, reason: str, block: int, *, sure: bool = False, on_chain: bool = False
    ) -> int:
        """Count a failure. The block until which the asset is quarantined, when this one did it; else 0.

        sure: one is enough. on_chain: it reverted when mined, so that a simulation that succeeds says nothing.
        """
        case = self._cases.setdefault(key, _AssetRecord())
        case.on_chain |= on_chain or sure
        if block < case.until_block:
            return 0
        case.failures = {(who, when) for who, when in case.failures if when > block - MOST_BLOCKS} | {(account, block)}
        if not (sure or case.is_sure):
            return 0
        case.blamed |= {account for account, _ in case.failures}
        case.reason, case.until_block, case.failures = reason, block + case.blocks, set()
        case.blocks = min(2 * case.blocks, MOST_BLOCKS)
        return case.until_block

    def simulated(self, key: str) -> None:
        """A simulation succeeded: the asset is as good as any, unless it failed on chain."""
        if (case := self._cases.get(key)) and not case.on_chain:
            del self._cases[key]

    def succeeded(self, key: str) -> None:
        """A transaction succeeded on chain."""
        self._cases.pop(key, None)

    def closed(self, block: int) -> Mapping[str, str]:
        """What is quarantined at a block, and why."""
        return {key: case.reason for key, case in self._cases.items() if case.until_block > block}

    def probes(self, key: str) -> bool:
        """Whether only one account at a time is tried: it was quarantined, and nothing succeeded since."""
        return (case := self._cases.get(key)) is not None and case.until_block > 0

    def suspicion(self, key: str, account: bytes) -> int:
        """How poor a probe the account is: 2 when it failed since the last quarantine, 1 when before it, else 0."""
        return self._cases[key].suspicion(account) if self.probes(key) else 0
