"""How many requests a node gets at once: fewer when it says so, none for as long as it asks, and what matters first."""

import asyncio

import pytest

from keeper.chain.concurrency import MOST_AT_ONCE, ConcurrencyLimit, Priority, Shed, asks_to_wait
from keeper.chain.errors import Disconnected, HttpStatus, RpcError
from keeper.errors import Transient
from tests.support.clock import SetClock


def limit_of(clock: SetClock | None = None, jitter: float = 0.0) -> ConcurrencyLimit:
    return ConcurrencyLimit(clock or SetClock(), 5.0, lambda: jitter)


def test_each_too_many_requests_halves_the_slots_down_to_one_and_answers_bring_them_back() -> None:
    own = limit_of()
    limits = []
    for _ in range(6):
        own.throttle(None)
        limits.append(own.limit)
    assert limits == [8, 4, 2, 1, 1, 1]
    for _ in range(1_000):
        own.served()
    assert own.limit == MOST_AT_ONCE


@pytest.mark.parametrize(("retry_after", "jitter", "wait"), [(3.0, 0.0, 3.0), (4.0, 1.0, 5.0), (1e9, 0.0, 600.0)])
def test_the_wait_that_a_node_asks_for_is_kept_and_spread(retry_after: float, jitter: float, wait: float) -> None:
    own = limit_of(jitter=jitter)
    own.throttle(retry_after)
    assert own.wait_s == wait


def test_without_a_word_about_it_the_wait_grows_to_five_seconds() -> None:
    clock = SetClock()
    own = limit_of(clock)
    waits = []
    for _ in range(5):
        own.throttle(None)
        waits.append(own.wait_s)
        clock.time += own.wait_s
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0]


async def test_what_can_be_left_out_is_left_out_while_the_node_wants_to_be_left_alone() -> None:
    own = limit_of()
    own.throttle(3.0)
    with pytest.raises(Shed, match="asked to wait 3"):
        await own.enter(Priority.SPARE)
    own.throttle(30.0)
    with pytest.raises(Shed):
        await own.enter(Priority.BLOCK)


async def test_what_matters_waits_until_the_node_may_be_asked() -> None:
    clock = SetClock()
    own = limit_of(clock)
    own.throttle(0.01)
    entering = asyncio.create_task(own.enter(Priority.BLOCK))
    await asyncio.sleep(0)
    assert not entering.done()
    clock.time += 1.0
    await entering
    assert own.used == 1


async def test_the_most_important_of_those_who_wait_goes_first() -> None:
    own = limit_of()
    for _ in range(MOST_AT_ONCE):
        await own.enter(Priority.SPARE)
    order: list[Priority] = []

    async def read(priority: Priority) -> None:
        await own.enter(priority)
        order.append(priority)
        own.leave()

    wanted = [Priority.SPARE, Priority.WORK, Priority.BLOCK, Priority.WORK, Priority.BLOCK]
    reads = [asyncio.create_task(read(priority)) for priority in wanted]
    await asyncio.sleep(0)
    own.leave()
    await asyncio.gather(*reads)
    assert order == sorted(wanted)
    assert own.used == MOST_AT_ONCE - 1


async def test_a_long_line_sends_away_the_least_important() -> None:
    own = limit_of()
    for _ in range(MOST_AT_ONCE):
        await own.enter(Priority.BLOCK)
    spare = [asyncio.create_task(own.enter(Priority.SPARE)) for _ in range(256)]
    await asyncio.sleep(0)
    with pytest.raises(Shed):
        await own.enter(Priority.SPARE)
    block = asyncio.create_task(own.enter(Priority.BLOCK))
    await asyncio.sleep(0)
    own.leave()
    await block
    assert sum(task.done() for task in spare) == 1
    for task in spare:
        task.cancel()
    await asyncio.gather(*spare, return_exceptions=True)
    assert own.used == MOST_AT_ONCE


async def test_a_read_that_is_given_up_while_it_waits_leaves_no_slot_behind() -> None:
    own = limit_of()
    for _ in range(MOST_AT_ONCE):
        await own.enter(Priority.BLOCK)
    waiting = asyncio.create_task(own.enter(Priority.BLOCK))
    await asyncio.sleep(0)
    own.leave()  # gives the slot to the one that waits
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert own.used == MOST_AT_ONCE - 1


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (HttpStatus("", 429, 1.0), True),
        (HttpStatus("", 502, None), False),
        (RpcError(-32005, "limit exceeded"), True),
        (RpcError(-32005, "daily request count exceeded, request rate limited"), True),
        (RpcError(-32005, "query returned more than 10000 results"), False),
        (RpcError(-32602, "block range is too wide"), False),
        (RpcError(429, "slow down"), True),
        (RpcError(-32000, "Your app has exceeded its compute units per second capacity"), True),
        (Disconnected("connection lost"), False),
    ],
)
def test_too_fast_is_told_from_too_much_at_once(error: Transient, waits: bool) -> None:
    assert asks_to_wait(error) is waits
