"""What the demo leaves in the data directory."""

import stat
from pathlib import Path

import pytest

from keeper.errors import OperatorError
from keeper.execute.journal.database import lock_of
from keeper.execute.leadership.file_lock import WriterLock
from keeper.settings import load_settings
from keeper.sim.keeper import demo_settings, in_flight, make_signer, prepare, write_environment


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("KEEPER_")]:
        monkeypatch.delenv(name)


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    make_signer(files)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_every_demo_has_a_key_of_its_own(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    assert make_signer(files) != make_signer(files)


def test_the_settings_for_a_fork_are_complete_without_being_live(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    make_signer(files)
    write_environment(files)
    settings = load_settings(files.environment)
    assert not settings.live
    assert settings.private_key is not None
    assert settings.deployment == files.deployment
    assert settings.data_dir != files.directory


def test_the_keeper_of_the_demo_hears_nothing_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPER_RPC_URLS", "https://mainnet.example")
    monkeypatch.setenv("KEEPER_KEYSTORE_FILE", "/somewhere")
    files = prepare(tmp_path)
    make_signer(files)
    settings = demo_settings(files, "ws://127.0.0.1:1")
    assert [url.get_secret_value() for url in settings.rpc_urls] == ["ws://127.0.0.1:1"]
    assert settings.keystore_file is None
    assert settings.live


def test_a_new_demo_removes_the_journals_of_the_last_and_nothing_else(tmp_path: Path) -> None:
    files = prepare(tmp_path / "new")
    files.fork.mkdir()
    for old in (files.journal, files.fork / "keeper.db", files.directory / "keeper.db"):
        old.write_text("old")
    prepare(files.directory)
    assert not files.journal.exists()
    assert not (files.fork / "keeper.db").exists()
    assert (files.directory / "keeper.db").exists()


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match=r"KEEPER_DATA_DIR: cannot write to .*file/below"):
        prepare(tmp_path / "file" / "below")


@pytest.mark.parametrize("name", [".env", "keeper.key", "deployment.json", "keeper.db"])
def test_an_operators_directory_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(OperatorError, match=rf"holds {name} of no earlier demo") as refused:
        prepare(tmp_path)
    assert refused.value.exit_code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "precious")]


def test_the_directory_of_an_earlier_demo_is_used_again(tmp_path: Path) -> None:
    make_signer(prepare(tmp_path))
    make_signer(prepare(tmp_path))


@pytest.mark.parametrize("journal", ["demo.db", "fork/keeper.db"])
def test_a_journal_that_a_keeper_writes_is_refused(journal: str, tmp_path: Path) -> None:
    files = prepare(tmp_path)
    path = files.directory / journal
    path.parent.mkdir(exist_ok=True)
    path.write_text("journal")
    lock = WriterLock(lock_of(path))
    try:
        with pytest.raises(OperatorError, match="a keeper is at work on"):
            prepare(tmp_path)
    finally:
        lock.close()
    assert path.read_text() == "journal"
    prepare(tmp_path)
    assert not path.exists()


def test_more_accounts_may_have_more_on_their_way() -> None:
    assert [in_flight(accounts) for accounts in (10, 300, 900, 5_000)] == [64, 100, 300, 1_000]
