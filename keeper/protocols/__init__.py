"""Plug-ins: one folder a protocol, each pure. What to read, what it means, what to call. No I/O at all."""
