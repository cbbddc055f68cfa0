"""Fixtures of every test, and the rule that unit tests open no sockets."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

from tests.support.anvil import anvil, shared_anvil, start_anvil
from tests.support.postgres import database, postgres

__all__ = ["anvil", "database", "postgres", "shared_anvil", "start_anvil"]

settings.register_profile("thorough", max_examples=10_000, deadline=None)

UNIT = Path(__file__).parent / "unit"


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("a unit test opened a socket: it belongs to another folder")


@pytest.fixture(autouse=True)
def _private_files_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Key files of tests are as private as those of operators."""
    before = os.umask(0o077) if UNIT in request.path.parents else None
    yield
    if before is not None:
        os.umask(before)


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if UNIT in request.path.parents:
        monkeypatch.setattr(socket.socket, "connect", _refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", _refuse)
        monkeypatch.setattr(socket.socket, "bind", _refuse)
        monkeypatch.setattr(asyncio.BaseEventLoop, "sock_connect", _refuse)
        monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", _refuse)
