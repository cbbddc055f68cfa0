"""boto3 itself against a local KMS: what it asks, what it makes of answers, and that it does not wait for ever."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from eth_account import Account

from keeper.abi import checksum
from keeper.app.signers import signer_of
from keeper.cli.checks.signer import check_pinned
from keeper.errors import OperatorError, Transient
from keeper.execute.signing.kms import KmsSigner, connect_kms
from keeper.execute.signing.signer import UnsignedTx
from keeper.settings import Settings
from tests.support.anvil import dev_key
from tests.support.kms import KmsKey, KmsService

pytest.importorskip("boto3", reason="the extra liquidation-keeper[aws] is not installed")
TX = UnsignedTx(31337, 7, b"\xee" * 20, b"\1\2\3\4", 500_000, 10**11, 10**9)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KmsService]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with KmsService(KmsKey(dev_key(1))) as running:
        yield running


async def connected(service: KmsService, timeout_s: float = 5.0) -> KmsSigner:
    return await asyncio.to_thread(connect_kms, "alias/keeper", "eu-central-1", service.url, timeout_s)


@pytest.mark.parametrize("high_s", [False, True])
async def test_a_key_in_kms_signs_for_its_address(service: KmsService, high_s: bool):
    service.key.high_s = high_s
    signer = await connected(service)
    signed = await signer.sign(TX)
    assert signer.address == service.key.address
    assert bytes.fromhex(Account.recover_transaction(signed.raw)[2:]) == signer.address


async def test_what_kms_refuses_is_transient_once_it_runs_and_fatal_at_the_start(service: KmsService):
    signer = await connected(service)
    service.key.error = "AccessDeniedException"
    with pytest.raises(Transient, match="AccessDeniedException"):
        await signer.sign(TX)
    with pytest.raises(OperatorError, match="KEEPER_KMS_KEY_ID: no public key") as caught:
        await connected(service)
    assert caught.value.exit_code == 4


async def test_kms_that_hangs_is_given_up(service: KmsService):
    signer = await connected(service, timeout_s=0.5)
    service.hangs = True
    with pytest.raises(Transient, match="ReadTimeout"):
        await signer.sign(TX)


async def test_without_a_region_the_setting_is_named(service: KmsService, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(OperatorError, match="KEEPER_KMS_REGION"):
        await asyncio.to_thread(connect_kms, "alias/keeper", None, None, 1.0)


def settings_for(service: KmsService, address: bytes | None) -> Settings:
    pinned = None if address is None else "0x" + address.hex()
    return Settings(
        rpc_urls="http://127.0.0.1:1", chain_id=31337, protocol="x", deployment="d.json", kms_key_id="alias/keeper",
        kms_region="eu-central-1", kms_endpoint_url=service.url, signer_address=pinned,
    )  # fmt: skip


async def test_a_key_in_kms_with_another_address_than_the_settings_is_refused(service: KmsService):
    right, wrong = settings_for(service, service.key.address), settings_for(service, b"\x11" * 20)
    assert (await asyncio.to_thread(signer_of, right)).address == service.key.address
    with pytest.raises(OperatorError, match=r"^KEEPER_SIGNER_ADDRESS is 0x1111.*KEEPER_KMS_KEY_ID has address 0x") as e:
        await asyncio.to_thread(signer_of, wrong)
    assert e.value.exit_code == 2


async def test_doctor_warns_of_a_key_in_kms_that_no_address_names(service: KmsService):
    address = service.key.address
    [open_] = check_pinned(settings_for(service, None), address)
    [pinned] = check_pinned(settings_for(service, address), address)
    assert (open_.verdict, pinned.verdict) == ("warn", "ok")
    assert f"KEEPER_SIGNER_ADDRESS={checksum(address)}" in open_.action
