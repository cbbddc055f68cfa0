"""Protocol adapters, a folder each: what to read, what the answers mean, what to call. They do no I/O."""
