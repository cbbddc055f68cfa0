"""The lease and the journal in a real PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql.base import PGDialect

from keeper.errors import JournalUnavailable, LeaseLost, OperatorError
from keeper.execute.breakers.store import open_breaker_store
from keeper.execute.journal.journal import Journal, open_history, open_journal
from keeper.execute.journal.recovery import TakenUp
from keeper.execute.leadership.lease import Lease
from keeper.model.chain import Call
from keeper.model.fees import Fees
from keeper.model.intent import Attempt, IntentState, Outcome, SendResult, SendStatus, TxRequest
from tests.support.postgres import Postgres

SIGNER, OTHER, TOKEN = b"\xaa" * 20, b"\xbb" * 20, b"\x0c" * 20
REQUEST = TxRequest(
    b"\1" * 20, "liquidate", "ETH-PERP", 2**200, Call(b"\xee" * 20, b"\1\2"), 400_000, Fees(100, 1), 10**30, -5, 10, 16,
    {"cap:0:10": 2**90}, {TOKEN: 2**130},
)  # fmt: skip
OUTCOME = Outcome(b"\1" * 32, 12, b"\2" * 32, 1, 21_000, 2**70, {TOKEN: 2**140, bytes(20): -(2**90)}, "", -7, 2**100)
LONG_S, SHORT_S, SHORTEST_S = 60.0, 1.0, 0.2


class Hands:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def attempt(intent_id: int, number: int = 1) -> Attempt:
    return Attempt(intent_id, bytes([number]) * 32, b"raw%d" % number, 10**30 + number, number, False, 10)


def opened(database: str, path: Path, lease_s: float = LONG_S, signer: bytes = SIGNER) -> Journal:
    return open_journal(database, path, signer, 31337, lease_s)


@contextmanager
def leases(database: str, lease_s: float = LONG_S, clock: Hands | None = None) -> Iterator[Lease]:
    engine = create_engine(database, pool_pre_ping=True)
    lease = Lease(engine, SIGNER, 31337, lease_s, clock or Hands())
    yield lease
    lease.close()
    engine.dispose()


def expire(database: str) -> None:
    """Let the database's clock run past the lease's end."""
    sql(database, "UPDATE leases SET expires_at = clock_timestamp()")


def sql(database: str, statement: str) -> None:
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@contextmanager
def slow_statements(pause_s: float) -> Iterator[None]:
    """A busy machine: every statement is followed by a pause."""

    def pause(*_: Any) -> None:
        time.sleep(pause_s)

    event.listen(Engine, "after_cursor_execute", pause)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", pause)


def test_a_journal_in_postgresql_brings_everything_back_as_it_was_written(database, tmp_path):
    with closing(opened(database, tmp_path)) as journal:
        [reserved] = journal.reserve([(REQUEST, 7)])
        journal.commit([attempt(reserved.id)])
        journal.note([(attempt(reserved.id), SendResult(SendStatus.ACCEPTED), IntentState.PENDING)])
        assert [intent.nonce for intent in journal.open_intents()] == [7]
        journal.settle([(reserved.id, IntentState.MINED, OUTCOME)])
        assert journal.consumed_nonce() == 7
        assert journal.reopen(journal.intents()[0]).state is IntentState.PENDING
        journal.settle([(reserved.id, IntentState.MINED, OUTCOME)])
    with closing(open_history(database, tmp_path)) as history:
        [intent] = history.intents()
    assert (intent.size, intent.bid, intent.value_wad) == (2**200, 10**30, -5)
    assert (intent.uses, intent.spends) == ({"cap:0:10": 2**90}, {TOKEN: 2**130})
    assert (intent.state, intent.nonce, intent.outcome) == (IntentState.MINED, 7, OUTCOME)
    assert intent.attempts == (attempt(intent.id),)


def test_a_second_keeper_is_refused_with_code_3_and_told_who_holds_it(database, tmp_path):
    with closing(opened(database, tmp_path)):
        with pytest.raises(OperatorError, match=r"lease 1\)") as caught:
            opened(database, tmp_path)
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)
        opened(database, tmp_path, signer=OTHER).close()  # another signer's keeper is no rival


def test_what_is_given_back_is_free_at_once(database, tmp_path):
    opened(database, tmp_path).close()
    with closing(opened(database, tmp_path)) as second:
        assert second.reserve([(REQUEST, 0)])


def test_a_holder_whose_session_ended_is_succeeded_before_its_time_runs_out(database, tmp_path):
    with leases(database) as first, leases(database) as second:
        first.take()
        with pytest.raises(OperatorError):
            second.take()
        first._session.invalidate()  # as the kernel does for a process that was killed
        second.take()
        assert second.token == first.token + 1


def test_each_writing_transaction_of_an_overtaken_keeper_is_refused(database, tmp_path):
    first = opened(database, tmp_path)
    [reserved] = first.reserve([(REQUEST, 0)])
    [signed] = first.reserve([(REQUEST, 1)])
    first.commit([attempt(signed.id, 9)])
    expire(database)
    with closing(opened(database, tmp_path)) as second, closing(first):
        writes = [
            lambda: first.reserve([(REQUEST, 2)]),
            lambda: first.commit([attempt(reserved.id)]),
            lambda: first.note([(attempt(signed.id, 9), SendResult(SendStatus.ACCEPTED), IntentState.PENDING)]),
            lambda: first.move(reserved.id, IntentState.DROPPED),
            lambda: first.settle([(signed.id, IntentState.MINED, OUTCOME)]),
        ]
        for write in writes:
            with pytest.raises(LeaseLost, match="another keeper took over"):
                write()
        assert not first.right.is_valid()
        assert [intent.state for intent in second.intents()] == [IntentState.RESERVED, IntentState.SIGNED]
        assert len(second.reserve([(REQUEST, 2)])) == 1


def test_a_keeper_whose_time_ran_out_unseen_still_writes_while_nobody_took_over(database, tmp_path):
    with closing(opened(database, tmp_path)) as journal:
        expire(database)
        assert journal.reserve([(REQUEST, 0)])


def test_bytes_may_leave_only_within_the_time_of_the_last_renewal(database):
    clock = Hands()
    with leases(database, 10.0, clock) as lease:
        assert not lease.is_valid()
        lease.take()
        clock.seconds = 9.9
        assert lease.is_valid()
        lease.renew()
        clock.seconds = 19.8
        assert lease.is_valid()
        clock.seconds = 20.0
        assert not lease.is_valid()
        with pytest.raises(LeaseLost, match="expired before it was renewed"):
            lease.renew()


def test_a_renewal_is_refused_to_who_was_overtaken(database):
    with leases(database) as first, leases(database) as second:
        first.take()
        expire(database)
        second.take()
        with pytest.raises(LeaseLost, match="another keeper took over"):
            first.renew()
        assert not first.is_valid()
        first.close()
        second.renew()  # what the first gave back was not its own
        assert second.is_valid()


def test_a_renewal_does_not_wait_for_a_write_and_a_successor_does(database, tmp_path):
    with closing(opened(database, tmp_path)) as first, leases(database) as second:
        with first._writing():
            first.right.renew()
            expire(database)
            taking = threading.Thread(target=second.take)
            taking.start()
            taking.join(0.3)
            assert taking.is_alive()
        taking.join(10)
        assert second.token == first.right.token + 1


def test_a_keeper_that_freezes_within_a_transaction_does_not_hold_up_its_successor(database, tmp_path):
    with closing(opened(database, tmp_path, SHORT_S)) as first, leases(database) as second:
        frozen = first._writing()
        frozen.__enter__()
        expire(database)
        second.take()  # waits until the server has ended the frozen session
        assert second.token == first.right.token + 1
        with pytest.raises(JournalUnavailable):
            frozen.__exit__(None, None, None)


def test_a_pause_while_a_session_begins_does_not_end_it_however_short_the_lease(database, tmp_path, monkeypatch):
    known = PGDialect._get_server_version_info

    def slowly(*arguments: Any) -> Any:
        try:
            return known(*arguments)
        finally:
            time.sleep(0.5)

    monkeypatch.setattr(PGDialect, "_get_server_version_info", slowly)
    with closing(opened(database, tmp_path, SHORTEST_S)) as journal:
        assert journal.reserve([(REQUEST, 0)])


def test_pauses_between_statements_of_an_opening_do_not_end_it_however_short_the_lease(database, tmp_path):
    with slow_statements(0.15), closing(opened(database, tmp_path, SHORTEST_S)) as journal:
        assert journal.take_up(0, 0) == TakenUp()
        open_breaker_store(database, tmp_path, SIGNER, 31337).close()
    with closing(opened(database, tmp_path, SHORTEST_S)) as journal:
        assert journal.reserve([(REQUEST, 0)])


def test_of_many_that_come_at_once_one_becomes_the_holder(database):
    tokens, refused = list[int](), list[OperatorError]()

    def come() -> None:
        with leases(database) as lease:
            try:
                lease.take()
            except OperatorError as error:
                refused.append(error)
            else:
                tokens.append(lease.token)
            done.wait(30)

    done = threading.Barrier(8)
    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tokens, len(refused)) == ([1], 7)


def test_a_server_that_went_away_takes_the_right_with_it(tmp_path):
    server = Postgres().start()
    try:
        database = server.database()
        with closing(opened(database, tmp_path)) as journal:
            server.halt()
            with pytest.raises(JournalUnavailable):
                journal.reserve([(REQUEST, 0)])
            with pytest.raises(LeaseLost):
                journal.right.renew()
            assert not journal.right.is_valid()
        server.resume()
        with closing(opened(database, tmp_path)) as again:
            assert again.reserve([(REQUEST, 0)])
    finally:
        server.stop()


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "postgresql://u:hunter2@127.0.0.1:1/d"])
def test_a_database_that_cannot_be_used_is_one_line_without_the_password(tmp_path, url):
    with pytest.raises(OperatorError) as caught:
        opened(url, tmp_path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_answer_is_to_be_checked_and_no_file_moved_away(tmp_path):
    with pytest.raises(OperatorError, match="check the server, its log and the rights of the URL's user"):
        opened("postgresql://u@127.0.0.1:1/d", tmp_path)
