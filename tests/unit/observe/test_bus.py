"""The bus hands each event to every listener."""

from keeper.model.events import HEAD_NEW, Event
from keeper.observe.bus import Bus


def test_a_listener_that_fails_disturbs_neither_the_caller_nor_the_others(capsys):
    heard = []

    def broken(_: Event) -> None:
        raise RuntimeError("with a secret in it")

    Bus(broken, heard.append)(Event(HEAD_NEW, "a block"))
    assert len(heard) == 1
    assert "RuntimeError" in capsys.readouterr().err
