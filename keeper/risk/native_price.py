"""The price of the native coin, which pays for gas: a setting, or one of the protocol's prices."""

from keeper.errors import OperatorError
from keeper.protocols.base import Protocol, Snapshot


class NativePrice:
    """Dollars (1e18) of a coin. While the price is unusable the last usable one counts."""

    def __init__(self, symbol: str, fixed_wad: int | None) -> None:
        self._symbol = symbol
        self._fixed_wad = fixed_wad
        self._last_wad = 0

    def at(self, protocol: Protocol, snapshot: Snapshot, timestamp: int) -> int:
        """0 when there was no usable price yet. Raises OperatorError when the protocol has no price of that name."""
        if self._fixed_wad is not None:
            return self._fixed_wad
        prices = {reading.label: reading for reading in protocol.prices(snapshot, timestamp)}
        if prices and self._symbol not in prices:
            raise OperatorError(
                f"KEEPER_NATIVE_SYMBOL: the protocol has no price named {self._symbol} (it has: "
                f"{', '.join(prices)}); name one of them, or set KEEPER_NATIVE_PRICE_USD"
            )
        reading = prices.get(self._symbol)
        if reading is not None and reading.price_wad > 0 and reading.problem in ("", "stale"):
            self._last_wad = reading.price_wad
        return self._last_wad
