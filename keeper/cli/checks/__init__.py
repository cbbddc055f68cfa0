"""The checks of `keeper doctor`, one file a topic: each says what is so, and what to do when it should not be."""
