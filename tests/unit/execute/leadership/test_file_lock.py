"""The locks that give the right to write on one machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.errors import OperatorError
from keeper.execute.leadership import file_lock
from keeper.execute.leadership.file_lock import WriterLock, lock_directory, lock_signer
from keeper.execute.leadership.right import HELD

SIGNER, OTHER, GENESIS = b"\xaa" * 20, b"\xbb" * 20, b"\x01" * 32


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "_runtime_dir", lambda: tmp_path)


def refused(take: object) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        take()
    assert caught.value.exit_code == HELD
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_second_holder_is_refused_and_told_the_process(tmp_path):
    held = WriterLock(tmp_path / "a.lock")
    assert f"process {os.getpid()}" in str(refused(lambda: WriterLock(tmp_path / "a.lock")))
    held.close()
    held.close()
    WriterLock(tmp_path / "a.lock").close()


def test_a_data_directory_has_one_live_keeper(tmp_path):
    held = lock_directory(tmp_path)
    assert str(tmp_path) in str(refused(lambda: lock_directory(tmp_path)))
    held.close()


def test_a_key_is_held_on_its_chain_whatever_the_data_directory():
    held = lock_signer(SIGNER, 1, GENESIS)
    refused(lambda: lock_signer(SIGNER, 1, GENESIS))
    for other in ((OTHER, 1, GENESIS), (SIGNER, 10, GENESIS), (SIGNER, 1, b"\x02" * 32)):
        lock_signer(*other).close()
    held.close()


def test_keepers_between_which_a_lease_decides_share_the_lock_with_each_other_only():
    first, second = (lock_signer(SIGNER, 1, GENESIS, shared=True) for _ in range(2))
    refused(lambda: lock_signer(SIGNER, 1, GENESIS))
    first.close()
    second.close()
    held = lock_signer(SIGNER, 1, GENESIS)
    refused(lambda: lock_signer(SIGNER, 1, GENESIS, shared=True))
    held.close()


def test_a_lock_ends_with_its_process(tmp_path):
    module = "keeper.execute.leadership.file_lock"
    program = f"import sys; from pathlib import Path; from {module} import WriterLock as L; L(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.lock")], check=True)
    WriterLock(tmp_path / "a.lock").close()


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "a.lock").symlink_to(tmp_path / "target")
    with pytest.raises(OperatorError):
        WriterLock(tmp_path / "a.lock")
    assert (tmp_path / "target").read_text() == "precious"


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Enter a service with a /tmp of its own and no login session."""
    monkeypatch.undo()
    access = os.access
    monkeypatch.setattr(
        file_lock.os, "access", lambda path, mode: not str(path).startswith("/run/user") and access(path, mode)
    )
    monkeypatch.setattr(file_lock, "SHARED", tmp_path / "run")

    def enter(name: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.setattr(file_lock.tempfile, "gettempdir", lambda: str(tmp_path / name))

    return enter


def test_a_private_tmp_does_not_hide_the_lock_where_services_share_a_directory(tmp_path, private):
    (tmp_path / "run").mkdir()
    private("one")
    held = lock_signer(SIGNER, 1, GENESIS)
    private("two")
    refused(lambda: lock_signer(SIGNER, 1, GENESIS))
    held.close()


@pytest.mark.parametrize("kind", ["nothing", "link"])
def test_a_shared_directory_that_is_not_ones_own_is_not_used(tmp_path, private, kind):
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    private("one")
    lock_signer(SIGNER, 1, GENESIS).close()
    assert (tmp_path / "one" / f"keeper-{os.getuid()}").is_dir()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_runtime_directory_that_is_not_ones_own_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.undo()
    monkeypatch.setattr(file_lock.os, "access", lambda *_: False)
    monkeypatch.setattr(file_lock.tempfile, "gettempdir", lambda: str(tmp_path))
    path = tmp_path / f"keeper-{os.getuid()}"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("")
    with pytest.raises(OperatorError, match=r"directory|cannot make"):
        lock_signer(SIGNER, 1, GENESIS)
