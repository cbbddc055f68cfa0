"""The right to write a journal and to send: one keeper has it at a time."""

from typing import Protocol

from sqlalchemy import Connection

HELD = 3  # the exit code when another keeper holds what this one needs


class WriteRight(Protocol):
    """The right to write one signer's journal and to send its transactions, from `take` to `close`."""

    def take(self) -> None:
        """Raises OperatorError (exit code 3) when another keeper has it."""
        ...

    def fence(self, connection: Connection) -> None:
        """Called in each writing transaction. Raises LeaseLost when another keeper has the right now."""
        ...

    def is_valid(self) -> bool:
        """Whether bytes may be sent now. Asks no database."""
        ...

    def renew(self) -> None:
        """Extend it. Raises LeaseLost; then it is lost for good."""
        ...

    def close(self) -> None:
        """Give it back. Callable twice."""
        ...
