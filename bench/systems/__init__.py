"""The systems that a run measures side by side, each started by the run and stopped at its end."""
