"""No key, password or token of a URL reaches any output in a run with faults: logs, alerts, metrics, reprs, journal."""

import asyncio
import json
import traceback
from pathlib import Path
from urllib.request import urlopen

from aiohttp import web
from eth_account import Account
from pydantic import SecretStr

from keeper.app.observers import observing
from keeper.chain.connect import connect
from keeper.errors import KeeperError
from keeper.model.events import ALERT_FAILED, BREAKER_OPEN, Event
from keeper.sim.arena import arena_node
from tests.faults.test_f46_stopped_stuck_unheard import heard
from tests.support import harsh
from tests.support.anvil import free_port
from tests.support.proxy import FaultProxy, lose_reply, status
from tests.support.weather import govern

RPC_TOKEN, HOOK_TOKEN, PASSWORD = "rpc0token0abcdef", "hook0token0abcdef", "pass0word0abcdef"
SEND = "eth_sendRawTransaction"


async def test_no_secret_and_no_url_token_shows_in_a_run_with_faults(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path / "data", accounts=40, blocks=24)
        key = arena.files.key.read_text().strip()
        keystore = tmp_path / "keystore.json"
        keystore.write_text(json.dumps(Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=1000)))
        keystore.chmod(0o600)
        bodies: list[str] = []

        async def refuse(request: web.Request) -> web.Response:
            bodies.append(await request.text())
            return web.Response(status=500, text=f"no such hook: {request.path}")

        app = web.Application()
        app.router.add_post("/{tail:.*}", refuse)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook = f"http://127.0.0.1:{runner.addresses[0][1]}/services/{HOOK_TOKEN}"
        log, port = tmp_path / "keeper.jsonl", free_port()
        outputs: dict[str, str] = {}
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url_of(RPC_TOKEN),
                live=True,
                private_key=None,
                keystore_file=keystore,
                keystore_password=SecretStr(PASSWORD),
                alert_urls=(SecretStr(hook),),
                log_json=str(log),
                metrics_port=port,
                alert_level="debug",
                max_reverts=1,
            )
            async with observing(settings, terminal=False) as bus, heard(settings, bus) as keeper:
                proxy.when(SEND, nth=range(2, 5)).do(lose_reply())
                for number in range(18):
                    await keeper.handled((await arena.step()).number)
                    if number == 8:
                        proxy.when("eth_call", nth=1).do(status(502, f"bad /{RPC_TOKEN}".encode()))
                    if number == 12:
                        govern(arena, "pause")
                bus(
                    Event(
                        BREAKER_OPEN,
                        f"a careless message with {PASSWORD} and {hook}",
                        1,
                        {"reason": proxy.url_of(RPC_TOKEN)},
                    )
                )
                outputs["metrics"] = await asyncio.to_thread(page, f"http://127.0.0.1:{port}/metrics")
                outputs["repr"] = f"{settings!r} {settings} {keeper.daemon.stages.execution!r} {vars(keeper.daemon)}"
        outputs["exceptions"] = await failing(settings.rpc_urls[0].get_secret_value())
        outputs["log"] = log.read_text()
        outputs["alerts"] = "\n".join(bodies)
        await runner.cleanup()
        assert ALERT_FAILED.code in outputs["log"]
        assert "tx.unknown" in outputs["log"]
        assert bodies
        for path in arena.files.directory.iterdir():
            if path.is_file() and path != arena.files.key:
                outputs[path.name] = path.read_bytes().decode("latin-1")
        assert {"demo.db", "status.json"} <= outputs.keys()
        for secret in (key, key.removeprefix("0x"), RPC_TOKEN, HOOK_TOKEN, PASSWORD):
            showing = [name for name, text in outputs.items() if secret.lower() in text.lower()]
            assert not showing, f"a secret shows in {showing}"


def page(url: str) -> str:
    with urlopen(url) as response:
        return str(response.read().decode())


async def failing(url: str) -> str:
    """What connecting to a node that is gone says, with everything a traceback has."""
    try:
        await connect([url], 31337, 0.5, lambda _: None)
    except KeeperError as error:
        return "".join(traceback.format_exception(error)) + repr(error)
    raise AssertionError("nobody is there")
