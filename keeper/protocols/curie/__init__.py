"""Perpetual Protocol v2's adapter."""

from keeper.protocols.curie.adapter import CurieProtocol

__all__ = ["CurieProtocol"]
