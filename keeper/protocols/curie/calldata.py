"""Calls of the executor, and what answers mean: revert reasons and the logs of a mined liquidation."""

from collections.abc import Sequence
from fractions import Fraction

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Call, Log
from keeper.model.plan import Opportunity
from keeper.protocols import executor as orders
from keeper.protocols.base import Achieved, Deployment, Revert, RevertAction
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.opportunities.position import LIQUIDATE
from keeper.protocols.curie.state import CurieState

_EVENTS = load_abi("ICurie").events
_POSITION, _COLLATERAL = _EVENTS["PositionLiquidated"], _EVENTS["CollateralLiquidated"]
_BAD_DEBT = _EVENTS["BadDebtSettled"]
_NOBODY = bytes(20)
_RETRY, _SKIP, _HOLD, _BUG = RevertAction.RETRY, RevertAction.SKIP, RevertAction.HOLD, RevertAction.BUG

MESSAGES = {
    # The account is safe again, or someone else was first.
    "CH_EAV": _SKIP,
    "CH_PSZ": _SKIP,
    "CH_NEXO": _SKIP,
    "V_NL": _SKIP,
    # Prices, pools or competitors moved between our block and the one that executed: size it again.
    "CH_WLD": _RETRY,
    "CH_CLWTISO": _RETRY,
    "CH_IIC": _RETRY,
    "CH_NEFCI": _RETRY,
    "CH_NEFCM": _RETRY,
    "CH_TLRS": _RETRY,
    "CH_TMRL": _RETRY,
    "EX_OPLAS": _RETRY,
    "EX_OPB": _RETRY,
    "SPL": _RETRY,
    "V_MSAE": _RETRY,
    "V_MCAE": _RETRY,
    "V_NEFC": _RETRY,
    "OLD": _RETRY,
    # Nothing can be liquidated now.
    "CH_MNO": _HOLD,
    "EX_MIP": _HOLD,
    "V_GTSTBC": _HOLD,
    "Pausable: paused": _HOLD,
    # Not ours to cause.
    "V_OSCT": _BUG,
    "V_TINAC": _BUG,
    "CH_TE": _BUG,
}


def encode(
    contracts: Contracts,
    state: CurieState,
    deployment: Deployment,
    opportunity: Opportunity,
    floor_wad: int,
    deadline: int,
) -> Call:
    """The executor's call, which reverts when the profit would be below `floor_wad` dollars (1e18), and when closing or
    selling brings less, or takes more, than its quote by more than the slip that is allowed.

    Without an executor the call goes to the zero address: it is shown, and never sent.
    """
    least, max_slip = -(-max(floor_wad, 0) // contracts.unit), deployment.means.max_slip
    details = opportunity.details
    order: orders.Order
    if opportunity.kind == LIQUIDATE:
        order = orders.CurieLiquidation(
            clearing_house=contracts.clearing_house,
            account=opportunity.account,
            base_token=state.markets[details["market"]].base,
            size=details["size"],
            margin=details["margin"],
            cancel_orders=bool(details["cancel"]),
            sqrt_price_limit_x96=0,  # the profit is what has to be enough
            opposite_amount_bound=_bound(details["quote"], max_slip),
            min_profit=least,
            deadline=deadline,
        )
    else:
        order = orders.CurieCollateral(
            vault=contracts.vault,
            account=opportunity.account,
            collateral=state.tokens[details["token"]].address,
            amount=details["paid"],
            swap=orders.Swap((details["pool"].to_bytes(20, "big"),), orders.least_out(details["out"], max_slip)),
            min_profit=least,
            deadline=deadline,
        )
    return orders.call(deployment.executor or _NOBODY, order)


def _bound(quote: int, max_slip: Fraction) -> int:
    """The least quote for closing a long, the most for a short, whose quote is negative."""
    return orders.least_out(quote, max_slip) if quote > 0 else orders.most_in(-quote, max_slip)


def explain(data: bytes) -> Revert:
    """Decode revert data. Unknown reasons are retried."""
    return orders.explain(data, MESSAGES)


def achieved(contracts: Contracts, executor: bytes, account: bytes, logs: Sequence[Log]) -> Achieved | None:
    """What the keeper's transaction did to an account: the executor's profit, sizes from the protocol's logs.

    None when it did nothing. Raises InvariantBroken when the logs cannot be decoded.
    """
    try:
        mine = [found for found in orders.liquidated(executor, logs) if found.account == account]
        size, penalty, bad_debt = _amounts(contracts, executor, account, logs)
    except (DecodingError, ValueError, IndexError) as error:
        raise InvariantBroken(f"the logs of the keeper's liquidation cannot be decoded: {error!r}") from error
    if not mine:
        return None
    rewards: dict[bytes, int] = {}
    for found in mine:
        rewards[found.token] = rewards.get(found.token, 0) + found.profit
    return Achieved(rewards, size, bad_debt * contracts.unit, {"penalty": penalty})


def _amounts(contracts: Contracts, executor: bytes, account: bytes, logs: Sequence[Log]) -> tuple[int, int, int]:
    """(size, penalty in 1e18 dollars, bad debt in settlement token units) of an account that the keeper liquidated."""
    size = penalty = bad_debt = 0
    for log in logs:
        topic = log.topics[0] if log.topics else b""
        if len(log.topics) < 2 or log.topics[1][12:] != account:
            continue
        if log.address == contracts.clearing_house and topic == _POSITION.topic:
            _, closed, fee, liquidator = _POSITION.decode(log)[1]
            if bytes.fromhex(liquidator[2:]) == executor:
                size, penalty = size + closed, penalty + fee
        elif log.address == contracts.vault and topic == _COLLATERAL.topic and log.topics[3][12:] == executor:
            size += _COLLATERAL.decode(log)[1][0]
        elif log.address == contracts.vault and topic == _BAD_DEBT.topic:
            bad_debt += _BAD_DEBT.decode(log)[1][0]
    return size, penalty, bad_debt
