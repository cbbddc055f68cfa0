"""What the demo leaves in the data directory."""

import re
from pathlib import Path

import pytest

from keeper.demo.files import prepare_demo, write_environment
from keeper.errors import OperatorError
from keeper.execute.journal.database import lock_of
from keeper.execute.leadership.file_lock import WriterLock
from keeper.settings import load_settings
from keeper.sim.keeper import make_signer
from keeper.sim.markets.margin_engine.market import SETTINGS


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("KEEPER_")]:
        monkeypatch.delenv(name)


def test_the_settings_for_a_fork_are_complete_without_being_live(tmp_path: Path) -> None:
    files = prepare_demo(tmp_path)
    make_signer(files)
    write_environment(files, 300, SETTINGS)
    settings = load_settings(files.environment)
    assert not settings.live
    assert settings.private_key is not None
    assert settings.deployment == files.deployment
    assert settings.data_dir != files.directory


def test_a_new_demo_removes_the_journals_of_the_last_and_nothing_else(tmp_path: Path) -> None:
    files = prepare_demo(tmp_path / "new")
    files.fork.mkdir()
    for old in (files.journal, files.fork / "keeper.db", files.directory / "keeper.db"):
        old.write_text("old")
    prepare_demo(files.directory)
    assert not files.journal.exists()
    assert not (files.fork / "keeper.db").exists()
    assert (files.directory / "keeper.db").exists()


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match=r"KEEPER_DATA_DIR: cannot write to .*file/below"):
        prepare_demo(tmp_path / "file" / "below")


@pytest.mark.parametrize("name", [".env", "keeper.key", "deployment.json", "keeper.db"])
def test_an_operators_directory_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(OperatorError, match=rf"has files that no demo wrote \({re.escape(name)}\)") as refused:
        prepare_demo(tmp_path)
    assert refused.value.exit_code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "precious")]


def test_the_directory_of_an_earlier_demo_is_used_again(tmp_path: Path) -> None:
    make_signer(prepare_demo(tmp_path))
    make_signer(prepare_demo(tmp_path))


@pytest.mark.parametrize("journal", ["demo.db", "fork/keeper.db"])
def test_a_journal_that_a_keeper_writes_is_refused(journal: str, tmp_path: Path) -> None:
    files = prepare_demo(tmp_path)
    path = files.directory / journal
    path.parent.mkdir(exist_ok=True)
    path.write_text("journal")
    lock = WriterLock(lock_of(path))
    try:
        with pytest.raises(OperatorError, match="another keeper writes the journal"):
            prepare_demo(tmp_path)
    finally:
        lock.close()
    assert path.read_text() == "journal"
    prepare_demo(tmp_path)
    assert not path.exists()
