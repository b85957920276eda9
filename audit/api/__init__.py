"""Routes of the log."""
