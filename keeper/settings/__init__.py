"""Settings from the environment and `.env`, validated once at the start."""

from keeper.settings.chain import PREFIX
from keeper.settings.environment import load_settings
from keeper.settings.model import DEVELOPMENT_CHAINS, Settings
from keeper.settings.secrets import secrets_of

__all__ = ["DEVELOPMENT_CHAINS", "PREFIX", "Settings", "load_settings", "secrets_of"]
