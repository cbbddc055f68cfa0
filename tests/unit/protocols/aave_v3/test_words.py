"""What the Aave adapter makes of revert data, logs and answers, without a node."""

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from keeper.abi import load_abi
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.chain import CallResult, Log
from keeper.protocols.aave_v3 import calldata, discovery
from keeper.protocols.aave_v3.discovery import Found
from keeper.protocols.base import RevertAction

POOL, EXECUTOR, WHO, USDC = (bytes([number]) * 20 for number in (1, 2, 3, 4))


def word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")


@pytest.mark.parametrize(
    ("reason", "name", "action"),
    [
        ("45", "HealthFactorNotBelowThreshold", RevertAction.SKIP),
        ("29", "ReservePaused", RevertAction.HOLD),
        ("59", "PriceOracleSentinelCheckFailed", RevertAction.HOLD),
        ("whatever", "Error", RevertAction.RETRY),
    ],
)
def test_the_numbers_of_3_0_2_have_the_names_of_3_6(reason: str, name: str, action: RevertAction) -> None:
    found = calldata.explain(keccak(text="Error(string)")[:4] + encode(["string"], [reason]))
    assert (found.name, found.action) == (name, action)


@pytest.mark.parametrize(
    ("signature", "action"),
    [
        ("MustNotLeaveDust()", RevertAction.RETRY),
        ("HealthFactorNotBelowThreshold()", RevertAction.SKIP),
        ("LiquidationGraceSentinelCheckFailed()", RevertAction.HOLD),
    ],
)
def test_errors_of_3_6_are_named(signature: str, action: RevertAction) -> None:
    found = calldata.explain(keccak(text=signature)[:4])
    assert (str(found), found.action) == (signature, action)


def test_every_reason_of_the_pool_has_an_action() -> None:
    named = {error.name for error in load_abi("IAavePool").errors.values()}
    assert named == calldata.ACTIONS.keys()


def liquidated(profit: int, account: bytes = WHO, by: bytes = EXECUTOR) -> list[Log]:
    """The pool's log and then the executor's."""
    call = load_abi("IAavePool").events["LiquidationCall"].topic
    earned = load_abi("KeeperExecutor").events["Liquidated"].topic
    amounts = encode(["uint256", "uint256", "address", "bool"], [70, 9, by, False])
    return [
        Log(POOL, (call, word(USDC), word(USDC), word(account)), amounts, 1, b"", 0),
        Log(EXECUTOR, (earned, word(account), word(USDC)), encode(["int256"], [profit]), 1, b"", 1),
    ]


def test_what_was_achieved_is_the_executors_profit_and_the_pools_amounts() -> None:
    logs = [*liquidated(-5), *liquidated(80, account=USDC)]
    found = calldata.achieved(POOL, EXECUTOR, WHO, logs)
    assert found is not None
    assert (found.rewards, found.size, found.details["seized"]) == ({USDC: -5}, 70, 9)


def test_a_liquidation_by_somebody_else_is_no_success_of_ours() -> None:
    stranger = liquidated(5, by=WHO)[:1]
    assert calldata.achieved(POOL, EXECUTOR, WHO, stranger) is None


def test_a_log_of_ours_that_cannot_be_read_breaks_an_invariant() -> None:
    told, earned = liquidated(5)
    short = Log(earned.address, earned.topics, b"\1", 1, b"", 1)
    with pytest.raises(InvariantBroken):
        calldata.achieved(POOL, EXECUTOR, WHO, [told, short])


def test_an_unknown_revision_is_refused_by_its_number() -> None:
    known = [CallResult(True, word(address)) for address in (POOL, EXECUTOR, USDC)] + [CallResult(True, bytes(32))]
    found = discovery.learn(Found(WHO), known)
    seven = CallResult(True, (7).to_bytes(32, "big"))
    with pytest.raises(OperatorError, match=r"has revision 7; this keeper supports 1 \(3\.0\.2\), 10 \(3\.6\)"):
        discovery.learn(found, [seven, seven, seven, seven])


def test_a_market_that_prices_in_something_else_than_dollars_is_refused() -> None:
    known = [CallResult(True, word(address)) for address in (POOL, EXECUTOR, USDC)] + [CallResult(True, bytes(32))]
    found = discovery.learn(Found(WHO), known)
    answers = [CallResult(True, (10).to_bytes(32, "big")), CallResult(True, b""), CallResult(True, word(USDC))]
    with pytest.raises(OperatorError, match="does not price in US dollars"):
        discovery.learn(found, [*answers, CallResult(True, b"")])
