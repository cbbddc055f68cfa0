"""Complete `package-lock.json`: `npm ci` wants an entry for every platform, also where the registry in use has none.

An entry added here has a version and no checksum: npm takes it only on that platform. Every other optional package is
left out: one of the protocols' libraries would bring 500 of them, all for its own development.
"""

import json
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "package-lock.json"
PLATFORMS = {"amd64": "x64", "arm64": "arm64"}
PREFIX = "node_modules/"


def platforms(path: str, package: dict[str, Any]) -> set[str]:
    """The optional dependencies of a package that are itself, built for a platform: tool-linux-amd64."""
    optional = package.get("optionalDependencies", {})
    return {name for name in optional if name.startswith(f"{path.removeprefix(PREFIX)}-")}


def needed(packages: dict[str, Any]) -> dict[str, Any]:
    """The packages without those that are optional and no platform's."""
    built = {f"{PREFIX}{name}" for path, package in packages.items() for name in platforms(path, package)}
    kept = {path: package for path, package in packages.items() if not package.get("optional") or path in built}
    for path, package in kept.items():
        if not platforms(path, package):
            package.pop("optionalDependencies", None)
    return kept


def missing(packages: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of optional packages, named like tool-linux-amd64, that the lock file does not have."""
    found = {}
    for package in packages.values():
        for name, version in package.get("optionalDependencies", {}).items():
            path = f"{PREFIX}{name}"
            system, machine = name.rsplit("-", 2)[1:]
            if path not in packages:
                entry = {"version": version, "cpu": [PLATFORMS[machine]], "dev": True, "license": package["license"]}
                found[path] = {**entry, "optional": True, "os": [system]}
    return found


def main() -> int:
    document = json.loads(LOCK.read_text())
    packages = needed(document["packages"])
    packages.update(missing(packages))
    document["packages"] = {"": packages.pop(""), **dict(sorted(packages.items()))}
    LOCK.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
