"""The node class that the demo and the tests use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.chain.errors import RpcError
from keeper.errors import OperatorError
from tests.support.anvil import Anvil, dev_key


def test_the_pid_is_the_nodes_own(anvil: Anvil) -> None:
    assert "anvil" in Path(f"/proc/{anvil.pid}/exe").readlink().name


def test_blocks_come_when_told_with_time_and_base_fee_as_told(start_anvil: Callable[..., Anvil]) -> None:
    node = start_anvil(mining=False, timestamp=1_700_000_000, base_fee=10**9, gas_limit=12_345_678)
    assert node.block_number() == 0
    node.set_next_timestamp(1_700_000_100)
    node.set_next_base_fee(7 * 10**9)
    node.mine()
    block = node.block()
    found = {key: int(block[key], 16) for key in ("number", "timestamp", "baseFeePerGas", "gasLimit")}
    assert found == {
        "number": 1,
        "timestamp": 1_700_000_100,
        "baseFeePerGas": 7 * 10**9,
        "gasLimit": 12_345_678,
    }


def test_a_snapshot_takes_everything_back(anvil: Anvil) -> None:
    account = b"\x11" * 20
    snapshot = anvil.snapshot()
    anvil.set_balance(account, 5)
    anvil.mine(3)
    anvil.revert(snapshot)
    assert (anvil.balance(account), anvil.block_number()) == (0, 0)


def test_a_fork_leaves_its_origin_alone(anvil: Anvil, start_anvil: Callable[..., Anvil]) -> None:
    anvil.mine(2)
    fork = start_anvil(fork_url=anvil.url)
    fork.mine(3)
    assert (fork.block_number(), anvil.block_number()) == (5, 2)


def test_development_keys_belong_to_the_development_accounts(anvil: Anvil) -> None:
    from eth_account import Account

    assert Account.from_key(dev_key(3)).address.lower() == anvil.accounts()[3].lower()


def test_an_error_of_the_node_is_raised_with_its_code(anvil: Anvil) -> None:
    with pytest.raises(RpcError) as caught:
        anvil.rpc("no_such_method")
    assert caught.value.code == -32601


def test_stopping_ends_the_process(start_anvil: Callable[..., Anvil]) -> None:
    node = start_anvil()
    pid = node.pid
    node.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_node_that_cannot_start_is_the_operators_to_mend() -> None:
    with pytest.raises(OperatorError, match="anvil did not start"):
        Anvil(extra=["--no-such-option"]).start()
