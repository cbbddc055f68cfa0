"""Journals of versions 1 and 2 open with everything in them, in SQLite and in PostgreSQL, breakers included."""

from contextlib import closing

import pytest
from sqlalchemy import create_engine, text

from keeper.execute.breakers.breakers import BreakerState
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.journal.database import locate
from keeper.execute.journal.journal import open_journal, read_intents
from keeper.execute.journal.schema import VERSION
from keeper.model.breaker import BreakerName
from keeper.model.chain import Call
from keeper.model.fees import Fees
from keeper.model.intent import TxRequest

SIGNER, CHAIN_ID = b"\x11" * 20, 31337
REQUEST = TxRequest(b"\1" * 20, "take", "X", 5, Call(b"\2" * 20, b""), 1_000, Fees(9, 1), 9, 1, 1, 6)
OPEN = BreakerState(BreakerName.NONCE, "a nonce was used by somebody else", 1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str:
    return "sqlite:///keeper.db" if request.param == "sqlite" else request.getfixturevalue("database")


def age(url: str, tmp_path, version: int, *more: str) -> None:
    """Make a journal what an older keeper left."""
    engine = create_engine(locate(url, tmp_path))
    with engine.begin() as connection:
        for statement in (f"UPDATE schema_version SET version = {version}", *more):
            connection.execute(text(statement))
    engine.dispose()


def written(url: str, tmp_path) -> None:
    """A journal with an intent on its way and a breaker that is open."""
    with closing(open_journal(url, tmp_path, SIGNER, CHAIN_ID)) as journal:
        journal.reserve([(REQUEST, 7)])
    with closing(open_breaker_store(url, tmp_path, SIGNER, CHAIN_ID)) as store:
        store.exchange([OPEN], [])


def assert_whole(url: str, tmp_path, breakers: list[BreakerState]) -> None:
    with closing(open_journal(url, tmp_path, SIGNER, CHAIN_ID)) as journal:
        assert [intent.nonce for intent in journal.open_intents()] == [7]
    with closing(open_breaker_store(url, tmp_path, SIGNER, CHAIN_ID)) as store:
        assert store.load() == (breakers, [])
    engine = create_engine(locate(url, tmp_path))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version FROM schema_version")) == VERSION
    engine.dispose()


def test_a_journal_of_version_1_has_breakers_beside_it(url, tmp_path):
    written(url, tmp_path)
    age(url, tmp_path, 1, "ALTER TABLE attempts DROP COLUMN route")
    assert_whole(url, tmp_path, [OPEN])


def test_a_journal_of_version_2_has_breakers_beside_it(url, tmp_path):
    written(url, tmp_path)
    age(url, tmp_path, 2)
    assert_whole(url, tmp_path, [OPEN])


def test_a_journal_whose_keeper_ended_before_it_made_the_breakers(url, tmp_path):
    written(url, tmp_path)
    age(url, tmp_path, 2, "DROP TABLE holds", "DROP TABLE ends")
    assert_whole(url, tmp_path, [])


def test_the_kill_switch_is_pulled_before_there_is_a_journal(url, tmp_path):
    with closing(open_breaker_store(url, tmp_path, SIGNER, CHAIN_ID)) as store:
        store.exchange([OPEN], [])
    with closing(open_journal(url, tmp_path, SIGNER, CHAIN_ID)) as journal:
        journal.reserve([(REQUEST, 7)])
    assert_whole(url, tmp_path, [OPEN])


def test_version_2_is_read_as_it_is(url, tmp_path):
    written(url, tmp_path)
    age(url, tmp_path, 2)
    assert [intent.nonce for intent in read_intents(url, tmp_path)] == [7]
