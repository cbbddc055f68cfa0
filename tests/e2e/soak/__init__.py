"""A long run of one process under light faults: memory, tasks and file descriptors must stay where they were."""
