"""The composition root: who answers which port, who hears which event, who listens to requests.

The only place that knows all apps. ``ConfigConfig.ready`` imports it once they are loaded.
"""


def compose() -> None:
    """Bind everything. Called once, by ``ConfigConfig.ready``."""
