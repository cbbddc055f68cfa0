"""The program as a person calls it: what fixtures of the command line give."""

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]  # arguments, settings by name -> exit code, standard output, standard error
