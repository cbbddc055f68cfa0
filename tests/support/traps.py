"""Contracts that turn hostile: the code of an old address goes behind a gate that reverts when a condition holds."""

from keeper.model.chain import hexed
from keeper.sim.node.anvil import Anvil

# Conditions: EVM code that leaves one word on the stack, zero or not.
LOOKS_MINED = bytes.fromhex("3a4802" + "62989680" + "5a10" + "02")  # GASPRICE * BASEFEE * (GAS < 10,000,000)


def concerns(account: bytes) -> bytes:
    """A transaction, not a view, whose first argument is an account."""
    return bytes.fromhex("73" + account.hex() + "600435" + "14" + "3a02")  # (CALLDATALOAD(4) == account) * GASPRICE


def guard(anvil: Anvil, address: bytes, condition: bytes) -> None:
    """From now on the contract reverts without a reason when the condition holds; else it does what it did."""
    moved = address[:1] + bytes([address[1] ^ 0xFF]) + address[2:]
    anvil.rpc("anvil_setCode", hexed(moved), anvil.rpc("eth_getCode", hexed(address), "latest"))
    anvil.rpc("anvil_setCode", hexed(address), hexed(_gate(condition, moved)))


def _gate(condition: bytes, moved: bytes) -> bytes:
    forward = bytes.fromhex("365f5f37" + "5f5f365f73" + moved.hex() + "5af4" + "3d5f5f3e")
    failed, passed, stopped = bytes.fromhex("3d5ffd"), bytes.fromhex("5b3d5ff3"), bytes.fromhex("5b5f5ffd")
    after_forward = len(condition) + 3 + len(forward) + 3 + len(failed)
    return b"".join(
        (
            condition + bytes([0x60, after_forward + len(passed), 0x57]),  # JUMPI
            forward + bytes([0x60, after_forward, 0x57]),
            failed + passed + stopped,
        )
    )
