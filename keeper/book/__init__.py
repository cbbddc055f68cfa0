"""The book: exact integers of every account, built from logs, updated block by block, rolled back on a reorg."""
