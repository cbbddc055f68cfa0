"""Find every unsafe account: float64 over all of them, exact integers for whatever the float cannot clear."""

import numpy as np

from keeper.errors import Refused
from keeper.model.assessment import Assessment, Nearest, Unsafe
from keeper.model.refusal import RefusalCode
from keeper.protocols.base import Protocol, Screen, Snapshot


def assess(protocol: Protocol, snapshot: Snapshot, timestamp: int) -> Assessment:
    """Every account at `timestamp`, the time at which a liquidation sent now would execute (seconds).

    An account is skipped only where its exact slack is above zero whatever the float64 error: all others are decided
    by `Protocol.health`. A slack that is NaN clears no account. Accounts that the adapter refuses are listed.
    """
    screen = protocol.screen(snapshot, timestamp)
    address = snapshot.columns.accounts.address
    suspects = np.flatnonzero(screen.active & ~screen.unpriced & ~_cleared(screen))
    unsafe: list[Unsafe] = []
    refused: dict[bytes, tuple[str, str]] = {}
    unpriced = [address(int(row)) for row in np.flatnonzero(screen.active & screen.unpriced)]
    others = screen.active & ~screen.unpriced
    for row in suspects.tolist():
        try:
            health = protocol.health(snapshot, row, timestamp)
        except Refused as refusal:
            refused[address(row)] = refusal.code, str(refusal)
            if refusal.code == RefusalCode.UNPRICED:
                unpriced.append(address(row))
            others[row] = False
            continue
        if health.liquidatable:
            unsafe.append(Unsafe(row, address(row), health))
            others[row] = False
    return Assessment(
        unsafe=tuple(sorted(unsafe, key=lambda account: (account.health.health_wad, account.address))),
        unpriced=tuple(sorted(unpriced)),
        accounts=len(screen.active),
        active=int(np.count_nonzero(screen.active)),
        decided=len(suspects),
        nearest=_nearest(snapshot, screen, others),
        refused=refused,
    )


def _cleared(screen: Screen) -> np.ndarray:
    """bool (rows,): slack certainly above zero. A protocol may liquidate at zero slack, so zero is not cleared."""
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is not above zero
        cleared: np.ndarray = screen.slack - screen.bound > 0
    return cleared


def _nearest(snapshot: Snapshot, screen: Screen, among: np.ndarray) -> Nearest | None:
    rows = np.flatnonzero(among & np.isfinite(screen.health))
    if rows.size == 0:
        return None
    row = int(rows[np.argmin(screen.health[rows])])
    return Nearest(snapshot.columns.accounts.address(row), float(screen.health[row]))
