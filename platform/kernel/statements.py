"""Prepared statements, below psycopg's connection: one alone, or one message with COMMIT."""

import select
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg import pq

_COMMIT: Final = "COMMIT"


def prepared(raw: Any, name: str, sql: str) -> bytes:
    """Prepare a statement on the connection at its first use; return its name there."""
    known: dict[str, bytes] = raw.__dict__.setdefault("_innkeeper_prepared", {})
    short = known.get(name)
    if short is None:
        short = f"innkeeper_{len(known)}".encode()
        checked(raw.pgconn.prepare(short, sql.encode()))
        known[name] = short
    return short


def checked(result: pq.abc.PGresult) -> pq.abc.PGresult:
    """Return a result that is none of a fault.

    Raises:
        psycopg.Error: what the server refused.
        psycopg.OperationalError: the connection is lost.
    """
    if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        return result
    raise _fault(result)


def _fault(result: pq.abc.PGresult) -> psycopg.Error:
    """Name what a result tells. A server that refuses says by which rule (SQLSTATE); where nobody
    says so, libpq speaks for a server that is gone."""
    if result.error_field(pq.DiagnosticField.SQLSTATE) is None:
        return psycopg.OperationalError(pq.error_message(result))
    return psycopg.errors.error_from_result(result)


def run_and_commit(
    raw: Any, name: str, sql: str, values: Sequence[pq.abc.Buffer | None], binary: bool
) -> None:
    """Run a prepared statement and COMMIT, sent together and answered together.

    Where no transaction is open, BEGIN goes along. If the statement fails the server skips the
    COMMIT, and the transaction waits for its ROLLBACK. psycopg finds the connection idle
    afterwards: its own commit() then sends nothing.

    Raises:
        psycopg.Error: the statement was refused, or the commit (a deferred constraint).
    """
    pgconn = raw.pgconn
    short, commit = prepared(raw, name, sql), prepared(raw, _COMMIT, _COMMIT)
    begin = pgconn.transaction_status == pq.TransactionStatus.IDLE
    formats = [pq.Format.BINARY] * len(values) if binary else None
    pgconn.enter_pipeline_mode()
    try:
        if begin:
            pgconn.send_query_params(b"BEGIN", None)
        pgconn.send_query_prepared(short, values, formats)
        pgconn.send_query_prepared(commit, None)
        pgconn.pipeline_sync()
        fault = _answers(pgconn)
        pgconn.exit_pipeline_mode()
    except BaseException:
        pgconn.finish()  # half an answer: nothing else may be read from this connection
        raise
    if fault is not None:
        raise _fault(fault)


def _answers(pgconn: Any) -> pq.abc.PGresult | None:
    """Read all answers up to the end of the message; return the first fault."""
    fault: pq.abc.PGresult | None = None
    for result in results(pgconn):
        if result.status == pq.ExecStatus.FATAL_ERROR and fault is None:
            fault = result
    return fault


def results(pgconn: Any) -> Iterator[pq.abc.PGresult]:
    """Go through the answers to one message of a pipeline.

    psycopg's get_result() waits with the interpreter's lock in its hand, so that no thread of the
    process runs until the disk has answered a COMMIT: wait for the socket instead.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    answered = select.poll()
    answered.register(pgconn.socket, select.POLLIN)
    while True:
        while pgconn.is_busy():
            answered.poll()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            if pgconn.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection was lost in the commit")
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return
        elif result.status != pq.ExecStatus.PIPELINE_ABORTED:
            yield result
