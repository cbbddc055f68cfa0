"""A keeper of the test bed: its key and its settings."""

import stat
from pathlib import Path

import pytest

from keeper.sim.keeper import SPENDING, capacity, keeper_settings, make_signer, prepare


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("KEEPER_")]:
        monkeypatch.delenv(name)


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    make_signer(files)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_every_keeper_has_a_key_of_its_own(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    assert make_signer(files) != make_signer(files)


def test_settings_come_from_nowhere_but_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_RPC_URLS", "https://mainnet.example")
    monkeypatch.setenv("KEEPER_KEYSTORE_FILE", "/somewhere")
    files = prepare(tmp_path)
    make_signer(files)
    settings = keeper_settings(files, "ws://127.0.0.1:1", {"protocol": "margin_engine", "live": True})
    assert [url.get_secret_value() for url in settings.rpc_urls] == ["ws://127.0.0.1:1"]
    assert settings.keystore_file is None
    assert settings.live
    assert (settings.max_loss_usd_day, settings.max_gas_usd_hour) == tuple(SPENDING.values()), "a crash is not limited"


def test_more_accounts_may_have_more_on_their_way() -> None:
    assert [capacity(accounts)["max_in_flight"] for accounts in (10, 300, 900, 5_000)] == [64, 100, 300, 1_000]
