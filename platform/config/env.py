"""The typed environment: every setting of a deployment, read and checked once at start."""

import os
from dataclasses import dataclass
from pathlib import Path

import environ

from kernel import keyfile
from kernel.postgres import innkeeper_home

_KEPT = {"basic": "3", "professional": "13", "enterprise": "25"}
_SHORTEST = 2
ROOT = Path(__file__).resolve().parent.parent.parent


class ConfigurationError(RuntimeError):
    """An environment variable is missing or malformed; the message names it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the operator decides. Paths are absolute, sizes are bytes, times are seconds."""

    home: Path
    """``INNKEEPER_HOME``: keys, spool, demo facts, embedded cluster; default ``.innkeeper``."""
    debug: bool
    """``INNKEEPER_DEBUG``: tracebacks in the browser; never in production."""
    secret_key: str
    """``SECRET_KEY``: signs staff sessions; made under the home at the first start otherwise."""
    allowed_hosts: list[str]
    """``ALLOWED_HOSTS``: host names served; default any on loopback deployments."""
    trusted_proxies: list[str]
    """``TRUSTED_PROXIES``: addresses or networks whose X-Forwarded-For is believed."""
    metrics_networks: list[str]
    """``INNKEEPER_METRICS_NETWORKS``: who may scrape ``/metrics``; default loopback."""
    worker_metrics: str
    """``INNKEEPER_WORKER_METRICS``: ``host:port`` where a worker answers scrapes; default none."""
    pool_size: int
    """``INNKEEPER_POOL_SIZE``: connections a serving process keeps; default 4."""
    own_core: bool
    """``INNKEEPER_OWN_CORE``: each serving process keeps to one core; the launcher's default is
    yes where there are as many processes as cores."""
    log_level: str
    """``INNKEEPER_LOG_LEVEL``: debug, info, warning or error."""
    failed_auth_per_minute: int
    """``INNKEEPER_FAILED_AUTH``: wrong keys a minute from one address before 429; default 30."""
    audit_max_lag_s: float
    """``INNKEEPER_AUDIT_MAX_LAG``: seconds without a seal before ingest answers 503; default 30."""
    max_body_bytes: int
    """``INNKEEPER_MAX_BODY``: largest request body; default 2 MiB."""
    public_url: str
    """``INNKEEPER_PUBLIC_URL``: how others reach this deployment, without a slash at the end."""
    outbound_targets: list[str]
    """``INNKEEPER_OUTBOUND_TARGETS``: private networks that customers' addresses may lead to,
    ``10.1.0.0/16`` or ``10.1.0.0/16:8443``; plain HTTP goes there only; default none."""
    outbound_ports: list[int]
    """``INNKEEPER_OUTBOUND_PORTS``: ports called at public addresses; default 443, 6514, 8088."""
    outbound_ca: str
    """``INNKEEPER_OUTBOUND_CA``: a PEM file of authorities trusted beside the system's."""
    audit_tsa: str
    """``INNKEEPER_AUDIT_TSA``: address of an RFC 3161 time stamp authority; default none."""
    audit_tsa_ca: str
    """``INNKEEPER_AUDIT_TSA_CA``: a PEM file of the authority's root certificates."""
    audit_tsa_interval: int
    """``INNKEEPER_AUDIT_TSA_INTERVAL``: seconds between two time stamps; default an hour."""
    audit_witnesses: list[str]
    """``INNKEEPER_AUDIT_WITNESSES``: C2SP witnesses, each ``<vkey> <url>``, comma-separated."""

    usage_retention: dict[str, int]
    """``INNKEEPER_USAGE_RETENTION``: months that usage events are kept after their own, by plan;
    default ``basic=3,professional=13,enterprise=25``; without a plan the longest."""


def read() -> Environment:
    """Read the process environment.

    Raises:
        ConfigurationError: a value does not parse.
    """
    env = environ.Env()
    try:
        home = innkeeper_home()
        return Environment(
            home=home,
            debug=env.bool("INNKEEPER_DEBUG", default=False),
            secret_key=env.str("SECRET_KEY", default="") or _kept_secret(home / "keys" / "django"),
            allowed_hosts=env.list("ALLOWED_HOSTS", default=["*"]),
            trusted_proxies=env.list("TRUSTED_PROXIES", default=[]),
            metrics_networks=env.list(
                "INNKEEPER_METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"]
            ),
            worker_metrics=env.str("INNKEEPER_WORKER_METRICS", default=""),
            pool_size=env.int("INNKEEPER_POOL_SIZE", default=4),
            own_core=env.bool("INNKEEPER_OWN_CORE", default=False),
            log_level=env.str("INNKEEPER_LOG_LEVEL", default="info"),
            failed_auth_per_minute=max(env.int("INNKEEPER_FAILED_AUTH", default=30), 1),
            audit_max_lag_s=env.float("INNKEEPER_AUDIT_MAX_LAG", default=30.0),
            max_body_bytes=env.int("INNKEEPER_MAX_BODY", default=2 * 1024 * 1024),
            public_url=env.str("INNKEEPER_PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/"),
            outbound_targets=env.list("INNKEEPER_OUTBOUND_TARGETS", default=[]),
            outbound_ports=env.list("INNKEEPER_OUTBOUND_PORTS", int, default=[443, 6514, 8088]),
            outbound_ca=env.str("INNKEEPER_OUTBOUND_CA", default=""),
            audit_tsa=env.str("INNKEEPER_AUDIT_TSA", default=""),
            audit_tsa_ca=env.str("INNKEEPER_AUDIT_TSA_CA", default=""),
            audit_tsa_interval=env.int("INNKEEPER_AUDIT_TSA_INTERVAL", default=3600),
            audit_witnesses=env.list("INNKEEPER_AUDIT_WITNESSES", default=[]),
            usage_retention=_retention(env.dict("INNKEEPER_USAGE_RETENTION", default=_KEPT)),
        )
    except (environ.ImproperlyConfigured, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def _retention(given: dict[str, str]) -> dict[str, int]:
    """Read months by plan; the ledger cannot let go of months that may still be billed.

    Raises:
        ValueError: a number is none, or below two; or there is no plan.
    """
    months = {plan: int(text) for plan, text in given.items()}
    if not months or min(months.values()) < _SHORTEST:
        raise ValueError(f"INNKEEPER_USAGE_RETENTION: {_SHORTEST} months at least for each plan")
    return months


def _kept_secret(path: Path) -> str:
    """Read a secret of this installation, making it at the first start."""
    return keyfile.kept(path, lambda: os.urandom(48).hex().encode()).decode()
