"""The right to write a journal and to send: one keeper has it at a time."""

from typing import Protocol

from sqlalchemy import Connection

HELD = 3  # the exit code when another keeper holds what this one needs


class WriteRight(Protocol):
    """The right to write one signer's journal and to send what it holds, from `take` to `close`."""

    def take(self) -> None:
        """Raises OperatorError (exit code 3) when another keeper has it."""
        ...

    def fence(self, connection: Connection) -> None:
        """Called in each writing transaction. Raises LeaseLost when a newer keeper has written or may."""
        ...

    def is_valid(self) -> bool:
        """Whether bytes may leave now. Asks no database."""
        ...

    def renew(self) -> None:
        """Hold on to it for longer. Raises LeaseLost; then it is gone for good."""
        ...

    def close(self) -> None:
        """Give it back. Callable twice."""
        ...
