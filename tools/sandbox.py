"""A copy of what forge needs to build and test the contracts: an audit changes nothing in the checkout."""

import os
import platform
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
AUDIT = ROOT / ".venv-audit" / "bin"


def forge() -> str:
    """The binary on PATH, else the one that npm brought."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    brought = ROOT / "node_modules" / "@foundry-rs" / f"forge-{platform.system().lower()}-{machine}" / "bin" / "forge"
    given = os.environ.get("FORGE", "")
    if given and (ROOT / given).exists():
        return str(ROOT / given)
    return given or shutil.which("forge") or str(brought)


def copy(directory: Path, *, tests: bool = True) -> None:
    """Contracts, settings and compiler into an empty directory; node_modules is shared."""
    (directory / "contracts").mkdir(parents=True)
    for folder in ("src", "test") if tests else ("src",):
        shutil.copytree(ROOT / "contracts" / folder, directory / "contracts" / folder)
    for built in ("out", "cache") if tests else ():
        if (ROOT / "contracts" / built).is_dir():
            shutil.copytree(ROOT / "contracts" / built, directory / "contracts" / built)
    (directory / "tools").mkdir()
    shutil.copy2(ROOT / "tools" / "solc.mjs", directory / "tools")
    shutil.copy2(ROOT / "foundry.toml", directory)
    (directory / "node_modules").symlink_to((ROOT / "node_modules").resolve())


def environment(**more: str) -> dict[str, str]:
    """This process's variables with forge and the audit's tools on PATH, and others."""
    tools = os.pathsep.join([str(AUDIT), str(Path(forge()).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": tools, **more}
