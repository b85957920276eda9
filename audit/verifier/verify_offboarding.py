"""Verifies what a tenant took along when it left: all its logs in one ZIP file or directory.

Lies beside `verify_bundle.py` and `verify_openings.py` and needs those, the standard library and
`cryptography` only.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any


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
RefutedError: type[Exception] = bundle.RefutedError


def verify_offboarding(directory: Path, vkey: str) -> str:
    """Check everything that a tenant took along: files, logs, former checkpoints, heads."""
    manifest = json.loads(bundle.read(directory / "manifest.json"))
    for name, digest in manifest["files"].items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise bundle.RefutedError(f"{name} lies outside the bundle")
        if sha256(bundle.read(path)).hexdigest() != digest:
            raise bundle.RefutedError(f"{name} differs from the manifest")
    shown = []
    for log in manifest["logs"]:
        inner = directory / log["directory"]
        own = bundle.key_of(log["origin"], vkey)
        shown.append(bundle.verify_bundle(inner, own, None, former_roots(inner, log["origin"])))
        if "heads" in log:
            heads = bundle.key_of(log["heads"], vkey)
            shown.append(
                bundle.verify_proof(bundle.read(inner / "heads.tlog-proof").decode(), heads, None)
            )
    return "\n".join([*shown, f"valid: {len(manifest['logs'])} logs of {manifest['tenant']}"])


def former_roots(directory: Path, origin: str) -> dict[int, bytes]:
    """Read the roots of the log's earlier checkpoints, by size."""
    found = {}
    for path in sorted((directory / "checkpoints").glob("*")):
        text = bundle.read(path).decode().rpartition("\n\n")[0] + "\n"
        former = bundle.read_checkpoint(text, origin)
        found[former.size] = former.root
    return found


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the directory itself, or a temporary one with what the ZIP file holds."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(path) as archive:
        archive.extractall(name)
        yield Path(name)


def verify(path: Path, vkey: str) -> str:
    """Verify a ZIP file, its unpacked directory, or a single log's bundle; return what was shown.

    Raises:
        RefutedError: it does not show what it claims.
    """
    try:
        with unpacked(path) as directory:
            if (directory / "manifest.json").exists():
                return verify_offboarding(directory, vkey)
            origin = bundle.read(directory / "checkpoint").decode().partition("\n")[0]
            return str(bundle.verify_bundle(directory, bundle.key_of(origin, vkey), None))
    except (zipfile.BadZipFile, *bundle.MALFORMED) as error:
        raise bundle.RefutedError(str(error)) from error


def main(arguments: list[str]) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the ZIP file, or its unpacked directory")
    parser.add_argument("--vkey", required=True, action="append", help=bundle.KEYS)
    options = parser.parse_args(arguments)
    try:
        shown = verify(options.path, "\n".join(options.vkey))
    except bundle.RefutedError as error:
        sys.stderr.write(f"REFUTED: {error}\n")
        return 1
    sys.stdout.write(shown + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
