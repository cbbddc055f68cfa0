"""What happens to a market from outside: governance, prices, time, storage. For tests on an arena."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from keeper.model.chain import hexed
from keeper.settings import Settings
from keeper.sim.arena import Running
from keeper.sim.markets.margin_engine.deploy import artifact
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import ScenarioStep
from tests.support import harsh

FIRST_IN_BLOCK_WEI = 5_000 * 10**9


def before_others(arena: harsh.EngineArena, to: bytes, data: bytes, sender: bytes | None = None) -> None:
    """Leave a transaction in the pool that goes before all others of the next block."""
    request = {
        "from": hexed(sender or arena.market.deployed.owner),
        "to": hexed(to),
        "data": hexed(data),
        "gas": "0x100000",
        "maxFeePerGas": hex(FIRST_IN_BLOCK_WEI),
        "maxPriorityFeePerGas": hex(FIRST_IN_BLOCK_WEI // 10),
    }
    arena.anvil.rpc("eth_sendTransaction", request)


def govern(arena: harsh.EngineArena, name: str, *args: Any) -> None:
    """A call of the engine's owner, first in the next block."""
    before_others(arena, arena.market.deployed.engine, arena.market.deployed.call(name, *args))


async def prices(arena: harsh.EngineArena, changes: Mapping[str, float], seconds: int = 12) -> BlockRecord:
    """The next block, with some prices set (dollars, by feed) and the others where they were."""
    step = ScenarioStep({**arena.player.prices, **changes}, 0.0, "crash")
    return arena.player.step(step, crowded=False, seconds=seconds)


def give_tokens(arena: harsh.EngineArena, symbol: str, units: int) -> None:
    """Make the keeper's balance of a test token this many units, as of the newest block."""
    token, balance_of = arena.market.deployed.tokens[symbol], artifact("TestToken")[0].functions["balanceOf"]
    place = hexed(keccak(encode(["address", "uint256"], [arena.keeper, 0])))
    arena.anvil.rpc("anvil_setStorageAt", hexed(token), place, hexed(encode(["uint256"], [units])))
    assert int(balance_of.decode(arena.anvil.call(token, balance_of.encode(arena.keeper)))[0]) == units


async def silence(arena: harsh.EngineArena, keeper: Running, seconds: int) -> int:
    """The next block, in which no feed says anything; its number."""
    arena.player.time += seconds
    arena.anvil.set_next_timestamp(arena.player.time)
    arena.anvil.mine()
    number = arena.anvil.block_number()
    await keeper.handled(number)
    return number


async def step_until(
    arena: harsh.EngineArena,
    keeper: Running,
    condition: Callable[[], bool],
    step: Callable[[], Any] | None = None,
    blocks: int = 40,
) -> BlockRecord:
    """Blocks of the path (or of `step`), each handled, until a condition holds."""
    for _ in range(blocks):
        record: BlockRecord = await (step or arena.step)()
        await keeper.handled(record.number)
        if condition():
            return record
    raise AssertionError(
        f"it did not come to pass within {blocks} blocks: {[event.message for event in keeper.events]}"
    )


def deploy(arena: harsh.EngineArena, name: str, types: list[str], values: list[Any]) -> bytes:
    """A new contract; the node must mine by hand. Its block is mined at the usual distance."""
    [receipt] = Node.at(arena.anvil.url).send(
        Tx(arena.market.deployed.owner, None, artifact(name)[1] + encode(types, values))
    )
    arena.player.time = arena.player.timestamp()
    return bytes.fromhex(receipt["contractAddress"][2:])


def become(arena: harsh.EngineArena, address: bytes, name: str, types: list[str], values: list[Any]) -> None:
    """An upgrade behind its users' backs: the code of a new contract at an old address, storage as it was."""
    made = deploy(arena, name, types, values)
    arena.anvil.rpc("anvil_setCode", hexed(address), arena.anvil.rpc("eth_getCode", hexed(made), "latest"))


def set_feed(arena: harsh.EngineArena, feed: bytes, dollars: float, decimals: int = 8, age_s: int = 0) -> None:
    """A feed's answer from the next block on, as if it had been given `age_s` before that."""
    answer, at = round(dollars * 10**decimals), arena.player.time + 12 - age_s
    data = artifact("SettableFeed")[0].functions["setAt"].encode(answer, at)
    before_others(arena, feed, data)


def environment_file(arena: harsh.EngineArena, settings: Settings) -> Path:
    """The settings as an operator's file, for commands."""
    path = arena.files.directory / "operator.env"
    lines = {
        "RPC_URLS": settings.rpc_urls[0].get_secret_value(),
        "CHAIN_ID": settings.chain_id,
        "PROTOCOL": settings.protocol,
        "DEPLOYMENT": settings.deployment,
        "PRIVATE_KEY_FILE": arena.files.key,
        "DATA_DIR": settings.data_dir,
        "DATABASE_URL": settings.database_url.get_secret_value(),
    }
    path.write_text("".join(f"KEEPER_{name}={value}\n" for name, value in lines.items()))
    return path


def set_settlement_balance(arena: harsh.EngineArena, account: bytes, units: int) -> int:
    """Change what the engine keeps of an account, behind the back of its logs; returns what it was."""
    engine, view = arena.market.deployed.engine, artifact("MarginEngine")[0].functions["settlementBalance"]

    def read() -> int:
        return int(view.decode(arena.anvil.call(engine, view.encode(account)))[0])

    before = read()
    for slot in range(32):
        place = hexed(keccak(encode(["address", "uint256"], [account, slot])))
        old = arena.anvil.rpc("eth_getStorageAt", hexed(engine), place, "latest")
        arena.anvil.rpc("anvil_setStorageAt", hexed(engine), place, hexed(encode(["int256"], [units])))
        if read() == units:
            return before
        arena.anvil.rpc("anvil_setStorageAt", hexed(engine), place, old)
    raise AssertionError("no slot holds the settlement balance")
