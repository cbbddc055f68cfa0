"""The journal."""

import sqlite3
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from keeper.errors import InvariantBroken, JournalAltered, JournalUnavailable, OperatorError
from keeper.execute.journal.journal import locate, open_history, open_journal, read_intents
from keeper.model.chain import Call
from keeper.model.fees import Fees
from keeper.model.intent import Attempt, IntentState, Outcome, SendResult, SendStatus, TxRequest

URL = "sqlite:///keeper.db"
SIGNER, OTHER = b"\xaa" * 20, b"\xbb" * 20
TOKEN = b"\x0c" * 20
REQUEST = TxRequest(
    b"\1" * 20, "liquidate", "ETH-PERP", 2**200, Call(b"\xee" * 20, b"\1\2"), 400_000, Fees(100, 1), 10**30, -5, 10, 16,
    {"cap:0:10": 2**90}, {TOKEN: 2**130},
)  # fmt: skip
OUTCOME = Outcome(b"\1" * 32, 12, b"\2" * 32, 1, 21_000, 2**70, {TOKEN: 2**140, bytes(20): -(2**90)}, "", -7, 2**100)


@pytest.fixture
def journal(tmp_path):
    opened = open_journal(URL, tmp_path, SIGNER, 31337)
    yield opened
    opened.close()


def attempt(intent_id: int, number: int = 1, cancels: bool = False) -> Attempt:
    return Attempt(intent_id, bytes([number]) * 32, b"raw%d" % number, 10**30 + number, number, cancels, 10)


def test_everything_comes_back_as_it_was_written(journal):
    [reserved] = journal.reserve([(REQUEST, 7)])
    journal.commit([attempt(reserved.id)])
    journal.note([(attempt(reserved.id), SendResult(SendStatus.ACCEPTED), IntentState.PENDING)])
    journal.settle([(reserved.id, IntentState.MINED, OUTCOME)])
    [intent] = journal.intents()
    assert (intent.size, intent.bid, intent.value_wad) == (2**200, 10**30, -5)
    assert (intent.uses, intent.spends) == ({"cap:0:10": 2**90}, {TOKEN: 2**130})
    assert (intent.state, intent.nonce) == (IntentState.MINED, 7)
    assert intent.attempts == (attempt(intent.id),)
    assert intent.outcome == OUTCOME


def test_all_intents_are_read_while_a_keeper_writes(journal, tmp_path):
    journal.reserve([(REQUEST, 7)])
    assert read_intents(URL, tmp_path) == journal.intents()


def test_intents_are_listed_oldest_first_with_attempts_in_order(journal):
    made = journal.reserve([(REQUEST, nonce) for nonce in (3, 1, 2)])
    journal.commit([attempt(made[1].id, 9), attempt(made[0].id, 4)])
    journal.commit([attempt(made[1].id, 2)])
    assert [intent.nonce for intent in journal.intents()] == [3, 1, 2]
    assert [found.raw for found in journal.intents()[1].attempts] == [b"raw9", b"raw2"]


def test_signed_bytes_are_readable_by_another_process_as_soon_as_commit_returns(journal, tmp_path):
    [reserved] = journal.reserve([(REQUEST, 0)])
    journal.commit([attempt(reserved.id)])
    code = "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select raw from attempts').fetchone()[0])"
    seen = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "keeper.db")], capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == "b'raw1'"


def test_it_is_durable_write_ahead_sqlite(journal):
    with journal._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_second_keeper_exits_with_code_3(journal, tmp_path):
    with pytest.raises(OperatorError, match="another keeper holds this signer") as caught:
        open_journal(URL, tmp_path, SIGNER, 31337)
    assert caught.value.exit_code == 3


def test_the_lock_ends_with_its_holder(tmp_path):
    open_journal(URL, tmp_path, SIGNER, 31337).close()
    open_journal(URL, tmp_path, SIGNER, 31337).close()


def test_reading_works_while_a_keeper_writes_and_after_it_ended(tmp_path):
    journal = open_journal(URL, tmp_path, SIGNER, 31337)
    history = open_history(URL, tmp_path)
    journal.reserve([(REQUEST, 0)])
    assert len(history.intents()) == 1
    journal.reserve([(REQUEST, 1)])
    assert len(history.intents()) == 2
    journal.close()
    history.close()
    late = open_history(URL, tmp_path)
    assert len(late.intents()) == 2
    late.close()


def test_reading_without_a_journal_says_what_to_do(tmp_path):
    with pytest.raises(OperatorError, match=r"there is no journal at .*keeper\.db"):
        open_history(URL, tmp_path)
    assert not (tmp_path / "keeper.db").exists()


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path):
    (tmp_path / "keeper.db").write_text("not a database at all, but long enough to look like one" * 40)
    for opening in (lambda: open_history(URL, tmp_path), lambda: open_journal(URL, tmp_path, SIGNER, 1)):
        with pytest.raises(OperatorError, match="the journal cannot be used"):
            opening()


def test_a_journal_of_a_newer_keeper_is_left_alone(tmp_path):
    open_journal(URL, tmp_path, SIGNER, 31337).close()
    with sqlite3.connect(tmp_path / "keeper.db") as database:
        database.execute("update schema_version set version = 99")
    database.close()
    for opening in (lambda: open_history(URL, tmp_path), lambda: open_journal(URL, tmp_path, SIGNER, 31337)):
        with pytest.raises(OperatorError, match="has version 99, this keeper reads up to 3: install"):
            opening()


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_bad_database_url_names_the_setting_and_not_the_url(tmp_path, url):
    with pytest.raises(OperatorError, match="KEEPER_DATABASE_URL") as caught:
        open_journal(url, tmp_path, SIGNER, 1)
    assert "nosuchdb" not in str(caught.value)


def test_an_absolute_path_stays_where_it_is(tmp_path):
    assert locate(f"sqlite:///{tmp_path}/elsewhere.db", tmp_path / "data").database == f"{tmp_path}/elsewhere.db"
    assert locate(URL, tmp_path).database == f"{tmp_path}/keeper.db"


def test_an_illegal_step_is_refused_and_changes_nothing(journal):
    [reserved] = journal.reserve([(REQUEST, 0)])
    with pytest.raises(InvariantBroken):
        journal.settle([(reserved.id, IntentState.MINED, OUTCOME)])
    assert journal.intents() == [reserved]


def test_a_reorg_takes_the_outcome_back_and_a_new_one_can_be_booked(journal):
    [reserved] = journal.reserve([(REQUEST, 0)])
    journal.commit([attempt(reserved.id)])
    [mined] = journal.settle([(reserved.id, IntentState.MINED, OUTCOME)])
    assert journal.consumed_nonce() == 0
    reopened = journal.reopen(mined)
    assert (reopened.state, reopened.outcome) == (IntentState.PENDING, None)
    assert journal.consumed_nonce() == -1
    [again] = journal.settle([(reserved.id, IntentState.MINED, replace(OUTCOME, block_number=13))])
    assert again.outcome is not None
    assert again.outcome.block_number == 13


def test_another_signers_or_chains_intents_are_not_taken_up(journal, tmp_path):
    journal.reserve([(REQUEST, 0)])
    journal.close()
    for signer, chain_id in ((OTHER, 31337), (SIGNER, 10)):
        other = open_journal(URL, tmp_path, signer, chain_id)
        assert other.open_intents() == []
        assert other.consumed_nonce() == -1
        assert len(other.intents()) == 1
        other.close()


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_of_unknown_end_is_no_alteration(journal, monkeypatch, committed):
    [reserved] = journal.reserve([(REQUEST, 0)])
    writing = journal._writing

    @contextmanager
    def failing():
        with suppress(OSError), writing() as connection:
            yield connection
            if not committed:
                raise OSError
        raise JournalUnavailable("the connection broke")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "_writing", failing)
        with pytest.raises(JournalUnavailable):
            journal.commit([attempt(reserved.id)])
    dropped = journal.move(reserved.id, IntentState.DROPPED)
    assert len(dropped.attempts) == committed
    assert journal.intents() == [dropped]


@pytest.mark.parametrize(
    ("column", "value"), [("nonce", "'x'"), ("state", "'x'"), ("data", "'x'"), ("bid", "'x'"), ("uses", "'[]'")]
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_taken_up(journal, tmp_path, column, value):
    broken, _ = journal.reserve([(REQUEST, 0), (REQUEST, 1)])
    with sqlite3.connect(tmp_path / "keeper.db") as database:
        database.execute(f"update intents set {column} = {value} where id = {broken.id}")
    database.close()
    with pytest.raises(JournalAltered, match="cannot be read"):
        journal.intents()
    taken = journal.take_up(0, 0)
    assert [intent.nonce for intent in taken.open] == [1]
    assert [error.intent_id for error in taken.altered] == [broken.id]


def test_a_write_that_fails_is_told_as_such(journal, tmp_path):
    blocker = sqlite3.connect(tmp_path / "keeper.db")
    blocker.execute("drop table outcomes")
    blocker.close()
    with pytest.raises(JournalUnavailable, match="cannot be read"):
        journal.intents()
