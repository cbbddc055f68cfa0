"""What the unit and the image must keep: closed files, no privileges, a pinned image, no tools in it."""

import re
from pathlib import Path

import pytest

from keeper.cli.main import main
from keeper.execute.leadership.file_lock import SHARED

ROOT = Path(__file__).parents[3]
UNIT = (ROOT / "deploy" / "keeper.service").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
BUILDERS = {"editables", "hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}


@pytest.mark.parametrize(
    "line",
    [
        "User=keeper", "UMask=0077", "StateDirectoryMode=0700", "LimitCORE=0",
        "ProtectSystem=strict", "ProtectHome=true", "PrivateTmp=true", "PrivateDevices=true",
        "NoNewPrivileges=true", "CapabilityBoundingSet=", "AmbientCapabilities=", "RestrictSUIDSGID=true",
        "RestrictNamespaces=true", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "MemoryDenyWriteExecute=true",
        "ProtectKernelModules=true", "ProtectKernelTunables=true", "ProtectControlGroups=true",
        "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
        "RestartPreventExitStatus=2 3 5",
    ],
)  # fmt: skip
def test_the_unit_takes_every_right_that_the_keeper_does_not_need(line: str) -> None:
    assert line in UNIT.splitlines()


def test_the_signers_lock_is_where_other_services_and_containers_see_it() -> None:
    assert str(SHARED) == "/run/keeper"
    lines = {"RuntimeDirectory=keeper", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes"}
    assert lines <= set(UNIT.splitlines())
    assert "install -d -o keeper -m 0700 /data /run/keeper" in STAGES[-1]
    assert f"-v keeper-locks:{SHARED} " in DOCKERFILE


def test_the_image_is_pinned_by_version_and_by_digest_where_one_is_given() -> None:
    assert re.search(r"^ARG PYTHON_TAG=3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^ARG PYTHON_DIGEST=$", DOCKERFILE, re.MULTILINE)
    bases = [stage.split(maxsplit=1)[0] for stage in STAGES[1:]]
    assert bases == ["python:${PYTHON_TAG}${PYTHON_DIGEST:+@$PYTHON_DIGEST}"] * 2


def test_what_builds_the_package_is_taken_out_of_the_image() -> None:
    _, build, final = STAGES
    [removed] = re.findall(r"/opt/keeper/bin/pip uninstall -y (.*)", build)
    assert set(removed.split()) == BUILDERS | {"setuptools", "pip"}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "deploy.txt").read_text(), re.MULTILINE))
    assert locked >= BUILDERS
    assert "pip uninstall -y --root-user-action=ignore setuptools wheel pip" in final
    assert "pip install" not in final
    assert "COPY --from=build /opt/keeper /opt/keeper" in final


def test_the_image_runs_as_an_own_user_and_says_whether_it_works(capsys: pytest.CaptureFixture[str]) -> None:
    final = STAGES[-1]
    assert re.search(r"^USER 10001$", final, re.MULTILINE)
    assert 'CMD ["keeper", "status", "--max-age", "300"]' in final
    assert main(["status", "--help"]) == 0
    assert "--max-age" in capsys.readouterr().out


def test_the_builder_gets_what_the_image_is_made_of_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = set()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        copied |= set(sources.split())
    assert allowed == copied
    assert {"**/.env*", "**/*.key", "**/*.db*"} <= set(lines)
