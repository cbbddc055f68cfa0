"""Reads files that hold keys, passwords or URLs with tokens, and refuses those that other users can read."""

import os
import shlex
import stat
from pathlib import Path

from keeper.errors import OperatorError

_OTHERS = 0o066  # read or write, for the group or for everybody


def read_secret(path: Path, key: str, allow_open: bool = False) -> str:
    """The text of a file, `key` being the setting that names it. Follows links: the mode is that of the real file.

    Raises OperatorError for an unreadable file and, unless `allow_open`, for one that other users can read or write.
    """
    try:
        with path.open() as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # of what is read, even when the path changes
            if mode & _OTHERS and not allow_open:
                raise OperatorError(
                    f"{key}: other users can read or write {path} (mode {mode:04o}): "
                    f"run `chmod 600 {shlex.quote(str(path))}`, or set KEEPER_ALLOW_OPEN_SECRETS=true "
                    "for secrets that a container mounts"
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise OperatorError(f"{key}: cannot read {path}: {reason}") from None
