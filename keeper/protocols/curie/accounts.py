"""Reads by account: raw storage, folded into the account's rows."""

from collections.abc import Sequence

from eth_utils.crypto import keccak

from keeper.defi.proxies import signed_bits, words
from keeper.errors import InvariantBroken
from keeper.model.chain import Call, CallResult, storage_read
from keeper.protocols.columns import Writer
from keeper.protocols.curie import storage
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.state import ACCOUNT, BALANCES, ORDERS, POSITIONS, CurieState, halves


def account_reads(contracts: Contracts, state: CurieState, account: bytes) -> list[Call]:
    calls = [
        storage_read(contracts.account_balance, storage.account_slots(account, [m.base for m in state.markets])),
        storage_read(contracts.vault, storage.balance_slots(account, [t.address for t in state.tokens])),
        storage_read(contracts.collateral_manager, [storage.threshold_slot(account)]),
    ]
    if orders := sorted(state.orders.get(account, ())):
        slots = [slot for id_ in orders for slot in storage.order_slots(_order_key(state, account, id_))]
        calls.append(storage_read(contracts.order_book, slots))
    return calls


def _order_key(state: CurieState, account: bytes, id_: int) -> bytes:
    """`OpenOrder.calcOrderKey`."""
    place = state.ranges[id_]
    ticks = b"".join(tick.to_bytes(3, "big", signed=True) for tick in (place.lower, place.upper))
    return bytes(keccak(account + state.markets[place.market].base + ticks))


def fold_account(state: CurieState, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
    """Raises InvariantBroken when an order's liquidity differs from its logs."""
    owed, markets, *positions = words(results[0])
    [threshold] = words(results[2])
    rows = _Rows(writer, account)
    rows.put(ACCOUNT, 0, (signed_bits(owed, 0, 256), threshold, markets))
    for token, amount in zip(state.tokens, words(results[1]), strict=True):
        rows.put(BALANCES, token.id, (signed_bits(amount, 0, 256),))
    for market in state.markets:
        size, notional, premium = positions[3 * market.id : 3 * market.id + 3]
        rows.put(POSITIONS, market.id, (signed_bits(size, 0, 256), signed_bits(notional, 0, 256), *halves(premium)))
    _fold_orders(state, account, words(results[3]) if len(results) > 3 else [], rows)


class _Rows:
    """Writes only changes, so that an account has no empty rows."""

    def __init__(self, writer: Writer, account: bytes) -> None:
        self._writer, self._account = writer, account

    def put(self, table: str, asset: int, values: Sequence[int]) -> None:
        if tuple(values) != self._writer.get(table, self._account, asset):
            self._writer.put(table, self._account, asset, values)

    def assets(self, table: str) -> list[int]:
        """Assets in a table that the account holds."""
        row = self._writer.touch(self._account)
        return [asset for asset, _ in self._writer.columns[table].holdings(row)]


def _fold_orders(state: CurieState, account: bytes, found: list[int], rows: _Rows) -> None:
    held = state.orders.get(account, {})
    for id_ in rows.assets(ORDERS):
        if id_ not in held:
            rows.put(ORDERS, id_, (0,) * 11)
    for place, id_ in enumerate(sorted(held)):
        packed, fee, inside, below, divided, base_debt, quote_debt = found[7 * place : 7 * place + 7]
        liquidity = packed & (1 << 128) - 1
        if liquidity != held[id_]:
            raise InvariantBroken(
                f"an order of 0x{account.hex()} has liquidity {liquidity}, but its logs add up to {held[id_]}"
            )
        growths = (half for word in (fee, inside, below, divided) for half in halves(word))
        rows.put(ORDERS, id_, (halves(liquidity)[1], base_debt, quote_debt, *growths))
