"""The names of the breakers."""

from enum import StrEnum


class BreakerName(StrEnum):
    """The breakers, most important first."""

    KILL = "kill"
    INVARIANT = "invariant"
    PARITY = "parity"
    NONCE = "nonce"
    LOSS = "loss"
    GAS = "gas"
    REVERTS = "reverts"
    JOURNAL = "journal"
    REBUILT = "rebuilt"
