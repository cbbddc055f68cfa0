"""Alerts: sends events of a least severity to webhooks, each from a task of its own that nothing waits for."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from keeper.clock import Clock, iso
from keeper.model.events import ALERT_FAILED, Emit, Event, Level
from keeper.redact import Redactor, redact_url

_SEVERITY = {level: rank for rank, level in enumerate(Level)}
_SAME = ("account", "label", "endpoint", "token", "breaker", "reason", "intent")  # fields that tell alerts apart
_DISCORD_LIMIT = 2000  # characters
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Which events are alerts, how often the same one is sent, and how long a webhook may take."""

    level: Level = Level.ERROR  # the least that is sent
    repeat_s: float = 300.0  # within which the same alert is sent once
    timeout_s: float = 5.0
    queue_size: int = 100  # alerts that wait for one webhook


@dataclass(slots=True)
class TokenBucket:
    """At most `burst` at once, and `per_minute` in the long run."""

    burst: int
    per_minute: float
    clock: Clock
    _left: float = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = float(self.burst)
        self._since = self.clock.monotonic()

    def take(self) -> bool:
        """True when one more may be sent."""
        now = self.clock.monotonic()
        self._left = min(self._left + (now - self._since) * self.per_minute / 60, float(self.burst))
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def text_of(event: Event) -> str:
    """An alert in one line, for people."""
    block = f" (block {event.block})" if event.block is not None else ""
    action = "" if event.kind.action == "Nothing." else f" {event.kind.action}"
    return f"[{event.kind.level.upper()}] {event.kind.code}{block}: {event.message}.{action}"


def body_for(url: str, event: Event, now: float, suppressed: int) -> dict[str, Any]:
    """The JSON body for a webhook: Slack's, Discord's, or the event itself."""
    more = f" ({suppressed} more like it were not sent)" if suppressed else ""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith("slack.com") or parts.path.startswith("/services/"):
        return {"text": text_of(event) + more}
    if host.endswith(("discord.com", "discordapp.com")) or parts.path.startswith("/api/webhooks/"):
        return {"content": (text_of(event) + more)[:_DISCORD_LIMIT]}
    common = {"ts": iso(now), "level": str(event.kind.level), "event": event.kind.code, "block": event.block}
    return {**event.fields, **common, "message": event.message, "suppressed": suppressed}


class Alerts:
    """A listener that queues alerts, and one task for each webhook that sends them.

    The same alert is sent once within the policy's `repeat_s`; the next one says how many were not sent. What a full
    queue or the rate limit refuses is counted, and reported with the next failure.
    """

    def __init__(self, urls: Sequence[str], policy: AlertPolicy, redact: Redactor, clock: Clock, emit: Emit) -> None:
        self._policy = policy
        self._redact = redact
        self._clock = clock
        self._emit = emit
        self._bucket = TokenBucket(burst=20, per_minute=30, clock=clock)
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()
        self._queues = {url: asyncio.Queue[dict[str, Any]](policy.queue_size) for url in urls}
        self._dropped = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks, on the running loop."""
        self._tasks = [asyncio.create_task(self._deliver(url, queue)) for url, queue in self._queues.items()]

    def __call__(self, event: Event) -> None:
        if (
            event.kind is ALERT_FAILED
            or _SEVERITY[event.kind.level] < _SEVERITY[self._policy.level]
            or not self._queues
        ):
            return
        suppressed = self._due(event)
        if suppressed is None:
            return
        if not self._bucket.take():
            self._dropped += 1
            return
        clean = Event(event.kind, self._redact(event.message), event.block, self._redact.fields(event.fields))
        for url, queue in self._queues.items():
            try:
                queue.put_nowait(body_for(url, clean, self._clock.now(), suppressed))
            except asyncio.QueueFull:
                self._dropped += 1

    async def close(self, timeout_s: float = 3.0) -> None:
        """Send what is queued, for at most `timeout_s`, and end."""
        pending = [asyncio.ensure_future(queue.join()) for queue in self._queues.values()]
        if self._tasks and pending:
            await asyncio.wait(pending, timeout=timeout_s)
        for task in [*pending, *self._tasks]:
            task.cancel()
        await asyncio.gather(*pending, *self._tasks, return_exceptions=True)

    def _due(self, event: Event) -> int | None:
        """How many equal alerts were suppressed since the last one sent; None when this one is suppressed, too."""
        key = (event.kind.code, *(str(event.fields.get(name, "")) for name in _SAME))
        now = self._clock.monotonic()
        last, held = self._seen.get(key, (None, 0))
        if last is not None and now - last < self._policy.repeat_s:
            self._seen[key] = (last, held + 1)
            return None
        self._seen[key] = (now, 0)
        self._seen.move_to_end(key)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return held

    async def _deliver(self, url: str, queue: asyncio.Queue[dict[str, Any]]) -> None:
        async with httpx.AsyncClient(timeout=self._policy.timeout_s) as client:
            while True:
                body = await queue.get()
                try:
                    async with asyncio.timeout(self._policy.timeout_s):
                        response = await client.post(url, json=body)
                    if not response.is_success:
                        self._failed(url, f"HTTP {response.status_code}")
                except TimeoutError:
                    self._failed(url, "no answer in time")
                except (httpx.HTTPError, httpx.InvalidURL, TypeError, ValueError, OverflowError, OSError) as error:
                    self._failed(url, type(error).__name__)
                finally:
                    queue.task_done()

    def _failed(self, url: str, error: str) -> None:
        dropped, self._dropped = self._dropped, 0
        fields = {"url": redact_url(url), "error": error, "dropped": dropped}
        lost = f", {dropped} alerts were dropped before" if dropped else ""
        message = f"alert not delivered to webhook {redact_url(url)}: {error}{lost}"
        self._emit(Event(ALERT_FAILED, message, None, fields))
