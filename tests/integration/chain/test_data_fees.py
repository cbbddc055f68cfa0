"""What rollups charge for data: the keeper's figures beside what op-revm takes, and beside the chains' contracts."""

import random
from collections.abc import Callable

import pytest
from eth_account import Account

from keeper.chain.data_fees import GAS_PRICE_ORACLE, NO_ORACLE, find_oracle
from keeper.model.chain import BlockRef, Call, CallResult
from keeper.model.compression import fastlz_length
from keeper.model.data_fees import ENVELOPE, NO_DATA_FEES
from tests.integration.chain.conftest import Dial
from tests.support import rollup
from tests.support.anvil import Anvil, dev_key

GWEI = 10**9
SENDER, RECEIVER = 5, bytes.fromhex("be" * 20)


def calldatas() -> list[bytes]:
    """Empty, zeros, words as of the ABI, repetitions, and bytes without a pattern."""
    dice = random.Random(7)
    words = [b"".join(dice.randbytes(dice.choice((1, 8, 20))).rjust(32, b"\0") for _ in range(n)) for n in (4, 12, 40)]
    return [b"", b"\0" * 2_000, *words, dice.randbytes(300) * 8, dice.randbytes(3_000)]


async def test_the_op_stacks_fee_is_known_before_the_transaction_is_sent(
    start_anvil: Callable[..., Anvil], dial: Dial
) -> None:
    anvil = start_anvil(extra=rollup.OPTIMISM)
    prices = rollup.op_stack(anvil, rollup.L1Prices(blob_fee=3 * GWEI))
    chain = await dial(anvil.url)
    oracle, fees = await find_oracle(chain.reader)
    assert oracle is not NO_ORACLE
    account = Account.from_key(dev_key(SENDER))
    for nonce, data in enumerate(calldatas()):
        tx = {"type": 2, "chainId": 31337, "nonce": nonce, "to": RECEIVER, "value": 0, "data": data, "gas": 3_000_000}
        fields = {"maxFeePerGas": 20 * GWEI, "maxPriorityFeePerGas": 1}
        raw = bytes(account.sign_transaction({**tx, **fields}).raw_transaction)
        before = anvil.balance(account.address)
        receipt = anvil.receipt(anvil.rpc("eth_sendRawTransaction", "0x" + raw.hex()))
        gas = int(receipt["gasUsed"], 16)
        charged = before - anvil.balance(account.address) - gas * int(receipt["effectiveGasPrice"], 16)
        assert charged == prices.fee(raw) + prices.operator_fee(gas)
        expected = fees.expected(data, gas)
        # What is not known yet (nonce, fees, signature) takes the space of ENVELOPE at most.
        spare = prices.scaled * 836_500 * (fastlz_length(data) + ENVELOPE - fastlz_length(raw)) // 10**12
        assert charged - 2 <= expected <= charged + max(spare, 0) + 2
        assert fees.most(len(data), 3_000_000) >= charged * 5 // 4


async def test_before_fjord_the_fee_is_an_upper_bound_without_operator(anvil: Anvil, dial: Dial) -> None:
    scaled = 10**19
    rollup.place(anvil, GAS_PRICE_ORACLE, "EcotoneOracle", scaled)
    oracle, fees = await find_oracle((await dial(anvil.url)).reader)
    assert len(oracle.calls) == 5
    data = b"\xab" * 10 + b"\0" * 300
    gas = 68 * 16 + 16 * (10 + ENVELOPE - 68) + 4 * 300
    assert fees.most(len(data), 100_000) >= gas * scaled // 16_000_000
    assert fees.expected(data, 100_000) == fees.expected(data, 200_000) > 0


async def test_on_arbitrum_data_is_gas_and_nothing_beside_it(anvil: Anvil, dial: Dial) -> None:
    rollup.arbitrum(anvil, byte_price=500 * GWEI, gas_price=GWEI)
    oracle, fees = await find_oracle((await dial(anvil.url)).reader)
    assert len(oracle.calls) == 1
    data = random.Random(1).randbytes(200)
    assert fees.expected(data, 10**6) == fees.most(len(data), 10**6) == 0
    assert fees.expected_gas(data) == (fastlz_length(data) + ENVELOPE) * 500
    assert fees.most_gas(len(data)) >= 3 * 500 * (len(data) + ENVELOPE) // 2


async def test_a_chain_without_such_contracts_charges_nothing_and_is_asked_nothing(anvil: Anvil, dial: Dial) -> None:
    chain = await dial(anvil.url)
    before = chain.requests.total()
    assert await find_oracle(chain.reader) == (NO_ORACLE, NO_DATA_FEES)
    assert chain.requests.total() - before == 2  # the head and one bulk read
    assert not NO_ORACLE.calls
    assert not NO_DATA_FEES.charged


@pytest.mark.parametrize("answer", [b"", b"\1" * 31, b"\xff" * 32])
async def test_code_that_answers_something_else_is_no_oracle(answer: bytes) -> None:
    class Reader:
        async def head(self) -> BlockRef:
            return BlockRef(1, b"\1" * 32, b"\0" * 32, 1)

        async def read(self, block: BlockRef, calls: list[Call]) -> list[CallResult]:
            return [CallResult(False, answer) for _ in calls]

    assert await find_oracle(Reader()) == (NO_ORACLE, NO_DATA_FEES)  # type: ignore[arg-type]
