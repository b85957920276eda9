"""Logging: one JSON line an event on standard error; the standard library's records join."""

import logging
import sys
from typing import Any

import orjson
import structlog


def _render(_: Any, __: str, event: Any) -> bytes:
    return orjson.dumps(event, default=str)


def configure(level: str, *, stream: str = "stderr") -> None:
    """Set up structlog and route the standard library's records at ``level`` and above."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    target = sys.stdout if stream == "stdout" else sys.stderr
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(target.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda *event: _render(*event).decode(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))
    # Refusals have their canonical line; Django's would add the path.
    logging.getLogger("django.request").setLevel(logging.ERROR)
