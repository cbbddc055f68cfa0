"""The key of a daemon signs calls to the contracts that the adapter calls, not to every address of the file."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.app.execution import signing_policy_of
from keeper.app.session import Session
from keeper.errors import InvariantBroken
from keeper.execute.signing.calls import LimitReached
from keeper.execute.signing.signer import UnsignedTx
from keeper.protocols.base import EXECUTOR, Defaults, Deployment
from keeper.protocols.registry import load_protocol
from keeper.settings import Settings

KEEPER, CONTRACT, OWN, OTHER = b"\xaa" * 20, b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
MAIN = {"margin_engine": "MarginEngine", "curie": "ClearingHouse", "aave_v3": "PoolAddressesProvider"}
CALLED = {"margin_engine": {CONTRACT}, "curie": {OWN}, "aave_v3": {OWN}}


def allowed(protocol: Any, deployment: Deployment) -> set[bytes]:
    """Addresses of the file that the key may call."""
    settings = Settings(rpc_urls="http://x", chain_id=1, protocol="x", deployment="d.json")
    none: Any = None
    policy = signing_policy_of(settings, Session(none, deployment, protocol), KEEPER)
    found = set()
    for address in (*deployment.contracts.values(), b"\xff" * 20):
        try:
            policy.check(UnsignedTx(1, 0, address, b"\1\2\3\4", 100_000, 10**9, 0))
        except LimitReached:  # no block was read yet
            found.add(address)
        except InvariantBroken:
            pass
    return found


@pytest.mark.parametrize("name", sorted(MAIN))
def test_only_what_the_adapter_calls_may_be_called(name: str) -> None:
    deployment = Deployment(name, 1, 0, {MAIN[name]: CONTRACT, EXECUTOR: OWN, "Token": OTHER})
    assert allowed(load_protocol(deployment), deployment) == CALLED[name]


@pytest.mark.parametrize("name", ["curie", "aave_v3"])
def test_without_an_executor_nothing_may_be_called(name: str) -> None:
    deployment = Deployment(name, 1, 0, {MAIN[name]: CONTRACT, "Token": OTHER})
    assert not allowed(load_protocol(deployment), deployment)


def test_an_adapter_that_does_not_say_may_call_every_contract_of_the_file() -> None:
    deployment = Deployment("plug-in", 1, 0, {"One": CONTRACT, "Two": OWN})
    assert allowed(Defaults(), deployment) == {CONTRACT, OWN}
    assert allowed(Defaults(), replace(deployment, contracts={})) == set()
