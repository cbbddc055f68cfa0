"""The former name of `keeper.book.sync`, which tests of plug-ins import."""

from keeper.book.sync import Advance, BookSync as Follower, load_snapshot

__all__ = ["Advance", "Follower", "load_snapshot"]
