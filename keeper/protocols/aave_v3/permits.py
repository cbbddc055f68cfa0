"""Which calls of the executor the key may sign: liquidations of this pool's reserves, sold in pools that are known."""

from collections.abc import Mapping

from keeper.defi.uniswap_v3 import Pool
from keeper.model.chain import Call
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols import executor
from keeper.protocols.aave_v3.prices import value_wad
from keeper.protocols.aave_v3.state import DEBTS, SUPPLIES, AaveState, Reserve
from keeper.protocols.base import Snapshot


def why_not(pool: bytes, holder: bytes, exits: Mapping[bytes, Pool], state: AaveState, call: Call) -> str:
    """Why the key may not sign a call; empty when it may. `holder`: the executor. `exits`: pools by address."""

    def single(order: executor.Single) -> str:
        if not isinstance(order, executor.AaveLiquidation):
            return f"a {type(order).__name__}"
        if order.pool != pool:
            return f"a liquidation in 0x{order.pool.hex()}, which is not the pool"
        for token in (order.collateral, order.debt):
            if _reserve(state, token) is None:
                return f"a liquidation of 0x{token.hex()}, which is no reserve"
        if not 0 < order.repay < executor.MOST_UNITS:
            return f"a repayment of {order.repay} units"
        return executor.unsold(order.swap, exits, order.collateral, order.debt)

    return executor.Permitted(holder, single, _profit_token).why_not(call)


def stakes(snapshot: Snapshot, call: Call) -> Stakes:
    """Collateral and debt, and the dollars that are repaid."""

    def single(order: executor.Single) -> Stakes:
        assert isinstance(order, executor.AaveLiquidation)
        worth = value_wad(snapshot.readings, snapshot.state, order.debt, order.repay)
        assets = frozenset({asset_of(order.collateral), asset_of(order.debt)})
        return Stakes((order.account,), assets, worth or None, _misfit(snapshot, order))

    return executor.stakes(call, single)


def _misfit(snapshot: Snapshot, order: executor.AaveLiquidation) -> str:
    row = snapshot.columns.accounts.row(order.account)
    collateral, debt = (_reserve(snapshot.state, token) for token in (order.collateral, order.debt))
    if row is None or collateral is None or debt is None:
        return "the account holds nothing in the pool"
    if not snapshot.columns[SUPPLIES].get(row, collateral.index)[0]:
        return f"the account has no {collateral.symbol}"
    scaled, principal, *_ = snapshot.columns[DEBTS].get(row, debt.index)
    return "" if scaled or principal else f"the account owes no {debt.symbol}"


def _reserve(state: AaveState, token: bytes) -> Reserve | None:
    """Dropped ones included: a transaction that is on its way may be of one."""
    return next((reserve for reserve in state.reserves if reserve.asset == token), None)


def _profit_token(order: executor.Single) -> bytes:
    return order.debt if isinstance(order, executor.AaveLiquidation) else b""
