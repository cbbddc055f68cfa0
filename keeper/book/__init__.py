"""Columns of exact integers for every account: folded from logs, followed block by block, rolled back on a reorg."""
