"""What commands print of a database that refuses them names neither its user nor its password."""

import json

import pytest

from tests.support.commands import Run

USER, PASSWORD = "alice", "pw1"


def url(database: str) -> str:
    """As a user that the server does not know; its error names the user."""
    return database.replace("postgres@", f"{USER}:{PASSWORD}@")


@pytest.mark.parametrize("command", [["txs", "--json"], ["resume"], ["kill"], ["plan", "--json"]])
def test_an_error_names_no_user_of_the_database(run: Run, database: str, command: list[str]) -> None:
    code, out, err = run(*command, KEEPER_DATABASE_URL=url(database))
    assert (code, out) == (2, "")
    assert 'role "***" does not exist' in err
    assert not [word for word in (USER, PASSWORD) if word in err]


def test_the_doctors_document_names_no_user_of_the_database(run: Run, database: str) -> None:
    code, out, _ = run("doctor", "--json", KEEPER_DATABASE_URL=url(database))
    [journal] = [check for check in json.loads(out)["checks"] if check["name"] == "journal"]
    assert (code, journal["verdict"]) == (4, "fail")
    assert 'role "***" does not exist' in journal["message"]
    assert USER not in out


def test_advice_that_shows_how_to_write_a_url_is_left_as_it_is(run: Run) -> None:
    code, _, err = run("txs", KEEPER_DATABASE_URL="mysql://db/keeper")
    assert code == 2
    assert "postgresql://USER@HOST/NAME" in err
