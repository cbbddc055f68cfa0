"""Programs that break the keeper on purpose and count what came of it: `make crash`, `make chaos`."""
