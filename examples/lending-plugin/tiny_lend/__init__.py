"""Tiny Lend's adapter for the liquidation keeper."""
