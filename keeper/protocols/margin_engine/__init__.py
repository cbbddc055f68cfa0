"""The reference protocol's adapter."""

from keeper.protocols.margin_engine.adapter import MarginEngineProtocol

__all__ = ["MarginEngineProtocol"]
