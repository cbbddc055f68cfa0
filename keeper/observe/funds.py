"""Says when the keeper lacks funds: which token, how much there is, how much is needed, and whom to fund."""

from collections.abc import Callable, Iterable, Mapping

from keeper.abi import checksum
from keeper.model.events import FUNDS_LOW, Emit, Event
from keeper.model.plan import Rejected, Shortage

NATIVE = "native"

Symbols = Mapping[bytes, tuple[str, int]]  # token -> symbol and decimals


class FundsWatch:
    """Says each shortage once, and again when the token sufficed in between.

    `signer` pays for gas; `holder`'s tokens pay for liquidations: the executor, or the signer itself. Either is empty
    when it is not known, as in a dry run without an executor: then there is nobody to fund.
    """

    def __init__(self, signer: bytes, holder: bytes, emit: Emit) -> None:
        self._signer = signer
        self._holder = holder
        self._emit = emit
        self._short: set[bytes] = set()

    def look(self, rejected: Iterable[Rejected], symbols: Callable[[], Symbols], number: int) -> None:
        """The accounts that one block skipped."""
        found: dict[bytes, Shortage] = {}
        for item in rejected:
            if item.shortage is not None and self._payer(item.shortage):
                found.setdefault(item.shortage.token, item.shortage)
        for token in found.keys() - self._short:
            self._emit(self._event(found[token], symbols(), number))
        self._short = set(found)

    def _payer(self, shortage: Shortage) -> bytes:
        return self._holder if shortage.token else self._signer

    def _event(self, shortage: Shortage, symbols: Symbols, number: int) -> Event:
        token = shortage.token
        holder = self._payer(shortage)
        role = "signer" if holder == self._signer else "executor"
        symbol, decimals = symbols.get(token, (checksum(token), 0)) if token else ("of the native coin", 18)
        balance, needed = (f"{amount / 10**decimals:,.6g}" for amount in (shortage.balance, shortage.needed))
        message = (
            f"{role} {checksum(holder)} has {balance} {symbol} left and a liquidation needs {needed}: fund the {role}"
        )
        fields = {
            "holder": checksum(holder),
            "token": checksum(token) if token else NATIVE,
            "balance": str(shortage.balance),
            "needed": str(shortage.needed),
        }
        return Event(FUNDS_LOW, message, number, fields)
