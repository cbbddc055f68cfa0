"""`keeper doctor` has the signer sign, and says what is wrong with it."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keeper.cli.checks.check import CheckLevel
from keeper.cli.checks.signer import check_signing
from keeper.cli.session import signer_address
from keeper.settings import Settings
from tests.support.anvil import dev_key
from tests.support.web3signer import Web3Signer

TOKEN = "token-of-the-signer"


def settings_for(signer: Web3Signer, **changes: Any) -> Settings:
    values = {
        "rpc_urls": (SecretStr("http://127.0.0.1:1"),),
        "chain_id": 31337,
        "protocol": "margin_engine",
        "deployment": Path("deployment.json"),
        "remote_signer_url": SecretStr(f"{signer.url}/{TOKEN}"),
        "signer_address": "0x" + signer.address.hex(),
        "signer_timeout_s": 0.8,
    }
    return Settings(**{**values, **changes})


async def test_a_signer_that_signs_for_its_address_is_well() -> None:
    async with Web3Signer(dev_key(1)) as signer:
        assert (await check_signing(settings_for(signer))).verdict is CheckLevel.OK
        assert signer_address(settings_for(signer)) == signer.address


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("wrong_key", "the signer returned another sender"),
        ("high_s", "a high s"),
        ("hang", "did not sign within|no answer within"),
        ("404", "does not hold the key"),
    ],
)
async def test_a_signer_that_does_not_is_told_with_what_to_do(mode: str, message: str) -> None:
    async with Web3Signer(dev_key(1)) as signer:
        signer.mode = mode
        check = await check_signing(settings_for(signer))
    assert check.verdict is CheckLevel.FAIL
    assert re.search(message, check.message)
    assert TOKEN not in check.message
    assert check.action


async def test_a_signer_without_the_key_is_told_apart() -> None:
    async with Web3Signer(dev_key(1)) as signer:
        check = await check_signing(settings_for(signer, signer_address="0x" + "11" * 20))
    assert "does not hold the key" in check.message
