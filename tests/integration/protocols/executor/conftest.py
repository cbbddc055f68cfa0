"""How many examples each search tries: EXECUTOR_EXAMPLES, few where it is not set."""

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = settings(
    max_examples=int(os.environ.get("EXECUTOR_EXAMPLES", "8")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an operator's mistake; fails when there is more, or less."""
        [line] = self.err.splitlines()
        assert self.code
        return line.removeprefix("keeper: ")
