"""Verifies an export as CSV or Parquet: a ZIP file with rows, a signed note and a manifest.

Lies beside `verify_bundle.py` and `verify_openings.py` and needs those, the standard library and
`cryptography`; for Parquet also `pyarrow`.
"""

import argparse
import base64
import csv
import importlib
import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

WIDEST = 1 << 30


def neighbour() -> Any:
    """Load the script beside this one, wherever the two lie."""
    path = Path(__file__).with_name("verify_bundle.py")
    spec = importlib.util.spec_from_file_location("verify_bundle", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bundle = neighbour()


def verify(path: Path, vkey: str) -> str:
    """Recompute the log's root from the rows; return what was shown."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        for name, digest in manifest["files"].items():
            if digest_of(archive, name) != digest:
                raise bundle.RefutedError(f"{name} differs from the manifest")
        state = bundle.open_note(archive.read("checkpoint").decode(), vkey)
        names = archive.namelist()
        pruning = (
            bundle.open_pruning(archive.read("pruned").decode(), vkey)
            if "pruned" in names
            else None
        )
        tree = bundle.Tree()
        tree.size = manifest["first"]
        tree.stack = [base64.b64decode(one) for one in manifest["proof"]["before"]]
        pruned = 0
        for row in rows(archive, manifest["format"]):
            index, digest, leaf = int(row["leaf_index"]), row["leaf_hash"], row["leaf"]
            if index != tree.size:
                raise bundle.RefutedError(f"row {tree.size} is missing")
            if leaf:
                if sha256(b"\x00" + leaf.encode()).hexdigest() != digest:
                    raise bundle.RefutedError(f"row {index} differs from its hash")
                check_columns(index, row, json.loads(leaf))
            elif pruning is None or not pruning.covers(index):
                raise bundle.RefutedError(f"entry {index} is missing and not signed as pruned")
            else:
                pruned += 1
            tree.append(bytes.fromhex(digest))
    if (tree.size, tree.root()) != (state.size, state.root):
        raise bundle.RefutedError("the rows do not lead to the signed root")
    without = f", {pruned} pruned" if pruned else ""
    return f"valid: {state.size - manifest['first']} entries of {state.origin}{without}"


def digest_of(archive: zipfile.ZipFile, name: str) -> str:
    """Hash one file of the archive piece by piece."""
    found = sha256()
    with archive.open(name) as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


def check_columns(index: int, row: dict[str, Any], document: dict[str, Any]) -> None:
    """Compare what a reader looks at with the bytes that are proven."""
    actor, context = document["actor"], document["context"]
    texts = {
        "id": document["id"],
        "action": document["action"],
        "schema": str(document["schema"]),
        "outcome": document["outcome"],
        "actor_type": actor["type"],
        "actor_id": actor["id"],
        "on_behalf_of": actor["on_behalf_of"],
        "request_id": context["request_id"],
    }
    nested = {
        "targets": document["targets"],
        "metadata": context.get("metadata", {}),
        "changes": document["changes"],
    }
    same = {name: str(row[name]) in (text, f"'{text}") for name, text in texts.items()}
    same |= {name: json.loads(row[name]) == value for name, value in nested.items()}
    at = row["at"] if isinstance(row["at"], datetime) else datetime.fromisoformat(row["at"])
    same["at"] = at == datetime.fromisoformat(document["at"])
    for name, is_same in same.items():
        if not is_same:
            raise bundle.RefutedError(f"row {index}: the column {name} differs from the bytes")


def rows(archive: zipfile.ZipFile, form: str) -> Iterator[dict[str, Any]]:
    """Go through the rows; `leaf`, the proven bytes as text, is empty where pruned."""
    with archive.open(f"entries.{form}") as file:
        if form == "csv":
            csv.field_size_limit(WIDEST)
            yield from csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))
            return
        parquet = importlib.import_module("pyarrow.parquet")
        source = parquet.ParquetFile(io.BytesIO(file.read()))
        for batch in source.iter_batches():
            yield from batch.to_pylist()


def main(arguments: list[str]) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the ZIP file")
    parser.add_argument("--vkey", required=True, action="append", help=bundle.KEYS)
    options = parser.parse_args(arguments)
    try:
        shown = verify(options.path, "\n".join(options.vkey))
    except (bundle.RefutedError, zipfile.BadZipFile, *bundle.MALFORMED) as error:
        sys.stderr.write(f"REFUTED: {error}\n")
        return 1
    sys.stdout.write(shown + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
