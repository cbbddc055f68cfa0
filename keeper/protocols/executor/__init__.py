"""The executor contract: its orders, calls, logs and gas."""

from keeper.protocols.executor.contract import *  # noqa: F403
