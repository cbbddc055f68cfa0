"""Prometheus metrics: counters of events, and gauges that read the keeper's state at each scrape.

Labels are codes and reasons, never addresses, URLs or secrets.
"""

from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from keeper.errors import OperatorError
from keeper.model.events import (
    CHAIN_READY,
    CHAIN_UNREADY,
    HEAD_NEW,
    PLAN_REJECTED,
    TX_MINED,
    TX_REVERTED,
    Event,
)
from keeper.observe.state import KeeperState

_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Requests are not logged."""


class Metrics:
    """A listener with a registry of its own. `/healthz` returns 200 while the chain is ready, else 503."""

    def __init__(self, state: KeeperState | None = None) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter("keeper_events", "Log events", ["event", "level"], registry=self.registry)
        self._rejected = Counter("keeper_plans_rejected", "Rejected plans", ["reason"], registry=self.registry)
        self._gas = Counter("keeper_gas_used", "Gas of mined transactions", registry=self.registry)
        self._profit = Gauge("keeper_profit_usd", "Profit since the start, after gas", registry=self.registry)
        self._elapsed = Histogram(
            "keeper_block_ms", "Milliseconds from a head to the end of its turn", buckets=_MS, registry=self.registry
        )
        self._problem = "no block was handled yet"
        self._unready = False
        self._server: tuple[WSGIServer, Thread] | None = None
        self._add_gauges(state or KeeperState())

    def _add_gauges(self, state: KeeperState) -> None:
        """Gauges read at each scrape, on the server's thread."""
        gauges: dict[tuple[str, str], Callable[[], float]] = {
            ("keeper_head_number", "Newest block applied"): lambda: state.block.number if state.block else 0,
            ("keeper_head_age_seconds", "Seconds since the newest block's timestamp"): lambda: state.head_age_s,
            ("keeper_base_fee_wei", "Base fee of the newest block"): lambda: state.block.base_fee if state.block else 0,
            ("keeper_accounts_unsafe", "Liquidatable accounts"): lambda: len(state.assessment.unsafe),
            ("keeper_accounts", "Accounts watched"): lambda: state.assessment.active,
            ("keeper_nearest_health", "Lowest health of a safe account"): lambda: state.nearest_health,
            ("keeper_in_flight", "Transactions without an outcome"): lambda: state.pending,
            ("keeper_held", "1 while nothing new is sent"): lambda: bool(state.held),
            ("keeper_standby", "1 while it stands by and does not lead"): lambda: state.standby,
            ("keeper_ready", "1 while the chain can be acted on"): lambda: not self._problem,
        }
        for (name, text), read in gauges.items():
            Gauge(name, text, registry=self.registry).set_function(read)

    def serve(self, port: int) -> None:
        """Serve on 127.0.0.1. Raises OperatorError when the port is taken."""
        try:
            server = make_server("127.0.0.1", port, self._application(), _Server, handler_class=_Silent)
        except OSError as error:
            raise OperatorError(f"KEEPER_METRICS_PORT: cannot listen on {port}: {error.strerror}") from None
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self._server = server, thread

    @property
    def port(self) -> int | None:
        """The port that is served, None when none is."""
        return self._server[0].server_port if self._server else None

    def close(self) -> None:
        """Stop serving."""
        if self._server:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None

    def _application(self) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
        metrics = make_wsgi_app(self.registry)

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != "/healthz":
                found: Iterable[bytes] = metrics(environ, start_response)
                return found
            problem = self._problem
            status = "503 Service Unavailable" if problem else "200 OK"
            start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{problem or 'ok'}\n".encode()]

        return application

    def __call__(self, event: Event) -> None:
        self._events.labels(event.kind.code, str(event.kind.level)).inc()
        fields = event.fields
        if event.kind is HEAD_NEW:
            self._elapsed.observe(fields.get("elapsed_ms", 0))
            if not self._unready:
                self._problem = ""
        elif event.kind is PLAN_REJECTED:
            self._rejected.labels(str(fields.get("reason", ""))).inc()
        elif event.kind in (TX_MINED, TX_REVERTED):
            self._gas.inc(int(fields.get("gas_used", 0)))
            self._profit.inc(float(fields.get("profit_usd", 0)))
        elif event.kind is CHAIN_UNREADY:
            self._unready = True
            self._problem = str(fields.get("reason", ""))
        elif event.kind is CHAIN_READY:
            self._unready = False  # and ready once a block was handled
