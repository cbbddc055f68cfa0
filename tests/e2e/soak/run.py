"""A market that never ends: prices swing, accounts that were closed come back, and the network is a little bad."""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import exp, sin
from pathlib import Path
from typing import Any

from keeper.execute.journal.journal import open_history
from keeper.model.chain import hexed
from keeper.sim.arena import arena_node
from keeper.sim.keeper import CHAIN_ID
from keeper.sim.node.client import Node, Tx
from keeper.sim.scenario import ScenarioStep
from tests.support import harsh
from tests.support.proxy import (
    Action,
    FaultProxy,
    Forward,
    Reply,
    Rule,
    Seen,
    delay,
    lose_reply,
    lose_request,
    rpc_error,
    status,
)

ACCOUNTS = 40
SWING, PERIOD = 0.06, 60  # of prices, in blocks
RETURNS_EACH = 10  # blocks
FAULT_SHARE = 0.02  # of requests
DROP_SHARE = 0.004  # of blocks, for every WebSocket at once
STOP_S = 20.0
START_S = 20.0
PATIENCE_S = 3.0
JOURNAL = "sqlite:///soak.db"


FAULTS: dict[str, Action] = {
    "delay": delay(0.05),
    "lost reply": lose_reply(),
    "lost request": lose_request(),
    "503": status(503),
    "internal error": rpc_error(-32000, "internal error"),
}


class Soak:
    """One keeper process behind a fault proxy, and the market that it keeps."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self._directory = directory
        self._chance = chance
        self._samples = directory / "samples.jsonl"
        self._faults: Counter[str] = Counter()
        self._played = 0

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """Node, market, proxy and keeper; at the end the keeper is asked to stop, and must end with 0."""
        async with AsyncExitStack() as stack:
            anvil = stack.enter_context(arena_node())
            self._arena = harsh.arena(anvil, self._directory, accounts=ACCOUNTS)
            self._node = Node.at(anvil.url)
            self._proxy = await stack.enter_async_context(FaultProxy(anvil.url))
            self._proxy.rules.append(Rule(None, lambda _: self._chance.random() < FAULT_SHARE, None, None, self._fault))
            self._process = await self._start()
            await self._seen(anvil.block_number(), starting=True)
            yield
            self._process.terminate()
            async with asyncio.timeout(STOP_S):
                code = await self._process.wait()
            if code:
                raise AssertionError(f"the keeper ended with {code}")

    async def _fault(self, call: Seen, forward: Forward) -> Reply:
        """One of the light faults, by chance; notices have no reply to be lost."""
        if call.method == "eth_subscription":
            return Reply(await forward(call.message))
        name = self._chance.choice(sorted(FAULTS))
        self._faults[name] += 1
        return await FAULTS[name](call, forward)

    async def _start(self) -> Process:
        files = self._arena.files
        settings = {
            "KEEPER_RPC_URLS": f"{self._proxy.ws_url},{self._proxy.url}",
            "KEEPER_CHAIN_ID": str(CHAIN_ID),
            "KEEPER_PROTOCOL": "margin_engine",
            "KEEPER_DEPLOYMENT": str(files.deployment),
            "KEEPER_PRIVATE_KEY_FILE": str(files.key),
            "KEEPER_DATA_DIR": str(files.directory),
            "KEEPER_DATABASE_URL": JOURNAL,
            "KEEPER_MIN_PROFIT_USD": "-5",
            "KEEPER_MAX_REVERTS": "1000",
            "KEEPER_MAX_LOSS_USD_DAY": "1000000000",
            "KEEPER_MAX_GAS_USD_HOUR": "1000000000",
            "KEEPER_LOG_JSON": str(self._directory / "log.jsonl"),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.e2e.soak.child",
            str(self._samples),
            env=inherited | settings,
            stdout=DEVNULL,
            stderr=None,
        )

    async def block(self) -> None:
        """One block, and whatever may happen in it."""
        self._played += 1
        if self._played % RETURNS_EACH == 0:
            await asyncio.to_thread(self._come_back)
        if self._chance.random() < DROP_SHARE:
            self._faults["drop_ws"] += 1
            await self._proxy.drop_sockets()
        factor = exp(SWING * sin(self._played / PERIOD * 6.283) - SWING)
        listing = self._arena.market.deployed.listing
        prices = {name: usd * factor for name, (_, usd) in listing.feeds.items()}
        record = await asyncio.to_thread(self._arena.player.step, ScenarioStep(prices, 0.0, "calm"), False)
        await self._seen(record.number)

    def _come_back(self) -> None:
        """A few accounts add money and take a position near what they may."""
        market, player = self._arena.market.deployed, self._arena.player
        chosen = self._chance.sample(player.accounts, 4)
        txs = [market.mint("USDC", market.owner, 4 * 10_000 * 10**6)]
        for account in chosen:
            deposit = market.call("depositFor", account, market.tokens["USDC"], 10_000 * 10**6)
            txs.append(Tx(market.owner, market.engine, deposit))
        for account in chosen:
            size = self._chance.choice([-1, 1]) * self._chance.randint(20, 60) * 10**18
            txs.append(market.trade(account, "ETH", size))
        self._node.try_send(txs)
        self._arena.player.time = self._arena.player.timestamp()

    async def _seen(self, number: int, starting: bool = False) -> None:
        """Wait until the keeper has handled a block, as its status file says; a fault may cost it one."""
        path = self._arena.files.directory / "status.json"
        deadline = asyncio.get_running_loop().time() + (START_S if starting else PATIENCE_S)
        while not path.exists() or json.loads(path.read_text())["block"] < number:
            if self._process.returncode is not None:
                raise AssertionError(f"the keeper ended with {self._process.returncode}")
            if asyncio.get_running_loop().time() > deadline:
                self._faults["block not handled in time"] += 1
                return
            if starting:
                await self._arena.quiet()
            await asyncio.sleep(0.2 if starting else 0.005)  # the pace of looking

    async def settle(self) -> None:
        """A few quiet blocks in which what is on its way ends."""
        self._proxy.clear()
        for _ in range(12):
            record = await self._arena.quiet()
            await self._seen(record.number)

    def counts(self) -> dict[str, Any]:
        """What happened."""
        history = open_history(JOURNAL, self._arena.files.directory)
        try:
            states = Counter(str(intent.state) for intent in history.intents())
        finally:
            history.close()
        nonce = self._arena.anvil.quantity("eth_getTransactionCount", hexed(self._arena.keeper), "latest")
        return {"intents": dict(states), "nonce": nonce, "faults": dict(self._faults)}

    def samples(self) -> list[dict[str, int]]:
        """What the process held, in order."""
        return [json.loads(line) for line in self._samples.read_text().splitlines()]
