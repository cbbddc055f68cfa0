"""Aave v3's adapter."""

from keeper.protocols.aave_v3.adapter import AaveV3Protocol

__all__ = ["AaveV3Protocol"]
