"""Settings: where they come from, what wins, what is refused, and what never shows."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.app.policies import limits_of
from keeper.errors import OperatorError
from keeper.model.health import WAD
from keeper.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
KEY = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The required settings, in the environment, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPER_RPC_URLS", "ws://one.example/secret-token, http://two.example")
    monkeypatch.setenv("KEEPER_CHAIN_ID", "10")
    monkeypatch.setenv("KEEPER_PROTOCOL", "margin_engine")
    monkeypatch.setenv("KEEPER_DEPLOYMENT", "deployment.json")


def test_urls_keep_their_order_of_preference() -> None:
    urls = [url.get_secret_value() for url in load_settings().rpc_urls]
    assert urls == ["ws://one.example/secret-token", "http://two.example"]


def test_the_environment_wins_over_the_file() -> None:
    Path(".env").write_text("KEEPER_CHAIN_ID=1\nKEEPER_MAX_FEE_GWEI=7\n")
    settings = load_settings()
    assert settings.chain_id == 10
    assert settings.max_fee_gwei == 7


def test_overrides_win_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_LIVE", "false")
    assert load_settings(live=True).live


def test_dry_run_is_the_default() -> None:
    assert not load_settings().live


def test_losses_and_gas_have_limits_when_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limits_of(load_settings())
    assert (limits.max_loss_wad, limits.max_gas_wad) == (2_000 * WAD, 5_000 * WAD)
    monkeypatch.setenv("KEEPER_MAX_LOSS_USD_DAY", "12.5")
    assert limits_of(load_settings()).max_loss_wad == 25 * WAD // 2


def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_TARGET_HEALTH", "")
    assert load_settings().target_health == Decimal("1.10")


def test_a_value_can_be_read_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("key").write_text(KEY + "\n")
    monkeypatch.setenv("KEEPER_PRIVATE_KEY_FILE", "key")
    key = load_settings().private_key
    assert key is not None
    assert key.get_secret_value() == KEY


def test_a_value_and_its_file_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("key").write_text(KEY)
    monkeypatch.setenv("KEEPER_PRIVATE_KEY_FILE", "key")
    monkeypatch.setenv("KEEPER_PRIVATE_KEY", KEY)
    with pytest.raises(OperatorError, match="both set"):
        load_settings()


def test_a_plain_key_is_for_development_chains_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_PRIVATE_KEY", KEY)
    with pytest.raises(OperatorError, match="refused on chain 10"):
        load_settings()
    monkeypatch.setenv("KEEPER_ALLOW_PLAIN_KEY", "true")
    assert load_settings().private_key is not None
    monkeypatch.delenv("KEEPER_ALLOW_PLAIN_KEY")
    monkeypatch.setenv("KEEPER_CHAIN_ID", "31337")
    assert load_settings().private_key is not None


def test_no_secret_shows_in_a_repr_or_a_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_ALLOW_PLAIN_KEY", "true")
    monkeypatch.setenv("KEEPER_PRIVATE_KEY", KEY)
    monkeypatch.setenv("KEEPER_ALERT_URLS", "https://hooks.example/services/hidden-part")
    monkeypatch.setenv("KEEPER_DATABASE_URL", "postgresql://keeper:hunter2@db/keeper?sslmode=verify-full")
    settings = load_settings()
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        for secret in (KEY[2:], "secret-token", "hidden-part", "hunter2"):
            assert secret not in text


def test_a_refused_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_RPC_URLS", "gopher://node.example/secret-token")
    with pytest.raises(OperatorError) as caught:
        load_settings()
    assert "secret-token" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.chain_id = 1


def test_the_example_file_is_what_the_class_gives_and_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    check = [sys.executable, str(ROOT / "tools" / "env_example.py"), "--check"]
    assert subprocess.run(check, check=False).returncode == 0
    for key in ("RPC_URLS", "CHAIN_ID", "PROTOCOL", "DEPLOYMENT"):
        monkeypatch.delenv(f"KEEPER_{key}")
    settings = load_settings(ROOT / ".env.example")
    assert settings.chain_id == 31337


def test_every_setting_stands_in_the_example_file() -> None:
    text = (ROOT / ".env.example").read_text()
    for name in Settings.model_fields:
        assert f"KEEPER_{name.upper()}" in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kms_key_id": "a", "private_key": KEY, "allow_plain_key": "true"}, "give one signer"),
        ({"kms_key_id": "a", "remote_signer_url": "http://x", "signer_address": "0x" + "11" * 20}, "give one signer"),
        ({"remote_signer_url": "http://x"}, "KEEPER_SIGNER_ADDRESS"),
        ({"signer_address": "0x" + "11" * 20}, "KEEPER_REMOTE_SIGNER_URL"),
        ({"signer_address": "0x" + "11" * 20, "private_key": KEY, "allow_plain_key": "true"}, "KEEPER_KMS_KEY_ID"),
        ({"remote_signer_url": "x:9000", "signer_address": "0x" + "11" * 20}, "KEEPER_REMOTE_SIGNER_URL: must be http"),
        ({"remote_signer_url": "http://x", "signer_address": "0x11"}, "KEEPER_SIGNER_ADDRESS"),
        ({"relay_urls": "http://x,ws://y"}, "KEEPER_RELAY_URLS: must be http"),
        ({"relay_urls": "http://[x"}, "KEEPER_RELAY_URLS: must be http.*malformed host"),
        ({"remote_signer_url": "http://", "signer_address": "0x" + "11" * 20}, "KEEPER_REMOTE_SIGNER_URL: must be"),
        ({"kms_endpoint_url": "https://x:y"}, "KEEPER_KMS_ENDPOINT_URL: must be"),
        ({"relay_mode": "open"}, "KEEPER_RELAY_MODE"),
    ],
)
def test_signers_and_relays_that_cannot_be_are_refused_by_name(values: dict[str, str], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        load_settings(**values)
