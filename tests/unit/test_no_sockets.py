"""The rule that unit tests open no sockets holds."""

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_connect() -> None:
    with socket.socket() as probe, pytest.raises(AssertionError, match="opened a socket"):
        probe.connect(("127.0.0.1", 1))


async def test_a_unit_test_cannot_connect_through_the_event_loop() -> None:
    with pytest.raises(AssertionError, match="opened a socket"):
        await asyncio.open_connection("127.0.0.1", 1)
