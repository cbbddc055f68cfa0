"""Frozen values that the stages exchange. Imports nothing but the standard library."""
