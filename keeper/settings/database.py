"""Refuses a journal on another machine without verified TLS: its rows say which transactions are sent again."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING

from keeper.errors import OperatorError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def check_database(url: str, environment: Mapping[str, str] = os.environ) -> None:
    """`environment` holds what libpq adds to a URL, such as PGHOST. A malformed URL is left to those who open it.

    Raises OperatorError for a server that is not local, unless its certificate and name are verified.
    """
    if url.startswith("sqlite"):  # the default: spares loading SQLAlchemy
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        return
    if found.get_backend_name() != "postgresql":
        return
    if found.query.get("sslmode", environment.get("PGSSLMODE")) == "verify-full":
        return
    if remote := [host for host in _hosts(found, environment) if not _is_local(host)]:
        raise OperatorError(
            f"KEEPER_DATABASE_URL: {remote[0]} is not on this machine: add sslmode=verify-full and sslrootcert to the "
            "URL, or set KEEPER_ALLOW_PLAIN_DATABASE=true"
        )


def _hosts(url: "URL", environment: Mapping[str, str]) -> list[str]:
    """Every host that libpq may connect to; empty ones mean the socket of this machine."""
    query: dict[str, list[str]] = {
        name: [value] if isinstance(value, str) else list(value) for name, value in url.query.items()
    }
    service = [*query.get("service", []), *([environment["PGSERVICE"]] if environment.get("PGSERVICE") else [])]
    given = [url.host or "", *query.get("host", []), *query.get("hostaddr", [])]
    if not any(given):
        given = [environment.get("PGHOST", ""), environment.get("PGHOSTADDR", "")]
    hosts = [host.strip() for value in given for host in value.split(",")]
    return [f"service {name}" for name in service] + hosts


def _is_local(host: str) -> bool:
    if not host or host.startswith(("/", "@")):  # a socket
        return True
    name, _, port = host.rpartition(":")
    bare = (name if name and port.isdigit() and "::" not in host else host).strip("[]").lower()
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"
