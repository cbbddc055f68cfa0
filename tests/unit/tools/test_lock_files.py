"""The lock files in requirements/, and the extras that texts name."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = ("run", "deploy", "test", "docs", "audit")
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*==\S+(?: ; .*?)?) \\$", re.MULTILINE)


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> set[str]:
    """Packages with their versions and markers."""
    return set(PIN.findall(lock(name)))


def project() -> dict[str, dict[str, list[str]]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {"extras": document["project"]["optional-dependencies"], "base": {"": document["project"]["dependencies"]}}


@pytest.mark.parametrize("part", ["run", "deploy"])
def test_what_runs_is_what_is_tested(part: str) -> None:
    assert pins(part)
    assert pins(part) <= pins("test")


@pytest.mark.parametrize("name", FILES)
def test_each_package_has_a_version_and_hashes_and_no_address(name: str) -> None:
    lines = lock(name).splitlines()
    packages = [line for line in lines if not line.startswith("    --hash=sha256:")]
    assert len(packages) == len(pins(name))
    assert all(following.startswith("    --hash=") for line, following in pairwise(lines) if line in packages)
    assert "://" not in lock(name)


def test_every_extra_that_is_named_exists() -> None:
    texts = [*(ROOT / "keeper").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {
        extra
        for path in texts
        for extra in re.findall(r"(?:liquidation-keeper|keeper)\[([a-z]+)\]", path.read_text(encoding="utf-8"))
    }
    assert {"aws", "postgres"} <= named
    assert named <= set(project()["extras"])


def test_a_keeper_on_a_server_has_kms_and_postgres() -> None:
    assert "psycopg==" in lock("deploy")
    assert "boto3==" in lock("deploy")
