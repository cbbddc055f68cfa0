"""The audit of the contracts in parts: slither, halmos, invariants, mutants. Arguments choose parts; all by default."""

import subprocess
import sys
import time

from sandbox import AUDIT, ROOT

PARTS = {
    "slither": "audit_slither.py",
    "halmos": "audit_halmos.py",
    "invariants": "audit_invariants.py",
    "mutants": "mutants.py",
}


def main() -> int:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in wanted if part not in PARTS]:
        print(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    if not (AUDIT / "slither").exists():
        print(f"{AUDIT.relative_to(ROOT)} is missing: run `make audit-env`")
        return 2
    results = {}
    for part in wanted:
        print(f"==> {part}", flush=True)
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-u", str(ROOT / "tools" / PARTS[part])], check=False)
        results[part] = (done.returncode, time.monotonic() - began)
    for part, (code, seconds) in results.items():
        print(f"{part:<11} {'passed' if code == 0 else 'FAILED'}  {seconds / 60:5.1f} min")
    return max(code for code, _ in results.values())


if __name__ == "__main__":
    sys.exit(main())
