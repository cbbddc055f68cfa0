"""A fault proxy before a node: records every request, and does to some of them what networks and nodes do.

    async with FaultProxy(anvil.url) as proxy:
        proxy.when("eth_sendRawTransaction", nth=1).do(lose_reply())
        chain = await connect([proxy.url], ...)

A rule's action gets one JSON-RPC call and a way to forward it, and gives a `Reply`: an answer to the call, or a fault
of the whole exchange (a status, a body, a dropped connection, silence). Subscription notices pass through the same
rules as calls of the method `eth_subscription`; forwarding one gives the notice itself. Rules that make a node of it
that lags, forks, evicts or enforces what real ones do are in `tests/support/node_rules.py`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType, web

from tests.support.service import runner

Params = Any
Message = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One call as it was on the wire. `who`: the path it came to, such as "a" for `url_of("a")`."""

    method: str
    params: Params
    who: str
    raw: bytes
    message: Message


@dataclass(frozen=True)
class Reply:
    """What goes back: a message, or else a fault of the whole exchange."""

    message: Message | None = None
    body: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    silent: bool = False
    cut: int | None = None  # bytes to keep of the body
    repeat: int = 1
    pad: int = 0  # bytes of white space after the body
    reverse: bool = False  # a batch's answers, last first

    @property
    def whole(self) -> bool:
        """It is about the exchange, not about one call."""
        return self.message is None or self.cut is not None or bool(self.pad) or self.reverse


Forward = Callable[[Message], Awaitable[Message]]
Action = Callable[[Seen, Forward], Awaitable[Reply]]
DROP = Reply(drop=True)


@dataclass
class Rule:
    """Calls that match have the action done to them: all, or only the `nth` (1 is the first) that matches."""

    method: str | None
    params: Callable[[Params], bool] | None
    nth: int | range | None
    who: str | None
    action: Action | None = None
    matched: int = 0

    def do(self, action: Action) -> Self:
        self.action = action
        return self

    def takes(self, call: Seen) -> bool:
        if self.method not in (None, call.method) or self.who not in (None, call.who):
            return False
        if self.params is not None and not self.params(call.params):
            return False
        self.matched += 1
        if self.nth is None:
            return True
        return self.matched in self.nth if isinstance(self.nth, range) else self.matched == self.nth


# Actions.


def delay(seconds: float) -> Action:
    async def action(call: Seen, forward: Forward) -> Reply:
        await asyncio.sleep(seconds)
        return Reply(await forward(call.message))

    return action


def hang() -> Action:
    """Take the call and never answer."""

    async def action(call: Seen, forward: Forward) -> Reply:
        await asyncio.Event().wait()
        return DROP

    return action


def silence() -> Action:
    """Take the call or notice, answer nothing, and go on: a half-open connection when nothing else is matched."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(silent=True)

    return action


def lose_request() -> Action:
    """Drop the connection before the node sees the call."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return DROP

    return action


def lose_reply() -> Action:
    """The node takes the call; the connection drops before its answer arrives."""

    async def action(call: Seen, forward: Forward) -> Reply:
        await forward(call.message)
        return DROP

    return action


def status(code: int, body: bytes = b"", **headers: str) -> Action:
    """An HTTP status; header names with underscores for hyphens: `status(429, Retry_After="2")`."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(body=body, status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return action


def html() -> Action:
    """A proxy's error page with status 200."""
    return status(200, b"<html><body><h1>502 Bad Gateway</h1></body></html>", Content_Type="text/html")


def rpc_error(code: int, message: str, data: Any = None) -> Action:
    async def action(call: Seen, forward: Forward) -> Reply:
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        return Reply({"jsonrpc": "2.0", "id": call.message["id"], "error": error})

    return action


def answer(result: Any) -> Action:
    """An answer of the test's own; a function of the node's own answer, when it is callable."""

    async def action(call: Seen, forward: Forward) -> Reply:
        if not callable(result):
            return Reply({"jsonrpc": "2.0", "id": call.message["id"], "result": result})
        message = await forward(call.message)
        return Reply(message | {"result": result(message.get("result"))})

    return action


def null() -> Action:
    return answer(None)


def wrong_id(shift: int = 1) -> Action:
    async def action(call: Seen, forward: Forward) -> Reply:
        message = await forward(call.message)
        return Reply(message | {"id": message["id"] + shift})

    return action


def truncate(keep: int) -> Action:
    """The node's answer, cut after `keep` bytes, as a complete HTTP body."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(await forward(call.message), cut=keep)

    return action


def repeat(times: int) -> Action:
    """The same message several times: for notices."""

    async def action(call: Seen, forward: Forward) -> Reply:
        return Reply(await forward(call.message), repeat=times)

    return action


# The proxy.


class FaultProxy:
    """HTTP and WebSocket on one port of 127.0.0.1. The first rule that matches a call decides."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.seen: list[Seen] = []
        self.rules: list[Rule] = []
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._port = 0
        self._sockets: set[web.WebSocketResponse] = set()
        self.sockets_opened = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()
        if self._session:
            await self._session.close()

    async def up(self) -> None:
        """Listen, on the same port as before."""
        application = web.Application(client_max_size=256 * 1024 * 1024)
        application.router.add_route("*", "/{who:.*}", self._serve)
        self._runner = runner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Refuse connections and drop those there are."""
        await self.drop_sockets()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def drop_sockets(self) -> None:
        """Drop every WebSocket, without a close frame."""
        for socket in list(self._sockets):
            _abort(socket)

    @property
    def url(self) -> str:
        return self.url_of("")

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    def url_of(self, who: str) -> str:
        """An URL of its own for each client that a test wants to tell apart."""
        return f"http://127.0.0.1:{self._port}/{who}".rstrip("/")

    def when(
        self,
        method: str | None = None,
        params: Callable[[Params], bool] | None = None,
        nth: int | range | None = None,
        who: str | None = None,
    ) -> Rule:
        """A rule for calls that match; `do` says what happens to them."""
        rule = Rule(method, params, nth, who)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        self.rules.clear()

    def calls(self, method: str) -> list[Seen]:
        """The calls of a method, in the order they came."""
        return [call for call in self.seen if call.method == method]

    @property
    def sent(self) -> list[bytes]:
        """The raw transactions that were on the wire."""
        return [bytes.fromhex(call.params[0][2:]) for call in self.calls("eth_sendRawTransaction")]

    # HTTP.

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        who = request.match_info["who"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request, who)
        raw = await request.read()
        message = json.loads(raw)
        calls = self._record(message if isinstance(message, list) else [message], who, raw)
        replies = [await self._handle(call, self._post) for call in calls]
        reply = next((reply for reply in replies if reply.whole), None) or Reply()
        if reply.drop or reply.silent:
            request.transport and request.transport.abort()
            return web.Response()
        if reply.body is not None:
            return web.Response(body=reply.body, status=reply.status, headers=reply.headers)
        answers = [reply.message for reply in replies][:: -1 if reply.reverse else 1]
        body = json.dumps(answers if isinstance(message, list) else answers[0]).encode()
        return web.Response(body=body[: reply.cut] + b" " * reply.pad, content_type="application/json")

    def _record(self, messages: Sequence[Message], who: str, raw: bytes) -> list[Seen]:
        calls = [Seen(one.get("method", ""), one.get("params", []), who, raw, one) for one in messages]
        self.seen += calls
        return calls

    async def _handle(self, call: Seen, forward: Forward) -> Reply:
        taken = [rule.action for rule in self.rules if rule.takes(call)]  # all count, the first acts
        action = taken[0] if taken else None
        return await action(call, forward) if action else Reply(await forward(call.message))

    async def reinject(self) -> int:
        """Put back what a reorg took out, as real nodes do: every raw transaction of the record that is not mined."""
        count = 0
        for raw in dict.fromkeys(self.sent):
            sent = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
            count += "result" in await self._post(sent)
        return count

    async def _post(self, message: Message) -> Message:
        assert self._session is not None
        async with self._session.post(self._upstream, json=message) as response:
            found: Message = await response.json()
            return found

    # WebSocket.

    async def _serve_socket(self, request: web.Request, who: str) -> web.WebSocketResponse:
        assert self._session is not None
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self._sockets.add(socket)
        self.sockets_opened += 1
        waiting: dict[Any, asyncio.Future[Message]] = {}
        async with self._session.ws_connect(self._upstream, max_msg_size=0) as upstream, asyncio.TaskGroup() as tasks:

            async def forward(message: Message) -> Message:
                future = waiting[message["id"]] = asyncio.get_running_loop().create_future()
                await upstream.send_json(message)
                return await future

            async def pump() -> None:
                async for frame in upstream:
                    message = json.loads(frame.data)
                    if "method" in message:
                        tasks.create_task(self._notice(socket, message, who))
                    elif (future := waiting.pop(message.get("id"), None)) is not None:
                        future.set_result(message)

            pumping = tasks.create_task(pump())
            answering: set[asyncio.Task[None]] = set()
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    answering.add(tasks.create_task(self._answer(socket, frame.data, who, forward)))
            for task in (pumping, *answering):
                task.cancel()
        self._sockets.discard(socket)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, text: str, who: str, forward: Forward) -> None:
        message = json.loads(text)
        calls = self._record(message if isinstance(message, list) else [message], who, text.encode())
        replies = [await self._handle(call, forward) for call in calls]
        reply = next((reply for reply in replies if reply.whole), None) or Reply()
        answers = [reply.message for reply in replies][:: -1 if reply.reverse else 1]
        await _emit(socket, reply, answers if isinstance(message, list) else answers[0])

    async def _notice(self, socket: web.WebSocketResponse, message: Message, who: str) -> None:
        async def itself(message: Message) -> Message:
            return message

        call = Seen(message["method"], message["params"], who, b"", message)
        reply = await self._handle(call, itself)
        for _ in range(reply.repeat):
            await _emit(socket, reply, reply.message)


async def _emit(socket: web.WebSocketResponse, reply: Reply, message: Any) -> None:
    if reply.drop:
        _abort(socket)
    elif not reply.silent:
        body = reply.body.decode() if reply.body is not None else json.dumps(message)
        with suppress(ConnectionError):
            await socket.send_str(body[: reply.cut] + " " * reply.pad)


def _abort(socket: web.WebSocketResponse) -> None:
    transport = socket._req.transport if socket._req is not None else None
    if transport is not None:
        transport.abort()
