"""What can go wrong between the launcher and a person: every message says what to do next."""


class PostgresError(RuntimeError):
    """The embedded server cannot be used as asked; the text is meant for the operator."""


class ProviderError(PostgresError):
    """No usable PostgreSQL binaries were found."""


class ForeignDirectoryError(PostgresError):
    """The directory is not a cluster of ours: the launcher never touches it."""


class MajorVersionError(PostgresError):
    """The data directory belongs to another major version than the binaries."""


class StartError(PostgresError):
    """The server did not come up, or refused this account."""
