"""The status file: the daemon's newest state, for `keeper status`, which needs no network."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from keeper.errors import OperatorError

FILE_NAME = "status.json"


@dataclass(slots=True)
class Status:
    """The state of a running keeper. Integers beyond 2**53 are strings."""

    version: str
    pid: int
    live: bool
    protocol: str
    chain_id: int
    signer: str | None
    started_at: float  # unix seconds
    updated_at: float = 0.0
    stopped: str = ""  # reason, when it has ended
    block: int = 0
    block_hash: str = ""
    block_time: int = 0
    accounts: int = 0
    active: int = 0
    unsafe: int = 0
    unpriced: int = 0
    nearest_account: str | None = None
    nearest_health: float | None = None
    in_flight: int = 0
    held: str = ""  # reason, while sending is held
    role: str = ""  # among keepers that share the signer: leads or stands by
    blocks_seen: int = 0
    problems: list[str] = field(default_factory=list)  # prices that cannot be used
    cooling: dict[str, int] = field(default_factory=dict)  # account -> first block in which it is tried again
    quarantined: dict[str, str] = field(default_factory=dict)  # kind and subject -> why it is skipped

    @property
    def running(self) -> bool:
        """Whether the keeper that wrote this is alive."""
        return not self.stopped and _is_alive(self.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists, and belongs to another user
    return True


def write_status(directory: Path, status: Status) -> None:
    """Replace the status file whole, so that a reader never sees half of it. Raises OSError."""
    path = directory / FILE_NAME
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(status)) + "\n")
    draft.replace(path)


def read_status(directory: Path) -> Status:
    """Raises OperatorError when there is none or it cannot be read."""
    path = directory / FILE_NAME
    try:
        return Status(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise OperatorError(f"no keeper has run with KEEPER_DATA_DIR={directory}: start `keeper run` first") from None
    except (OSError, ValueError, TypeError) as error:
        raise OperatorError(f"{path} cannot be read ({error}): remove it and start `keeper run` again") from None
