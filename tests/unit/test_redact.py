"""Secrets and the tokens of URLs never show; all else does."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, strategies as st

from keeper.redact import Redactor, redact_url, secrets_in

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
        ("wss://node.example/ws/abc", "wss://node.example/***"),
        ("https://h?key=abc", "https://h/***"),
        ("https://u:p@h/x", "https://***@h/***"),
        ("postgresql+psycopg://u:p@db/keeper", "postgresql+psycopg://***@db/***"),
        ("postgresql://u:p/q@db/keeper", "postgresql://***"),
        ("postgresql://u:p#q@db", "postgresql://***"),
        ("http://u:p%zz", "http://***"),
        ("ws://[::1]:8546/x", "ws://[::1]:8546/***"),
    ],
)
def test_urls_keep_their_host_only(url, shown):
    assert redact_url(url) == shown
    assert redact_url(f"at {url} now") == f"at {shown} now"


PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)
SECRETS = st.text(PRINTABLE, min_size=8, max_size=40).filter(lambda text: "*" not in text)
MESSAGE = "block 17 at 0x" + "ab" * 32 + ": sent tx 3 of 12, keeper.idle {x: 1}, a b c"


def test_hashes_and_parts_of_words_are_left_alone() -> None:
    redact = Redactor(["", "a", "abc", "17", "123", KEY])
    text = "0x" + "ab" * 32 + " abcd 17 xabc at block 123"
    assert redact(text) == text


@given(st.lists(st.text(max_size=1)))
def test_no_single_character_is_hidden(secrets: list[str]) -> None:
    assert Redactor(secrets)(MESSAGE) == MESSAGE


@given(st.text(PRINTABLE, max_size=7))
def test_a_short_secret_hides_whole_words_only(secret: str) -> None:
    shown = Redactor([secret])("x" * 5 + "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz" + "y" * 5)
    assert "***" not in shown


@pytest.mark.parametrize("secret", ["abc", "hunter2", "pin9", "é1é", "a+b", "!!x!"])
@pytest.mark.parametrize("text", ["{}", "is {}.", "pw={}&x", "'{}'", "u:{}@h", "line\\n{}", "a_{}_b", "({}/)"])
def test_a_short_secret_is_hidden_as_a_word(secret: str, text: str) -> None:
    assert secret not in Redactor([secret])(text.format(secret))


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_hidden_wherever_and_however_it_is_written(secret: str, before: str, after: str) -> None:
    redact = Redactor([secret])
    for form in (secret, quote(secret), quote(secret, ""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)):
        assert secret not in redact(before + form + after)
    for written in (quote(secret, ""), quote_plus(secret)):  # settings may hold the secret as a URL writes it
        assert secret.lower() not in Redactor([written])(f"password {secret} is wrong").lower()


@given(st.text(PRINTABLE, min_size=1), st.sampled_from(["", ":5432"]), st.sampled_from(["", "/", "/db", "/db?a=b"]))
def test_nothing_of_a_password_shows_in_a_url(password: str, port: str, tail: str) -> None:
    assume(not set(password) & set("\"'<>\\"))
    shown = redact_url(f"https://user:{password}@node.example{port}{tail}")
    end = "/***" if tail.strip("/") else ""
    assert shown in (f"https://***@node.example{port}{end}", "https://***")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://alice:p%40ss@db/keeper", {"alice", "p%40ss", "YWxpY2U6cEBzcw=="}),
        ("postgresql://keeper:a/b#c@db/x", {"a/b#c", "a2VlcGVyOmEvYiNj"}),
        ("postgresql://db/x?user=bob&password=pw&sslkey=/k&sslmode=verify-full", {"bob", "pw"}),
        ("https://t0ken@node.example", {"t0ken"}),
        ("https://node.example/rpc?apikey=k7&chain=main", {"k7", "/rpc?apikey=k7&chain=main"}),
        ("https://node.example/v2/abcdefghijkl", {"abcdefghijkl", "/v2/abcdefghijkl"}),
        ("wss://node.example/ws/a1b2c3", {"a1b2c3", "/ws/a1b2c3"}),
        ("https://node.example/k3y", {"/k3y"}),
        ("https://node.example/mainnet", set()),
        ("https://hooks.example/@someone/x", set()),
        ("/run/node.ipc", set()),
        ("sqlite:///keeper.db", set()),
    ],
)
def test_credentials_of_a_url_are_found(url: str, found: set[str]) -> None:
    assert set(secrets_in(url, path=not url.startswith("postgresql"))) == found


def test_fields_are_cleaned_at_any_depth_and_numbers_stay() -> None:
    fields = {"pin9": 12345678, "a": ["pin9", {"pin9": ("x pin9", None, True, 1.5)}], "b": ValueError("pin9")}
    assert Redactor(["pin9", "12345678"]).fields(fields) == {
        "pin9": 12345678, "a": ["***", {"***": ["x ***", None, True, 1.5]}], "b": "***",
    }  # fmt: skip
