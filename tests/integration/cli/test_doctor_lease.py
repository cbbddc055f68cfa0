"""What `keeper doctor` and `keeper status` say of a signer that keepers share."""

from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from keeper.cli.checks.journal import check_journal
from keeper.execute.journal.journal import open_journal
from keeper.observe.status import read_status
from keeper.settings import Settings, secrets_of
from keeper.sim.arena import arena_node, running
from tests.support import harsh

SIGNER = b"\xaa" * 20


def settings(database: str, path: Path, standby: bool) -> Settings:
    return Settings(
        rpc_urls=(SecretStr("http://127.0.0.1:1"),),
        chain_id=31337,
        protocol="margin_engine",
        deployment=path / "d.json",
        data_dir=path,
        database_url=SecretStr(database),
        standby=standby,
    )


def test_a_held_lease_fails_a_leader_and_suits_a_standby(database: str, tmp_path: Path) -> None:
    with closing(open_journal(database, tmp_path, SIGNER, 31337)):
        leader = check_journal(settings(database, tmp_path, standby=False), SIGNER)
        standby = check_journal(settings(database, tmp_path, standby=True), SIGNER)
    assert (leader.verdict, standby.verdict) == ("fail", "ok")
    assert "lease 1" in leader.message
    assert "be the standby" in standby.message
    free = check_journal(settings(database, tmp_path, standby=True), SIGNER)
    assert (free.verdict, "PostgreSQL" in free.message) == ("ok", True)


def test_the_databases_password_is_a_secret(tmp_path: Path) -> None:
    found = secrets_of(settings("postgresql+psycopg://keeper:hunter2@db/keeper", tmp_path, standby=False))
    assert "hunter2" in found


async def test_the_status_file_says_who_leads_and_who_stands_by(database: str, tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=10)
        both = {"live": True, "standby": True, "database_url": SecretStr(database), "lease_s": 30.0}
        first = arena.settings(anvil.url, **both, data_dir=tmp_path / "one")
        second = arena.settings(anvil.url, **both, data_dir=tmp_path / "two")
        async with running(first) as leader:
            await leader.handled(anvil.block_number())
            async with running(second) as standby:
                record = await arena.quiet()
                for keeper in (leader, standby):
                    await keeper.handled(record.number)
                assert read_status(tmp_path / "one").role == "leader (lease 1)"
                assert read_status(tmp_path / "two").role.startswith("standby: another keeper")
                assert read_status(tmp_path / "two").held.startswith("standing by")
