"""Secrets and the tokens of URLs never show; all else does."""

import pytest

from keeper.observe.redact import Redactor, redact_url

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
    ],
)
def test_urls_keep_their_host_only(url, shown):
    assert redact_url(url) == shown
    assert redact_url(f"at {url} now") == f"at {shown} now"


def test_hashes_and_short_words_are_left_alone():
    redact = Redactor(["", "abc", KEY])
    assert redact("0x" + "ab" * 32 + " abc") == "0x" + "ab" * 32 + " abc"
