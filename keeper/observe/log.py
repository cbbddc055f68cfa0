"""The log: JSON lines and terminal output, both without secrets and written off the event loop."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from keeper.clock import Clock, iso
from keeper.errors import OperatorError
from keeper.model.events import LOG_MESSAGE, Event
from keeper.redact import Redactor

if TYPE_CHECKING:
    from loguru import Record

_LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}
_TERMINAL = "<dim>{time:HH:mm:ss}</dim> <level>{level:<8}</level> <cyan>{extra[event]:<18}</cyan> {message}"


def json_line(event: Event, level: str, message: str, now: float) -> str:
    """One line of the JSON log: ts, level, event, block, message, then the event's fields."""
    common = {"ts": iso(now), "level": level, "event": event.kind.code, "block": event.block, "message": message}
    return json.dumps({**common, **{k: v for k, v in event.fields.items() if k not in common}}, default=str)


class _Intercept(logging.Handler):
    """Passes log records of the standard library to the log, as `log.message`."""

    def __init__(self, log: "EventLog") -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        level = level if record.levelno >= logging.WARNING else "debug"
        self._log.write(Event(LOG_MESSAGE, record.getMessage(), None, {"logger": record.name}), level)


class EventLog:
    """A listener that writes each event to the sinks. One at a time: loguru and logging are global to the process.

    terminal: least level shown to people on standard error, None for no terminal. json_path: file, or `-` for
    standard error. Raises OperatorError when the file cannot be written.
    """

    def __init__(self, terminal: str | None, json_path: str | None, secrets: Sequence[str], clock: Clock) -> None:
        self._redact = Redactor(secrets)
        self._clock = clock
        logger.remove()
        common: dict[str, Any] = {"enqueue": True, "diagnose": False, "backtrace": False, "catch": True}
        if terminal is not None and json_path != "-":
            logger.add(sys.stderr, level=_LEVELS[terminal], format=self._for_people, **common)
        if json_path is not None:
            logger.add(self._sink(json_path), level="DEBUG", format=_for_programs, colorize=False, **common)
        self._handler = _Intercept(self)
        logging.basicConfig(handlers=[self._handler], level=logging.INFO, force=True)

    def __call__(self, event: Event) -> None:
        self.write(event, str(event.kind.level))

    def write(self, event: Event, level: str) -> None:
        """Write one event at a given level."""
        clean = Event(event.kind, self._redact(event.message), event.block, self._redact.fields(event.fields))
        line = json_line(clean, level, clean.message, self._clock.now())
        logger.bind(event=event.kind.code, line=line).log(_LEVELS[level], "{}", clean.message)

    def close(self) -> None:
        """Write what is queued and remove the sinks."""
        logging.getLogger().removeHandler(self._handler)
        logger.remove()

    def _for_people(self, record: "Record") -> str:
        block = "" if record["extra"].get("block") is None else " {extra[block]}"
        return f"{_TERMINAL}{block}\n"

    @staticmethod
    def _sink(path: str) -> Any:
        if path == "-":
            return sys.stderr
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with Path(path).open("a"):
                return path
        except OSError as error:
            raise OperatorError(f"KEEPER_LOG_JSON: cannot write {path}: {error.strerror}") from None


def _for_programs(_: "Record") -> str:
    return "{extra[line]}\n"
