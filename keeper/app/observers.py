"""Sets up everything that listens to events, from the settings, and takes it down again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper.clock import Clock, SystemClock
from keeper.model.events import Level
from keeper.observe.alerts import AlertPolicy, Alerts
from keeper.observe.bus import Bus
from keeper.observe.log import EventLog
from keeper.observe.metrics import Metrics
from keeper.observe.redact import Redactor, secrets_in
from keeper.observe.state import KeeperState
from keeper.observe.watchdog import Watchdog
from keeper.settings import Settings


def secrets_of(settings: Settings) -> list[str]:
    """Every setting that must not show anywhere, and the parts of URLs that may be credentials."""
    single = [settings.private_key, settings.keystore_password]
    found = [secret.get_secret_value() for secret in single if secret]
    urls = [*settings.rpc_urls, *settings.alert_urls, *settings.relay_urls]
    urls += [url for url in (settings.remote_signer_url, settings.kms_endpoint_url) if url]
    for url in urls:
        found += secrets_in(url.get_secret_value())
    return found + secrets_in(settings.database_url.get_secret_value(), path=False)


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
