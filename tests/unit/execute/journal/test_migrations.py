"""A journal of an older keeper is brought up to date when it is opened, with everything in it."""

import sqlite3

import pytest

from keeper.errors import OperatorError
from keeper.execute.journal.journal import open_history, open_journal
from keeper.execute.journal.schema import VERSION
from keeper.model.intent import IntentState, Route

URL = "sqlite:///keeper.db"
SIGNER = b"\x11" * 20
# As version 1 made it.
VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO schema_version VALUES (1);
CREATE TABLE intents (
    id INTEGER NOT NULL PRIMARY KEY, signer BLOB NOT NULL, chain_id BIGINT NOT NULL, state VARCHAR(16) NOT NULL,
    nonce BIGINT NOT NULL, account BLOB NOT NULL, kind VARCHAR(32) NOT NULL, subject TEXT NOT NULL,
    size VARCHAR(80) NOT NULL, "to" BLOB NOT NULL, data BLOB NOT NULL, gas_limit BIGINT NOT NULL,
    bid VARCHAR(80) NOT NULL, value_wad VARCHAR(80) NOT NULL, planned_block BIGINT NOT NULL,
    deadline_block BIGINT NOT NULL, uses TEXT NOT NULL, spends TEXT NOT NULL);
CREATE TABLE attempts (
    id INTEGER NOT NULL PRIMARY KEY, intent_id INTEGER NOT NULL REFERENCES intents (id), tx_hash BLOB NOT NULL UNIQUE,
    raw BLOB NOT NULL, max_fee VARCHAR(80) NOT NULL, priority_fee VARCHAR(80) NOT NULL, cancels BOOLEAN NOT NULL,
    signed_block BIGINT NOT NULL, reply VARCHAR(16) NOT NULL, reply_reason TEXT NOT NULL);
CREATE TABLE outcomes (
    intent_id INTEGER NOT NULL PRIMARY KEY REFERENCES intents (id), tx_hash BLOB NOT NULL, block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL, status INTEGER NOT NULL, gas_used BIGINT NOT NULL,
    effective_gas_price VARCHAR(80) NOT NULL,
    profit TEXT NOT NULL, reason TEXT NOT NULL, value_wad VARCHAR(80) NOT NULL, bad_debt_wad VARCHAR(80) NOT NULL);
"""


@pytest.fixture
def old(tmp_path):
    with sqlite3.connect(tmp_path / "keeper.db") as database:
        database.executescript(VERSION_1)
        row = (SIGNER, 31337, "pending", 7, b"\2" * 20, "take", "", "5", b"\3" * 20, b"", 1, "9", "1", 1, 6, "{}", "{}")
        database.execute(f"INSERT INTO intents VALUES (1{', ?' * 17})", row)
        attempt = (b"\4" * 32, b"\2raw", "5", "1", 0, 1, "accepted", "")
        database.execute(f"INSERT INTO attempts VALUES (1, 1{', ?' * 8})", attempt)
    database.close()
    return tmp_path


def test_a_journal_of_version_1_is_taken_over_and_its_attempts_are_public(old):
    journal = open_journal(URL, old, SIGNER, 31337)
    [intent] = journal.open_intents()
    assert (intent.nonce, intent.state) == (7, IntentState.PENDING)
    assert [(attempt.raw, attempt.route) for attempt in intent.attempts] == [(b"\2raw", Route.PUBLIC)]
    journal.close()
    with sqlite3.connect(old / "keeper.db") as database:
        assert database.execute("SELECT version FROM schema_version").fetchall() == [(VERSION,)]
    database.close()


def test_it_is_done_once(old):
    for _ in range(2):
        open_journal(URL, old, SIGNER, 31337).close()
    history = open_history(URL, old)
    assert len(history.intents()) == 1
    history.close()


def test_reading_alone_does_not_change_it_and_says_what_is_so(old):
    with pytest.raises(OperatorError, match="has version 1, this keeper reads 2 or newer"):
        open_history(URL, old)
