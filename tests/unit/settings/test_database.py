"""A journal on another machine is refused without verified TLS."""

from pathlib import Path

import pytest

from keeper.errors import OperatorError
from keeper.settings import load_settings
from keeper.settings.database import check_database

LOCAL = [
    "sqlite:///keeper.db",
    "postgresql:///keeper",
    "postgresql+psycopg://keeper@/keeper?host=/run/postgresql",
    "postgresql://u:p@localhost/keeper",
    "postgresql://u:p@127.0.0.1:5433/keeper",
    "postgresql://u:p@[::1]:5432/keeper",
    "postgresql://u:p@/keeper?host=localhost:5432&host=127.0.0.1:5433",
]
REMOTE = [
    "postgresql://u:p@db.example/keeper",
    "postgresql+psycopg://u:p@10.0.0.5:5432/keeper",
    "postgresql://u:p@[2001:db8::1]/keeper",
    "postgresql://u:p@/keeper?host=db.example",
    "postgresql://u:p@/keeper?host=localhost:5432&host=db.example:5432",
    "postgresql://u:p@localhost/keeper?host=localhost,db.example",
    "postgresql://u:p@localhost/keeper?hostaddr=10.0.0.5",
    "postgresql:///keeper?service=production",
    "postgresql://u:p@localhost.example/keeper",
    "postgresql://u:p@0.0.0.0/keeper",
]


@pytest.fixture(autouse=True)
def needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The required settings, in the environment, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    values = {"RPC_URLS": "http://node.example", "CHAIN_ID": "10", "PROTOCOL": "x", "DEPLOYMENT": "d.json"}
    for name, value in values.items():
        monkeypatch.setenv(f"KEEPER_{name}", value)
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", LOCAL)
def test_a_database_of_this_machine_needs_no_tls(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("KEEPER_DATABASE_URL", url)
    assert load_settings().database_url.get_secret_value() == url


@pytest.mark.parametrize("url", REMOTE)
def test_a_database_elsewhere_is_refused_unless_its_certificate_is_verified(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    joint = "&" if "?" in url else "?"
    for mode in ("", f"{joint}sslmode=require", f"{joint}sslmode=verify-ca", f"{joint}sslmode=prefer"):
        monkeypatch.setenv("KEEPER_DATABASE_URL", url + mode)
        with pytest.raises(OperatorError, match=r"^KEEPER_DATABASE_URL: .* is not on this machine: add sslmode") as e:
            load_settings()
        assert e.value.exit_code == 2
        assert "u:p" not in str(e.value)
    monkeypatch.setenv("KEEPER_DATABASE_URL", f"{url}{joint}sslmode=verify-full")
    assert load_settings()
    monkeypatch.setenv("KEEPER_DATABASE_URL", url)
    monkeypatch.setenv("KEEPER_ALLOW_PLAIN_DATABASE", "true")
    assert load_settings()


def test_what_libpq_takes_from_the_environment_counts() -> None:
    url = "postgresql:///keeper"
    check_database(url, {"PGHOST": "/run/postgresql"})
    check_database(url, {"PGHOST": "db.example", "PGSSLMODE": "verify-full"})
    for environment in ({"PGHOST": "db.example"}, {"PGHOSTADDR": "10.0.0.5"}, {"PGSERVICE": "production"}):
        with pytest.raises(OperatorError, match="is not on this machine"):
            check_database(url, environment)
    with pytest.raises(OperatorError, match="is not on this machine"):
        check_database("postgresql://db.example/x?sslmode=require", {"PGSSLMODE": "verify-full"})
