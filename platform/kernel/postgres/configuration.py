"""The server's configuration, written anew at each start.

``ALTER SYSTEM`` still wins, because PostgreSQL reads its own ``postgresql.auto.conf`` last.
"""

import os
from pathlib import Path

from kernel.postgres.layout import PORT, Layout
from kernel.postgres.targets import APPLICATION_ROLES, Role

MARK = "# Written by Innkeeper's launcher at each start; changes here are lost.\n"
_MAP = "innkeeper"
_IO_METHOD_SINCE = 18

# Sized for the stated target: two cores and little memory beside the application.
_COMMON = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_worker_processes": "8",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "5s",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "2000",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "iso, ymd",
    "lc_messages": "C",
    "default_text_search_config": "pg_catalog.simple",
    "password_encryption": "scram-sha-256",
}

# Statements carry literals, and literals may be secrets: none of them reaches the log.
_LOG = {
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_lock_waits": "on",
}

_THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "autovacuum_naptime": "1min",
    "checkpoint_timeout": "1h",
}


def server_settings(layout: Layout, major: int, *, throwaway: bool = False) -> dict[str, str]:
    """Give all settings of a cluster; ``throwaway`` trades durability for speed."""
    places = {
        "data_directory": str(layout.data),
        "hba_file": str(layout.conf / "pg_hba.conf"),
        "ident_file": str(layout.conf / "pg_ident.conf"),
        "log_directory": str(layout.log),
        "unix_socket_directories": str(layout.socket),
        "port": str(PORT),
    }
    settings = places | _COMMON | _LOG
    if major >= _IO_METHOD_SINCE:
        settings["io_method"] = "worker"
    return settings | _THROWAWAY if throwaway else settings


def access_lines() -> str:
    """Give pg_hba.conf: the Unix socket, checked by the kernel, and nothing else."""
    return f"{MARK}local all all peer map={_MAP}\n"


def ident_lines(account: str) -> str:
    """Give pg_ident.conf: the application's operating-system account may be any of our roles."""
    roles = (*APPLICATION_ROLES, Role.BOOTSTRAP)
    return MARK + "".join(f'{_MAP} "{account}" {role}\n' for role in roles)


def write(layout: Layout, major: int, account: str, *, throwaway: bool = False) -> Path:
    """Write the three files and give the path of the main one."""
    settings = server_settings(layout, major, throwaway=throwaway)
    main = "".join(f"{name} = '{_escape(value)}'\n" for name, value in settings.items())
    _replace(layout.conf / "pg_hba.conf", access_lines())
    _replace(layout.conf / "pg_ident.conf", ident_lines(account))
    target = layout.conf / "postgresql.conf"
    _replace(target, MARK + main)
    return target


def _escape(value: str) -> str:
    return value.replace("'", "''")


def _replace(path: Path, text: str) -> None:
    """Write by rename, so that a crash never leaves half a file; readable for the server."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    staging.write_text(text)
    staging.chmod(0o644)
    staging.rename(path)
