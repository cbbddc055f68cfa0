"""No text of ours carries what an operator keeps secret."""

import pytest
from hypothesis import given, strategies as st

from keeper.chain.errors import redact, scrub, secrets_of

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
    text = scrub(f"project {KEY} is over its limit, see {url} \n for more", secrets_of(url))
    assert KEY not in text
    assert "\n" not in text


@given(st.text())
def test_any_url_can_be_redacted(text: str) -> None:
    assert isinstance(redact("https://" + text), str)
    secrets_of("https://" + text)


def test_long_words_are_cut() -> None:
    assert len(scrub("x" * 10_000)) < 400
