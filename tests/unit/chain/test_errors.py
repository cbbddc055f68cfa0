"""No text of ours carries what an operator keeps secret."""

import pytest
from hypothesis import given, strategies as st

from keeper.chain.errors import redact, scrub
from keeper.redact import Redactor, secrets_in

KEY = "s3cr3t-k3y-0123456789"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://mainnet.example.org/v3/{KEY}", "https://mainnet.example.org"),
        (f"https://user:{KEY}@node.example.org:8545/", "https://node.example.org:8545"),
        (f"wss://node.example.org/ws?apikey={KEY}", "wss://node.example.org"),
        (f"http://[::1]:8545/{KEY}", "http://[::1]:8545"),
        (f"http://node.example.org:port/{KEY}", "http://?"),
        ("/var/run/geth.ipc", "/var/run/geth.ipc"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, expected: str) -> None:
    assert redact(url) == expected


@pytest.mark.parametrize(
    "url", [f"https://a.b/v3/{KEY}", f"https://u:{KEY}@a.b", f"https://a.b/?key={KEY}&x=1", f"https://a.b#{KEY}"]
)
def test_a_nodes_own_words_are_shown_without_the_urls_secrets(url: str) -> None:
    text = scrub(f"project {KEY} is over its limit, see {url} \n for more", Redactor(secrets_in(url)))
    assert KEY not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://bob:pw1@a.b", "wrong password pw1 for bob"),
        ("https://bob:p%2Fw@a.b", "wrong password p/w for bob"),
        ("https://a.b/?key=k7", "no key k7"),
        ("https://a.b/?apikey=k%3D7", "no key k=7"),
        ("https://a.b/v2/ab1", "no route for /v2/ab1"),
        ("https://a.b/a1b2c3", "unknown project a1b2c3"),
        ("https://token@a.b", "token token"),
    ],
)
def test_short_secrets_user_names_and_decoded_forms_are_hidden(url: str, said: str) -> None:
    shown = scrub(said, Redactor(secrets_in(url)))
    assert "***" in shown
    assert not {"pw1", "p/w", "bob", "k7", "k=7", "/v2/ab1", "a1b2c3"} & set(shown.split())


def test_a_short_secret_leaves_words_that_contain_it_as_they_are() -> None:
    hide = Redactor(secrets_in("https://no:low@a.b/mainnet"))
    assert scrub("nonce too lower: node of mainnet", hide) == "nonce too lower: node of mainnet"


@given(st.text())
def test_any_url_can_be_redacted(text: str) -> None:
    assert isinstance(redact("https://" + text), str)
    secrets_in("https://" + text)


def test_long_words_are_cut() -> None:
    assert len(scrub("x" * 10_000)) < 400
