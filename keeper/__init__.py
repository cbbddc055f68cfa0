"""A liquidation keeper for DeFi derivatives protocols."""

__version__ = "0.1.0"
