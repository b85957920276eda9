"""Lists as PostgreSQL array literals, many times faster than the driver's own encoding.

msgspec writes a JSON array in C. A JSON array of strings becomes PostgreSQL's literal by changing
its brackets, because both quote with double quotes and escape ``"`` and the backslash alike. Only
escapes of control characters differ; lists that hold any take the slower way.
"""

from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def array(values: list[Any]) -> bytes:
    """Write a list of str, datetime, UUID or None as an array literal; datetimes must be aware."""
    encoded = _encode(values)
    if b"\\" in encoded and b"\\" in encoded.replace(b"\\\\", b"").replace(b'\\"', b""):
        return ("{" + ",".join(map(_quoted, values)) + "}").encode()
    return b"{" + encoded[1:-1] + b"}"


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    text = value if isinstance(value, str) else msgspec.to_builtins(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
