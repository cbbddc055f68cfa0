"""What no log says of an account: its flags, eMode and scaled balances, from raw storage."""

from collections.abc import Sequence

from keeper.defi.proxies import bits, mapping_slot, words
from keeper.errors import Transient
from keeper.model.chain import Call, CallResult, storage_read
from keeper.protocols.aave_v3 import storage
from keeper.protocols.aave_v3.state import ACCOUNTS, DEBTS, SUPPLIES, AaveState
from keeper.protocols.aave_v3.versions import Version
from keeper.protocols.columns import Writer


def account_reads(pool: bytes, state: AaveState, account: bytes) -> list[Call]:
    """A storage read of the pool, and one of each token of each reserve."""
    supply = [mapping_slot(storage.SUPPLY_STATE, account)]
    debt = [mapping_slot(storage.DEBT_STATE, account)]
    stable = [*debt, mapping_slot(storage.STABLE_TIMES, account)]
    calls = [storage_read(pool, [mapping_slot(storage.USERS, account), mapping_slot(storage.USER_CATEGORIES, account)])]
    for reserve in state.listed():
        calls += [storage_read(reserve.supply_token, supply), storage_read(reserve.debt_token, debt)]
        if reserve.stable_token:
            calls.append(storage_read(reserve.stable_token, stable))
    return calls


def fold_account(
    version: Version, state: AaveState, account: bytes, results: Sequence[CallResult], writer: Writer
) -> None:
    """Write what an account holds into its rows. Raises Transient when the node did not return storage."""
    answers = iter(results)
    flags, category = _stored(next(answers), 2)
    _put(writer, ACCOUNTS, account, 0, (bits(category, 0, 8),))
    for reserve in state.listed():
        marks = flags >> 2 * reserve.id
        (held,) = _stored(next(answers), 1)
        (owed,) = _stored(next(answers), 1)
        principal, since = _stored(next(answers), 2) if reserve.stable_token else (0, 0)
        supply = bits(held, 0, version.balance_bits), marks >> 1 & 1
        debt = (
            bits(owed, 0, version.balance_bits),
            bits(principal, 0, 128),
            bits(principal, 128, 128) if principal else 0,
            bits(since, 0, storage.UINT40),
            marks & 1,
        )
        _put(writer, SUPPLIES, account, reserve.index, supply)
        _put(writer, DEBTS, account, reserve.index, debt)


def _stored(result: CallResult, count: int) -> list[int]:
    found = words(result)
    if len(found) != count:
        raise Transient("the node did not return an account's storage")
    return found


def _put(writer: Writer, table: str, account: bytes, asset: int, values: tuple[int, ...]) -> None:
    """Writes only changes, so that an account has no empty rows."""
    if writer.get(table, account, asset) != values:
        writer.put(table, account, asset, values)
