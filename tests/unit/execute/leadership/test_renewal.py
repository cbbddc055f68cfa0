"""Holding on to the right to write, and sending only with it."""

import asyncio

import pytest

from keeper.errors import LeaseLost
from keeper.execute.leadership.fencing import FencedSender
from keeper.execute.leadership.lease import LONGEST_S, SHORTEST_S, lease_length
from keeper.execute.leadership.renewal import HUNG_S, Renewal
from keeper.model.chain import BlockRef
from keeper.model.intent import SendResult, SendStatus


class Right:
    """A right that counts its renewals, and is lost after some."""

    def __init__(self, renewals: int = 10**9, valid: bool = True) -> None:
        self.left = renewals
        self.valid = valid
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1
        if self.renewed > self.left:
            raise LeaseLost("lost the lease: another keeper took over")

    def is_valid(self) -> bool:
        return self.valid


def sound() -> str:
    """A journal that takes its writer's writes."""
    return ""


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_it_ends_with_the_reason_when_the_right_is_lost():
    assert "another keeper" in await Renewal(Right(3), sound, 0.001).run()


async def test_it_ends_when_the_journal_failed_its_writer():
    failures = [""]
    renewing = asyncio.create_task(Renewal(Right(), lambda: failures[-1], 0.001).run())
    await asyncio.sleep(0.01)
    failures.append("the disk is full")
    assert await renewing == "the disk is full"


def test_a_program_that_shows_no_life_lets_go():
    clock = Clock()
    right = Right(renewals=5)
    renewal = Renewal(right, sound, 0.0, clock)
    clock.seconds = HUNG_S + 1  # nothing beside the thread runs in this test
    assert "event loop was blocked" in renewal.renew()
    assert right.renewed == 0


def test_a_block_that_takes_long_to_plan_does_not_stop_the_renewals():
    right = Right(renewals=50)
    assert "another keeper" in Renewal(right, sound, 0.0, Clock()).renew()
    assert right.renewed == 51


class Node:
    def __init__(self) -> None:
        self.sent = []

    async def send_raw(self, raw: bytes) -> SendResult:
        self.sent.append(raw)
        return SendResult(SendStatus.ACCEPTED)


async def test_bytes_stay_here_without_the_right_and_keep_their_nonce():
    node, right = Node(), Right(valid=False)
    result = await FencedSender(node, right).send_raw(b"raw")
    assert (result.status, result.reason, node.sent) == (SendStatus.UNKNOWN, "no_lease", [])
    right.valid = True
    assert (await FencedSender(node, right).send_raw(b"raw")).status is SendStatus.ACCEPTED


class Chain:
    """Blocks every so many seconds."""

    def __init__(self, block_s: int, head: int = 1000) -> None:
        self.block_s = block_s
        self.number = head

    async def head(self) -> BlockRef:
        return await self.block_by_number(self.number)

    async def block_by_number(self, number: int) -> BlockRef:
        return BlockRef(number, bytes(32), bytes(32), number * self.block_s, 0, 0, 0)


@pytest.mark.parametrize(("block_s", "expected"), [(12, 6.0), (4, 2.0), (2, 1.0), (0, SHORTEST_S), (60, LONGEST_S)])
async def test_a_lease_is_half_a_block_within_bounds(block_s, expected):
    assert await lease_length(None, Chain(block_s)) == expected
    assert await lease_length(0.7, Chain(block_s)) == 0.7


async def test_a_chain_of_one_block_has_a_lease_too():
    assert await lease_length(None, Chain(12, head=0)) == SHORTEST_S
