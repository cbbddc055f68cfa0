"""Options that several commands share, and the settings behind them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.settings import Settings

DEFAULT_ENV_FILE = Path(".env")

EnvFile = Annotated[
    Path, typer.Option("--env-file", help="File with KEEPER_ settings. Environment variables override it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def settings_from(env_file: Path, **overrides: Any) -> "Settings":
    """The operator's settings. Raises OperatorError, also for a named file that is not there."""
    from keeper.cli.output import hide_secrets_of
    from keeper.settings import load_settings

    if env_file != DEFAULT_ENV_FILE and not env_file.is_file():
        raise OperatorError(f"--env-file {env_file}: there is no such file")
    settings = load_settings(env_file, **overrides)
    hide_secrets_of(settings)
    return settings
