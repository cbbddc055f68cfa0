"""The settings as the policies of the stages."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from keeper.app.policies import policy_of, relay_policy_of
from keeper.settings import Settings


def settings(**values: Any) -> Settings:
    required = {"rpc_urls": ["http://127.0.0.1:8545"], "chain_id": 1, "protocol": "curie", "deployment": Path("x.json")}
    return Settings(**{**required, **values})


@pytest.mark.parametrize(("given", "then_public"), [({}, False), ({"relay_fallback": "public"}, True)])
def test_what_relays_do_not_include_is_cancelled_unless_the_operator_says_otherwise(
    given: dict[str, str], then_public: bool
) -> None:
    found = relay_policy_of(settings(relay_urls=["https://relay.example.org"], **given))
    assert found.then_public is then_public


def test_the_slip_is_bounded_by_default_and_exactly() -> None:
    assert 0 < policy_of(settings()).max_slip <= Fraction(1, 5)
    assert policy_of(settings(max_slip="0.02")).max_slip == Fraction(2, 100)
