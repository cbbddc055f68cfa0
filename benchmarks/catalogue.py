"""The figures of `python -m benchmarks`: their names, which stay, and which are measured together."""

import re
from collections.abc import Mapping

SMALL, USUAL = 50, 500

# In the order of measuring. Sizes that may change from run to run belong into a figure's detail, not into its name.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "small market": (f"requests a block, {SMALL} accounts",),
    "requests": (f"requests a block, {USUAL} accounts",),
    "cold start": ("cold start",),
    "screening": ("accounts screened", "accounts assessed", "exact health in integers"),
    "head to wire": ("head to wire, median", "head to wire, 99th percentile"),
    "signing": ("transactions signed",),
    "memory": ("book memory (1 + 1 + 3 values)", "book memory (3 x 3 values)"),
}
NAMES = tuple(name for names in GROUPS.values() for name in names)


def groups_of(pattern: str) -> frozenset[str]:
    """The groups with a figure whose name a regular expression finds, in any case. Raises re.error."""
    wanted = re.compile(pattern, re.IGNORECASE)
    return frozenset(group for group, names in GROUPS.items() if any(wanted.search(name) for name in names))
