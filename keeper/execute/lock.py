"""One writer for each journal: an operating-system lock that ends with its process, however it ends."""

import fcntl
import os
from pathlib import Path

from keeper.errors import OperatorError


class WriterLock:
    """Holds the lock file from construction to `close`. Raises OperatorError (exit code 3) when another holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperatorError(f"KEEPER_DATA_DIR: cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            named = f" (process {holder})" if holder.isdigit() else ""
            raise OperatorError(
                f"another keeper holds this signer{named}: stop it, or set another signer and KEEPER_DATA_DIR",
                exit_code=3,
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name. Callable twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
