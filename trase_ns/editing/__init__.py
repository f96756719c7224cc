"""Objects to an edited scene: snapshots of edits, operations on them, their history, and the session on disk."""
