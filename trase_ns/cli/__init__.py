"""The `trase` command."""
