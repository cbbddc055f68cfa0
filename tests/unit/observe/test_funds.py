"""Whom to fund is said once, by what lacks."""

from keeper.model.events import Event
from keeper.model.plan import Rejected, Rejection, Shortage
from keeper.observe.funds import FundsWatch

SIGNER, EXECUTOR, USDC = b"\x11" * 20, b"\x22" * 20, b"\x33" * 20
SHORT = Rejected(
    b"\x44" * 20, Rejection.INSUFFICIENT_FUNDS, "too little", shortage=Shortage(USDC, 5 * 10**6, 7 * 10**6)
)


def said(watch: FundsWatch, events: list[Event], *rejected: Rejected) -> list[str]:
    events.clear()
    watch.look(rejected, lambda: {USDC: ("USDC", 6)}, 9)
    return [event.message.partition(" ")[0] + event.message.partition(" has")[2] for event in events]


def test_a_shortage_is_said_once_and_again_after_it_was_over() -> None:
    events: list[Event] = []
    watch = FundsWatch(SIGNER, EXECUTOR, events.append)
    first = ["executor 5 USDC left and a liquidation needs 7: fund the executor"]
    assert said(watch, events, SHORT) == first
    assert said(watch, events, SHORT) == []
    assert said(watch, events) == []
    assert said(watch, events, SHORT) == first


def test_without_an_executor_nobody_has_to_be_funded() -> None:
    events: list[Event] = []
    assert said(FundsWatch(b"", b"", events.append), events, SHORT) == []
