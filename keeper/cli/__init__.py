"""The commands, one file each. Importing this package is cheap: what takes long is imported inside a command."""
