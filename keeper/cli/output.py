"""What commands print: one JSON document, or tables for people; errors and reasons without secrets."""

import json
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from keeper.model.health import WAD, shown

if TYPE_CHECKING:
    from rich.table import Table

    from keeper.settings import Settings

_hide: ContextVar[Callable[[str], str]] = ContextVar("hide", default=str)


def hide_secrets_of(settings: "Settings") -> None:
    """Let `cleaned` hide what these settings keep secret."""
    from keeper.redact import Redactor
    from keeper.settings import secrets_of

    _hide.set(Redactor(secrets_of(settings)).hide)


def cleaned(text: str) -> str:
    """A text that others wrote, such as a database or a node, without the secrets of the settings that were read."""
    return _hide.get()(text)


def print_json(document: Any) -> None:
    """The document and a line break, on standard output."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> "Table":
    """A table whose columns in `right` are aligned to the right."""
    from rich.table import Table

    result = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return result


def show(*parts: Any) -> None:
    """Print as wide as the terminal, or 160 columns without one."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    for part in parts:
        console.print(part)


def dollars(value_wad: int) -> str:
    """Dollars in 1e18 as text with two decimals."""
    sign = "-" if value_wad < 0 else ""
    cents = (abs(value_wad) + WAD // 200) // (WAD // 100)
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"


def ratio(health_wad: int | None) -> str:
    """Health as text, `?` when it is unknown."""
    return "?" if health_wad is None else shown(health_wad)


def units(amount: int, decimals: int) -> str:
    """Token units as an exact decimal number."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole:,}" + (f".{digits}" if digits else "")
