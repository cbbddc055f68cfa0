"""How many examples each search tries: EXECUTOR_EXAMPLES, few where it is not set."""

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = settings(
    max_examples=int(os.environ.get("EXECUTOR_EXAMPLES", "8")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
