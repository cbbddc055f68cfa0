"""Assets that are skipped for a while, because what is sent for them would fail for account after account. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    if revert.action is RevertAction.RETRY:
        return revert.is_foreign
    return revert.action in (RevertAction.HOLD, RevertAction.BUG)


@dataclass(slots=True)
class _AssetRecord:
    """What is known of one asset. Each further quarantine is twice as long, until one simulation succeeds."""

    failures: set[tuple[bytes, int]] = field(default_factory=set)  # account, block
    reason: str = ""
    until_block: int = 0
    blocks: int = FIRST_BLOCKS

    @property
    def is_sure(self) -> bool:
        """More than one account or attempt, in more than one block."""
        return len(self.failures) > 1 and len({block for _, block in self.failures}) > 1


class Quarantine:
    """Counts failures by asset. One account that fails is its own; what fails again in another block is the asset's."""

    def __init__(self) -> None:
        self._cases: dict[str, _AssetRecord] = {}

    def failed(self, key: str, account: bytes, reason: str, block: int, sure: bool = False) -> int:
        """Count a failure. The block until which the asset is quarantined, when this one did it; else 0."""
        case = self._cases.setdefault(key, _AssetRecord())
        case.failures.add((account, block))
        if block < case.until_block or not (sure or case.is_sure):
            return 0
        case.reason, case.until_block = reason, block + case.blocks
        case.blocks = min(2 * case.blocks, MOST_BLOCKS)
        return case.until_block

    def succeeded(self, key: str) -> None:
        """A simulation went through: the asset is as good as any."""
        self._cases.pop(key, None)

    def closed(self, block: int) -> Mapping[str, str]:
        """What is quarantined at a block, and why."""
        return {key: case.reason for key, case in self._cases.items() if case.until_block > block}
