"""The composition root: environment, settings, routes, ports."""
