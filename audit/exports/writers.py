"""Writers of rows: CSV that no spreadsheet executes, and Parquet."""

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final, Protocol, cast

from audit.exports.table import COLUMNS, Row
from kernel.csv_lines import harmless, written
from kernel.errors import NotAcceptable

_NUMBERS: Final = frozenset({"leaf_index", "schema"})
_TIME: Final = "at"


class Writer(Protocol):
    """Writes batches of rows into a file."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write a batch."""

    def close(self) -> None:
        """Write what belongs at the end; the file stays open."""


class CsvWriter:
    """RFC 4180 with a header line, UTF-8.

    A text that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV
    Injection"); `leaf`, which proofs need byte for byte, always begins with a brace.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._write_lines([COLUMNS])

    def write(self, rows: Sequence[Row]) -> None:
        """Write a batch."""
        self._write_lines([[harmless(cell) for cell in row] for row in rows])

    def close(self) -> None:
        """Write nothing: a CSV file has no end."""

    def _write_lines(self, lines: Sequence[Sequence[Any]]) -> None:
        self._file.write(written(lines))


class ParquetWriter:
    """One row group for each batch, zstd; the file's footer grows by three kilobytes a group.

    `at` is a time stamp in UTC, null where pruned.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._arrow, parquet = parquet_library()
        kinds = {name: self._arrow.string() for name in COLUMNS}
        kinds |= {name: self._arrow.int64() for name in _NUMBERS}
        kinds[_TIME] = self._arrow.timestamp("us", tz="UTC")
        self._schema = self._arrow.schema([(name, kinds[name]) for name in COLUMNS])
        self._writer = parquet.ParquetWriter(
            self._arrow.PythonFile(file, mode="w"), self._schema, compression="zstd"
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Write a batch."""
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)] or [()] * len(COLUMNS)
        at = COLUMNS.index(_TIME)
        columns[at] = [datetime.fromisoformat(one) if one else None for one in columns[at]]
        arrays = [
            self._arrow.array(column, type=field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def parquet_library() -> tuple[Any, Any]:
    """Load pyarrow at its first use: it costs 50 MB, which only exporting processes pay.

    Raises:
        kernel.errors.NotAcceptable: it is not installed (extra ``parquet``).
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise NotAcceptable("Parquet needs the extra `parquet`.", code="no_parquet") from error


class Counted:
    """A file that is written once, in order, and may be asked where it stands; pyarrow needs that.

    Every byte goes to `sink` and into the digest.
    """

    def __init__(self, sink: BinaryIO, digest: Any) -> None:
        self._sink, self._digest, self._at, self.closed = sink, digest, 0, False

    def write(self, data: Any) -> int:
        """Write, hash and count."""
        content = bytes(data)
        self._digest.update(content)
        self._sink.write(content)
        self._at += len(content)
        return len(content)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Do nothing: nothing is held back here."""

    def close(self) -> None:
        """Note that the writer has ended; the sink stays open."""
        self.closed = True

    def readable(self) -> bool:
        """Tell that it cannot be read."""
        return False

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def seekable(self) -> bool:
        """Tell that it cannot be rewound."""
        return False

    def as_file(self) -> BinaryIO:
        """Return itself as the type that writers ask for."""
        return cast(BinaryIO, self)


FORMS: Final[dict[str, type[CsvWriter] | type[ParquetWriter]]] = {
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}
