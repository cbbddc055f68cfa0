"""Sets up everything that listens to events, from the settings, and takes it down again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper.clock import Clock, SystemClock
from keeper.model.events import Level
from keeper.observe.alerts import AlertPolicy, Alerts
from keeper.observe.bus import Bus
from keeper.observe.log import EventLog
from keeper.observe.metrics import Metrics
from keeper.observe.state import KeeperState
from keeper.observe.watchdog import Watchdog
from keeper.redact import Redactor
from keeper.settings import Settings, secrets_of


@asynccontextmanager
async def observing(
    settings: Settings, clock: Clock | None = None, terminal: bool = True, state: KeeperState | None = None
) -> AsyncIterator[Bus]:
    """The bus that stages emit to, with log, alerts and metrics behind it. Raises OperatorError.

    terminal: show events on standard error as well, from KEEPER_LOG_LEVEL on. state: the daemon's, which gauges read.
    """
    clock = clock or SystemClock()
    secrets = secrets_of(settings)
    log = EventLog(settings.log_level if terminal else None, settings.log_json, secrets, clock)
    bus = Bus(log)
    metrics = Metrics(state)
    bus.listen(metrics)
    urls = [url.get_secret_value() for url in settings.alert_urls]
    policy = AlertPolicy(Level(settings.alert_level), settings.alert_repeat_s)
    alerts = Alerts(urls, policy, Redactor(secrets), clock, bus)
    bus.listen(alerts)
    watchdog = Watchdog(settings.stuck_s, clock, log, Bus(metrics, alerts))
    try:
        if settings.metrics_port:
            metrics.serve(settings.metrics_port)
        alerts.start()
        watchdog.start()
        yield bus
    finally:
        watchdog.close()
        await alerts.close()
        metrics.close()
        log.close()
