"""Small contracts for tests of reading, and their logs."""

from keeper.chain.connect import Chain
from keeper.model.chain import LogFilter
from tests.support.anvil import Anvil

# Emits one log with a topic of 32 times 0x11 and 32 bytes of data; then stops.
LOGGER = bytes.fromhex("7f" + "22" * 32 + "6000527f" + "11" * 32 + "60206000a100")
TOPIC = b"\x11" * 32
CLOCK = bytes.fromhex("4260005260206000f3")  # returns the block's timestamp
REVERTER = bytes.fromhex("63deadbeef60e01b60005260046000fd")  # reverts with 0xdeadbeef
GUZZLER = bytes.fromhex("5b600056")  # burns all gas

EMITTER = b"\xe1" * 20
WANTED = LogFilter((EMITTER,), (TOPIC,))


def put(anvil: Anvil, code: bytes, number: int) -> bytes:
    address = bytes([number]) * 20
    anvil.set_code(address, code)
    return address


def emit_logs(anvil: Anvil, blocks: int) -> None:
    anvil.set_code(EMITTER, LOGGER)
    sender = anvil.accounts()[0]
    for _ in range(blocks):
        anvil.receipt(anvil.send(EMITTER, sender=sender, gas=100_000))


async def pages(chain: Chain, first: int, last: int) -> list[int]:
    """Blocks of the wanted logs in a range."""
    return [log.block_number async for page in chain.reader.logs_between(first, last, WANTED) for log in page]
