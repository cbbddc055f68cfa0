"""The checks of `keeper doctor`, one file a topic: each gives a verdict, what was found, and what to do about it."""
