"""Rollups on anvil: the predeploys' code with prices of the test's own, and receipts as an OP stack node gives them.

`anvil --network optimism` charges what op-revm does, from the storage of the L1Block predeploy. Its receipts lack the
fee, so that a proxy adds it from the bytes that were sent: the signer's balance says whether it is right.
"""

import json
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from keeper.chain.data_fees import ARB_GAS_INFO, GAS_PRICE_ORACLE
from keeper.model.chain import hexed
from keeper.model.compression import fastlz_length
from keeper.sim.markets.margin_engine.deploy import OUT
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import calldata
from tests.support.proxy import FaultProxy, Forward, Message, Reply, Seen

OPTIMISM = ("--network", "optimism")
L1_BLOCK = bytes.fromhex("4200000000000000000000000000000000000015")
_BASE_FEE_SLOT, _SCALARS_SLOT, _BLOB_SLOT, _OPERATOR_SLOT = 1, 3, 7, 8
_ANYBODY = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")  # development account 0


@dataclass(frozen=True)
class L1Prices:
    """What the L1Block predeploy holds. Fees in wei."""

    base_fee: int = 20 * 10**12
    base_scalar: int = 50_000
    blob_fee: int = 10**9
    blob_scalar: int = 810_949
    operator_scalar: int = 1_000
    operator_constant: int = 12_345

    @property
    def scaled(self) -> int:
        return 16 * self.base_scalar * self.base_fee + self.blob_scalar * self.blob_fee

    def fee(self, raw: bytes) -> int:
        """Of a signed transaction, since Fjord."""
        return max(100_000_000, 836_500 * fastlz_length(raw) - 42_585_600) * self.scaled // 10**12

    def operator_fee(self, gas_used: int) -> int:
        """Since Isthmus."""
        return gas_used * self.operator_scalar // 10**6 + self.operator_constant


def place(anvil: Anvil, address: bytes, name: str, *settings: int) -> None:
    """A contract of `RollupOracles.sol` at an address, with its prices set. For a node that mines by itself or not."""
    built = json.loads((OUT / "RollupOracles.sol" / f"{name}.json").read_text())
    anvil.rpc("anvil_setCode", hexed(address), built["deployedBytecode"]["object"])
    signature = f"set({','.join('uint256' for _ in settings)})"
    sent = anvil.send(address, calldata(signature, *settings), sender=_ANYBODY)
    anvil.mine()
    assert anvil.receipt(sent)["status"] == "0x1"


def op_stack(anvil: Anvil, prices: L1Prices | None = None) -> L1Prices:
    """The predeploys of the OP stack, on a node started with OPTIMISM."""
    prices = prices or L1Prices()
    anvil.rpc("anvil_setCode", hexed(L1_BLOCK), "0x00")
    anvil.set_balance(bytes(20), 10**30)  # it charges an `eth_call` without sender, too
    packed = (prices.base_scalar << 96) | (prices.blob_scalar << 64)
    operator = (prices.operator_scalar << 64) | prices.operator_constant
    for slot, value in (
        (_BASE_FEE_SLOT, prices.base_fee),
        (_SCALARS_SLOT, packed),
        (_BLOB_SLOT, prices.blob_fee),
        (_OPERATOR_SLOT, operator),
    ):
        anvil.rpc("anvil_setStorageAt", hexed(L1_BLOCK), f"0x{slot:064x}", f"0x{value:064x}")
    place(anvil, GAS_PRICE_ORACLE, "FjordOracle", prices.scaled, prices.operator_scalar, prices.operator_constant)
    return prices


def arbitrum(anvil: Anvil, byte_price: int, gas_price: int) -> None:
    """Arbitrum's price precompile."""
    place(anvil, ARB_GAS_INFO, "ArbitrumPrices", byte_price, gas_price)


def show_l1_fees(proxy: FaultProxy, prices: L1Prices) -> None:
    """Receipts with `l1Fee` and the operator's parameters, as op-geth and op-reth give them."""

    async def action(call: Seen, forward: Forward) -> Reply:
        message: Message = await forward(call.message)
        found: dict[str, Any] | None = message.get("result")
        sent = {hexed(keccak(raw)): raw for raw in proxy.sent}
        if found and found["transactionHash"] in sent:
            found |= {
                "l1Fee": hex(prices.fee(sent[found["transactionHash"]])),
                "operatorFeeScalar": hex(prices.operator_scalar),
                "operatorFeeConstant": hex(prices.operator_constant),
            }
        return Reply(message)

    proxy.when("eth_getTransactionReceipt").do(action)
