"""Why an account or a call is refused: the codes of `keeper.errors.Refused`."""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Stable words: they stand in JSON and events. A plug-in may give any other word, which counts as `UNSUPPORTED`."""

    UNPRICED = "unpriced"  # the contract itself would revert for want of a price
    UNSUPPORTED = "unsupported"  # this case is not handled
    HOLD = "hold"  # the protocol takes no liquidations now
    NO_LEGAL_SIZE = "no_legal_size"
    SENDING_NOT_ALLOWED = "sending_not_allowed"
