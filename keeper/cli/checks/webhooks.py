"""What `keeper doctor` checks of the webhooks: each takes an alert."""

import httpx

from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.clock import SystemClock
from keeper.model.events import ALERT_TEST, Event
from keeper.observe.alerts import body_for
from keeper.redact import redact_url
from keeper.settings import Settings


async def check_webhooks(settings: Settings, send: bool) -> list[Check]:
    """Every webhook accepts a test alert; nothing is sent unless `send`."""
    urls = [url.get_secret_value() for url in settings.alert_urls]
    if not urls:
        return [warn("webhooks", "no webhook is set", "set KEEPER_ALERT_URLS, or read alerts from KEEPER_LOG_JSON")]
    if not send:
        return [ok("webhooks", f"{len(urls)} set, not tested: --send-test-alert sends an alert to each")]
    event = Event(ALERT_TEST, "test alert sent by `keeper doctor`")
    found = []
    async with httpx.AsyncClient(timeout=settings.request_timeout_s) as client:
        for url in urls:
            name = f"webhook {redact_url(url)}"
            try:
                response = await client.post(url, json=body_for(url, event, SystemClock().now(), 0))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                found.append(fail(name, f"no answer: {type(error).__name__}", "check KEEPER_ALERT_URLS"))
                continue
            taken = not response.is_error
            message = f"HTTP {response.status_code}"
            found.append(ok(name, message) if taken else fail(name, message, "check KEEPER_ALERT_URLS"))
    return found
