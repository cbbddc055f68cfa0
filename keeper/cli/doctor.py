"""`keeper doctor`: check everything that a run needs."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import cleaned, print_json, show, table

if TYPE_CHECKING:
    from keeper.cli.checks.check import Check
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper doctor`, `keeper doctor --json`, `keeper doctor --send-test-alert`"
PREFLIGHT = 4

SendTestAlert = Annotated[
    bool, typer.Option("--send-test-alert", help="Send an alert to every webhook of KEEPER_ALERT_URLS.")
]


def command(
    as_json: AsJson = False, send_test_alert: SendTestAlert = False, env_file: EnvFile = DEFAULT_ENV_FILE
) -> int:
    """Check settings, nodes, contracts, prices, signer, journal and webhooks, and say what to do about problems.

    Run it before the first `keeper run`, and after each change of settings. Asks every node of KEEPER_RPC_URLS alone,
    and compares the health of every account with the contract's view. Sends no transaction. Ends with 4 when a check
    failed.
    """
    settings = settings_from(env_file)
    checks = [_cleaned(check) for check in run_interruptible(examine(settings, send_test_alert))]
    failed = sum(check.verdict == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [_entry(check) for check in checks]})
    else:
        _show(checks, failed)
    return PREFLIGHT if failed else 0


async def examine(settings: "Settings", send_test_alert: bool) -> list["Check"]:
    """Every check, each node alone first; checks that need a chain are skipped when no node can be used.

    Raises OperatorError when the settings or the deployment file cannot be used at all.
    """
    from keeper.cli.checks.check import ok
    from keeper.cli.checks.journal import check_journal
    from keeper.cli.checks.market import check_market
    from keeper.cli.checks.node import check_endpoint
    from keeper.cli.checks.signer import check_pinned, check_signing
    from keeper.cli.checks.webhooks import check_webhooks
    from keeper.cli.session import signer_address
    from keeper.clock import SystemClock
    from keeper.protocols.registry import load_deployment

    deployment = load_deployment(settings.deployment, settings.chain_id, settings.protocol)
    address = signer_address(settings)
    mode = "live" if settings.live else "dry run"
    found = [ok("settings", f"{settings.protocol} on chain {settings.chain_id}, {mode}")]
    now = SystemClock().now()
    for index, url in enumerate(settings.rpc_urls, 1):
        label = f"node {index}"
        found += await check_endpoint(settings, url.get_secret_value(), label, deployment, now)
    found += await check_market(settings, address)
    if address is not None:
        found += check_pinned(settings, address)
        found.append(await check_signing(settings))
    found.append(check_journal(settings, address))
    found += await check_webhooks(settings, send_test_alert)
    return found


def _cleaned(check: "Check") -> "Check":
    return replace(check, message=cleaned(check.message), action=cleaned(check.action))


def _entry(check: "Check") -> dict[str, Any]:
    return {"name": check.name, "verdict": str(check.verdict), "message": check.message, "action": check.action}


def _show(checks: list["Check"], failed: int) -> None:
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    grid = table("doctor", ("", "check", "", "what to do"))
    for check in checks:
        colour = colours[check.verdict]
        grid.add_row(f"[{colour}]{check.verdict}[/{colour}]", check.name, check.message, check.action)
    warned = sum(check.verdict == "warn" for check in checks)
    show(grid, f"{len(checks)} checks, {failed} failed, {warned} warnings")
