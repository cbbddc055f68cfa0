"""Files of secrets that other users can read or write are refused before anything is done with them."""

import json
from pathlib import Path

import pytest

from keeper.errors import OperatorError
from keeper.execute.signing.local import from_keystore
from keeper.secret_files import read_secret
from keeper.settings import load_settings
from keeper.settings.types import carries_secret

KEY = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The required settings, in the environment, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    values = {"RPC_URLS": "http://node.example", "CHAIN_ID": "10", "PROTOCOL": "x", "DEPLOYMENT": "d.json"}
    for name, value in values.items():
        monkeypatch.setenv(f"KEEPER_{name}", value)


def secret_file(mode: int, text: str = KEY, name: str = "secret") -> Path:
    path = Path(name)
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o444, 0o660, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused_in_one_line(mode: int) -> None:
    path = secret_file(mode)
    with pytest.raises(OperatorError) as caught:
        read_secret(path, "KEEPER_PRIVATE_KEY_FILE")
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert text.startswith("KEEPER_PRIVATE_KEY_FILE: ")
    for part in (f"mode {mode:04o}", "`chmod 600 secret`", "KEEPER_ALLOW_OPEN_SECRETS=true"):
        assert part in text
    assert "\n" not in text
    assert "ab" * 4 not in text


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(mode: int) -> None:
    assert read_secret(secret_file(mode), "KEEPER_PRIVATE_KEY_FILE") == KEY + "\n"


def test_a_link_has_the_mode_of_the_file_behind_it() -> None:
    Path("closed").symlink_to(secret_file(0o600, name="private"))
    Path("open").symlink_to(secret_file(0o644, name="public"))
    assert read_secret(Path("closed"), "KEEPER_X_FILE")
    with pytest.raises(OperatorError, match="mode 0644"):
        read_secret(Path("open"), "KEEPER_X_FILE")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PRIVATE_KEY", KEY),
        ("KEYSTORE_PASSWORD", "correct horse"),
        ("RPC_URLS", "https://node.example/v2/token"),
        ("ALERT_URLS", "https://hooks.example/services/token"),
        ("RELAY_URLS", "https://relay.example/token"),
        ("REMOTE_SIGNER_URL", "https://user:password@signer.example"),
        ("KMS_ENDPOINT_URL", "https://user:password@kms.example"),
        ("DATABASE_URL", "sqlite:///keeper.db"),
    ],
)
def test_the_file_of_each_setting_that_can_hold_a_secret_must_be_closed(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.delenv(f"KEEPER_{name}", raising=False)
    monkeypatch.setenv(f"KEEPER_{name}_FILE", str(secret_file(0o644, text)))
    if name == "REMOTE_SIGNER_URL":
        monkeypatch.setenv("KEEPER_SIGNER_ADDRESS", "0x" + "11" * 20)
    with pytest.raises(OperatorError, match=f"^KEEPER_{name}_FILE: other users can read"):
        load_settings()
    for allowed in ("true", "1", "TRUE", "yes"):
        monkeypatch.setenv("KEEPER_ALLOW_OPEN_SECRETS", allowed)
        settings = load_settings()
        assert text not in repr(settings)
    monkeypatch.setenv("KEEPER_ALLOW_OPEN_SECRETS", "false")
    with pytest.raises(OperatorError, match="other users can read"):
        load_settings()


@pytest.mark.parametrize("chain_id", ["31337", "1337"])
def test_files_of_secrets_may_be_open_on_development_chains(monkeypatch: pytest.MonkeyPatch, chain_id: str) -> None:
    monkeypatch.setenv("KEEPER_CHAIN_ID", chain_id)
    monkeypatch.setenv("KEEPER_PRIVATE_KEY_FILE", str(secret_file(0o644)))
    assert load_settings().private_key


def test_the_file_of_what_is_no_secret_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPER_CHAIN_ID")
    monkeypatch.setenv("KEEPER_CHAIN_ID_FILE", str(secret_file(0o644, "5")))
    assert load_settings().chain_id == 5


@pytest.mark.parametrize("line", [f"KEEPER_PRIVATE_KEY={KEY}", "KEEPER_KEYSTORE_PASSWORD=correct horse"])
def test_a_key_or_a_password_makes_the_settings_file_one_of_secrets(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    secret_file(0o644, f"KEEPER_ALLOW_PLAIN_KEY=true\n{line}", ".env")
    with pytest.raises(
        OperatorError, match=rf"^{line.partition('=')[0]}: other users can read or write \.env \(mode 0644"
    ):
        load_settings()
    monkeypatch.setenv("KEEPER_CHAIN_ID", "31337")
    assert load_settings()
    monkeypatch.setenv("KEEPER_CHAIN_ID", "10")
    Path(".env").chmod(0o600)
    assert load_settings()


def test_a_settings_file_without_keys_and_passwords_may_be_open() -> None:
    secret_file(0o644, "KEEPER_PRIVATE_KEY=\nKEEPER_LOG_LEVEL=debug", ".env")
    assert load_settings().log_level == "debug"


def test_a_keystore_that_others_can_read_is_refused_unless_allowed() -> None:
    from eth_account import Account

    path = secret_file(0o644, json.dumps(Account.encrypt(KEY, "pw", kdf="pbkdf2", iterations=2)), "keystore.json")
    with pytest.raises(OperatorError, match=r"^KEEPER_KEYSTORE_FILE: other users can read .*mode 0644.*chmod 600"):
        from_keystore(path, "pw")
    assert from_keystore(path, "pw", allow_open=True).address == bytes.fromhex(Account.from_key(KEY).address[2:])


def test_what_can_hold_a_secret_is_known_by_its_type() -> None:
    from keeper.settings import Settings

    found = {name for name, field in Settings.model_fields.items() if carries_secret(field.annotation)}
    assert found == {
        "rpc_urls", "keystore_password", "private_key", "remote_signer_url", "kms_endpoint_url", "relay_urls",
        "database_url", "alert_urls",
    }  # fmt: skip
    words = ("url", "urls", "password", "secret", "token", "webhook", "webhooks", "private")
    assert {name for name in Settings.model_fields if set(name.split("_")) & set(words)} <= found
