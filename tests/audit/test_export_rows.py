"""Exports as CSV and Parquet: streamed, provable by a script that is not ours, harmless."""

import csv
import io
import json
import zipfile
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from django.core.management import call_command
from django.test import Client

from audit.encoding.plain import timestamp
from audit.exports import archive, table
from audit.exports.writers import CsvWriter, harmless
from audit.models import Head, Stream
from audit.pruning.run import prune
from audit.queries import proofs
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from kernel.csv_lines import written
from kernel.tenancy import tenant_context
from tests.audit.aged import aged, month_of
from tests.audit.logs import changes, rows
from tests.audit.test_bundle import outsider
from tests.audit.test_pruning import keep
from tests.guests import Guest, call, new_guest

SIZE = 300


@pytest.fixture
def guest(sealer: Sealer) -> Guest:
    """A tenant with two pruned places in its own stream and hundreds in the platform's."""
    made = new_guest()
    aged(made.id, month_of(400), 2, stream=Stream.TENANT)
    sealer.drain()
    keep(made.id, 90)
    prune(made.id)
    changes(made.id, SIZE)
    sealer.drain()
    return made


def download(guest: Guest, query: str, path: Path) -> Path:
    response = Client().get(
        f"/api/v1/audit/export?{query}", headers={"Authorization": f"Bearer {guest.key}"}
    )
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    assert response.streaming
    path.write_bytes(b"".join(response.streaming_content))
    return path


def key_of(guest: Guest, stream: Stream) -> str:
    with tenant_context(guest.id):
        head = Head.objects.get(stream=stream)
    return ring().verifiers(head.origin)[0][0].vkey


def shown(guest: Guest, path: Path, stream: Stream = Stream.PLATFORM) -> str:
    outcome = outsider(path, "--vkey", key_of(guest, stream), script="verify_export.py")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export__rows__prove_themselves_to_an_outsider(
    guest: Guest, tmp_path: Path, form: str
) -> None:
    path = download(guest, f"format={form}", tmp_path / "whole.zip")
    with zipfile.ZipFile(path) as found:
        manifest = json.loads(found.read("manifest.json"))
        assert set(manifest["files"]) == set(found.namelist()) - {"manifest.json"}
        for name, digest in manifest["files"].items():
            assert sha256(found.read(name)).hexdigest() == digest
    assert f"valid: {manifest['size']} entries" in shown(guest, path)
    part = download(guest, f"format={form}&first=201", tmp_path / "part.zip")
    assert f"valid: {json.loads(zipfile.ZipFile(part).read('manifest.json'))['size'] - 201} " in (
        shown(guest, part)
    )
    pruned = download(guest, f"format={form}&stream=tenant", tmp_path / "pruned.zip")
    assert "2 pruned" in shown(guest, pruned, Stream.TENANT)
    told = rows(
        "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND action = 'audit.log.exported'",
        guest.id,
    )
    assert told == [(3,)]


def test_export__parquet_and_csv__hold_the_same(guest: Guest, tmp_path: Path) -> None:
    call_command("audit_export", str(guest.id), str(tmp_path), format="csv", stdout=io.StringIO())
    call_command(
        "audit_export", str(guest.id), str(tmp_path), format="parquet", stdout=io.StringIO()
    )
    text = zipfile.ZipFile(tmp_path / "platform-0-csv.zip").read("entries.csv").decode()
    content = zipfile.ZipFile(tmp_path / "platform-0-parquet.zip").read("entries.parquet")
    table_read = pyarrow.parquet.read_table(io.BytesIO(content))
    assert str(table_read.schema.field("at").type) == "timestamp[us, tz=UTC]"
    read = [{**one, "at": timestamp(one["at"])} for one in table_read.to_pylist()]
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(lines[0]) == table.COLUMNS
    assert lines == [{name: str(value) for name, value in one.items()} for one in read]


def test_export__changed_row__is_refuted(guest: Guest, tmp_path: Path) -> None:
    path = download(guest, "format=csv", tmp_path / "whole.zip")
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(path) as found, zipfile.ZipFile(changed, "w") as made:
        contents = {name: found.read(name) for name in found.namelist()}
        contents["entries.csv"] = contents["entries.csv"].replace(b"name 7", b"name 8")
        manifest = json.loads(contents["manifest.json"])
        manifest["files"]["entries.csv"] = sha256(contents["entries.csv"]).hexdigest()
        contents["manifest.json"] = json.dumps(manifest).encode()
        for name, content in contents.items():
            made.writestr(name, content)
    vkey = key_of(guest, Stream.PLATFORM)
    outcome = outsider(changed, "--vkey", vkey, script="verify_export.py")
    assert outcome.returncode == 1
    assert "differs from its hash" in outcome.stderr


@pytest.mark.parametrize(
    ("form", "column", "value"),
    [
        ("csv", "actor_id", "forged"),
        ("csv", "changes", "{}"),
        ("parquet", "at", "2001-01-01T00:00:00.000000Z"),
        ("parquet", "schema", 99),
    ],
)
def test_export__changed_column_beside_the_proven_bytes__is_refuted(
    guest: Guest, tmp_path: Path, form: str, column: str, value: Any
) -> None:
    """Whoever opens the file looks at the columns, and not at the bytes."""
    path = download(guest, f"format={form}&first=200", tmp_path / "whole.zip")
    with zipfile.ZipFile(path) as found:
        contents = {name: found.read(name) for name in found.namelist()}
    name = f"entries.{form}"
    contents[name] = _forged(contents[name], form, column, value)
    manifest = json.loads(contents["manifest.json"])
    manifest["files"][name] = sha256(contents[name]).hexdigest()
    contents["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as made:
        for member, content in contents.items():
            made.writestr(member, content)
    vkey = key_of(guest, Stream.PLATFORM)
    outcome = outsider(path, "--vkey", vkey, script="verify_export.py")
    assert outcome.returncode == 1
    assert f"row 200: the column {column} differs from the bytes" in outcome.stderr


def _forged(content: bytes, form: str, column: str, value: Any) -> bytes:
    """Change a column of the first row."""
    file = io.BytesIO()
    if form == "parquet":
        read = pyarrow.parquet.read_table(io.BytesIO(content))
        held = read.to_pylist()
        held[0][column] = datetime.fromisoformat(value) if column == "at" else value
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(held, read.schema), file)
        return file.getvalue()
    lines = list(csv.reader(io.StringIO(content.decode(), newline="")))
    lines[1][table.COLUMNS.index(column)] = str(value)
    return written(lines)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv__formula__is_made_a_text(text: str) -> None:
    assert harmless(text) == f"'{text}"
    file = io.BytesIO()
    CsvWriter(file).write([(1, "a", text)])
    assert f"'{text}" in file.getvalue().decode()


@pytest.mark.parametrize("cell", ["a=1", "", 7, None, '{"a":"=1"}'])
def test_csv__other_cells__stay_as_they_are(cell: object) -> None:
    assert harmless(cell) == cell


def test_stream__long_log__holds_one_batch_at_a_time(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BATCH", 10)
    with tenant_context(guest.id):
        head = Head.objects.get(stream=Stream.PLATFORM)
        published = proofs.checkpoint(head.log_id)
    pieces = list(archive.stream("parquet", head, published, guest.id))
    assert len(pieces) > SIZE // 10
    assert max(map(len, pieces[:-1])) < 40_000  # the last one is Parquet's footer


@pytest.mark.parametrize("query", ["format=csv&first=-2", "format=csv&first=999999", "format=xml"])
def test_export__malformed_question__is_refused(guest: Guest, query: str) -> None:
    assert call("GET", f"audit/export?{query}", guest.key).status == 400
