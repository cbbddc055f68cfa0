"""The error families. Each one implies what the code that catches it does."""


class KeeperError(Exception):
    """Base of every error that this program raises on purpose."""


class OperatorError(KeeperError):
    """Something that only the operator can fix: one line with what happened, which setting, and what to do.

    `exit_code`: 2 wrong settings or input, 3 another keeper holds this signer, 4 preflight failed.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NoJournal(OperatorError):
    """There is no journal yet: nothing was ever sent."""


class Transient(KeeperError):
    """A node, relay or signer gave no usable answer: retry, or ask another. The state of the chain is unknown."""


class Unwritable(KeeperError):
    """The journal cannot be written now: nothing is signed and nothing is sent until it can."""


class JournalUnavailable(Unwritable):
    """The journal's database took no write, or answered no read: a full disk, a locked file, a server that is gone."""


class LeaseLost(Unwritable):
    """Another keeper may write the journal now: this one signs and sends nothing more."""


class Refused(KeeperError):
    """A definite refusal for one account or one call: skip it, with the reason.

    `code`: one of `keeper.model.refusal.RefusalCode`; a plug-in may use a word of its own.
    """

    def __init__(self, code: str, message: str = "", data: bytes = b"") -> None:
        super().__init__(message or code)
        self.code = code
        self.data = data


class InvariantBroken(KeeperError):
    """Something that must never happen: stop sending, and alert a person. Exit code 5."""


class JournalAltered(InvariantBroken):
    """A row of the journal is not as it was written or signed: nothing is signed or sent from it.

    `intent_id`: the intent of the row; 0 where no intent is known.
    """

    def __init__(self, message: str, intent_id: int = 0) -> None:
        super().__init__(message)
        self.intent_id = intent_id
