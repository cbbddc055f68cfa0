"""Whether an adapter says which calls it may make, and what they are about. The signing policy relies on that."""

from typing import Any

from keeper.protocols.base import Defaults


def checks_calls(adapter: Any) -> bool:
    """False for an adapter without a `permits` of its own, such as a plug-in that was written before there was one."""
    return getattr(type(adapter), "permits", Defaults.permits) is not Defaults.permits


def knows_stakes(adapter: Any) -> bool:
    """False for an adapter without a `stakes` of its own."""
    return getattr(type(adapter), "stakes", Defaults.stakes) is not Defaults.stakes
