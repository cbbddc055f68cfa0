"""A local HTTP service for tests: one handler, on a free port of 127.0.0.1."""

from typing import Self

from aiohttp import web

SHUTDOWN_S = 0.05  # that a handler in progress has to end in; 0 would mean for ever


def runner(application: web.Application) -> web.AppRunner:
    """A server whose handlers are cancelled when their client goes or the server ends, even those that hang."""
    return web.AppRunner(application, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)


class Service:
    """Listens while it is entered. Handlers that hang end with it."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, on the same port as before."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = runner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
