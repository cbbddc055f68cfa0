"""File locks: one writer on one machine."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from keeper.errors import OperatorError
from keeper.execute.leadership.right import HELD

# The runtime directory of deploy/keeper.service, and a volume of containers: both have a /tmp that nobody else sees.
SHARED = Path("/run/keeper")


class WriterLock:
    """An operating-system lock on a file: it ends with its process, however that ends.

    Held from construction to `close`. Raises OperatorError (exit code 3) when another process holds it. `shared`:
    others may hold it, too, but nobody alone. `what` is held, in the words of the error.
    """

    def __init__(self, path: Path, shared: bool = False, what: str = "this signer") -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise OperatorError(f"KEEPER_DATA_DIR: cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            named = f" (process {holder})" if holder.isdigit() else ""
            raise OperatorError(
                f"another keeper holds {what}{named}: stop it, or set another signer and KEEPER_DATA_DIR",
                exit_code=HELD,
            ) from None
        with suppress(OSError):  # a full disk: the lock holds, only its holder is not named
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Release the lock. The file stays, or two processes could lock two files of one name. Callable twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_directory(data_dir: Path) -> WriterLock:
    """The lock of a data directory, for one live keeper, leading or standing by. Raises OperatorError."""
    return WriterLock(data_dir / "keeper.lock", what=f"the data directory {data_dir}")


class FileLocks:
    """The right to write by file locks: no other process can take them while this one runs."""

    def __init__(self, locks: Sequence[WriterLock]) -> None:
        self._locks = locks

    def take(self) -> None:
        """The locks are held since they were made."""

    def fence(self, connection: Connection) -> None:
        """The holder of the locks is the only writer."""

    def is_valid(self) -> bool:
        return True

    def renew(self) -> None:
        """File locks do not expire."""

    def close(self) -> None:
        for lock in self._locks:
            lock.close()

    def __str__(self) -> str:
        return "the journal's file lock"


def lock_signer(signer: bytes, chain_id: int, genesis: bytes, shared: bool = False) -> WriterLock:
    """The lock of a key on a chain, wherever the journal lies: it detects a second keeper of this user on this machine.

    `genesis`: hash of the chain's first block, as development chains share their ids. `shared`: for keepers between
    which a lease decides. Raises OperatorError: exit code 3 when another keeper holds it.
    """
    return WriterLock(_runtime_dir() / f"{chain_id}-{genesis[:4].hex()}-{signer.hex()}.lock", shared)


def _runtime_dir() -> Path:
    """A directory of this user's own, the same one for each of its sessions and services, that a reboot empties."""
    if _is_own(SHARED) and os.access(SHARED, os.W_OK | os.X_OK):
        return SHARED
    user = os.getuid()
    login = Path(f"/run/user/{user}")
    path = login / "keeper" if os.access(login, os.W_OK) else Path(tempfile.gettempdir()) / f"keeper-{user}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot make {path} for the signer's lock: {error.strerror}") from None
    if not _is_own(path):
        raise OperatorError(f"{path} is not a directory of this user's own: remove it")
    return path


def _is_own(path: Path) -> bool:
    """Whether it is a directory, no link to one, and this user's."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def make_data_dir(path: Path) -> None:
    """The data directory. Raises OperatorError when it cannot be made or written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise OperatorError(f"KEEPER_DATA_DIR: cannot make {path}: {error.strerror}") from None
    if not writable:
        raise OperatorError(f"KEEPER_DATA_DIR: {path} is not writable")
