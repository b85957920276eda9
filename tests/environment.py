"""Loaded by pytest before Django's settings: a home of its own, nobody's database.

Each process of a run has a home of its own, beside its database; the variables reach every
server that a test starts.
"""

import atexit
import os
import shutil
import tempfile

if "INNKEEPER_TEST_RUN" not in os.environ:
    os.environ["INNKEEPER_TEST_RUN"] = tempfile.mkdtemp(prefix="innkeeper-home-")
    atexit.register(shutil.rmtree, os.environ["INNKEEPER_TEST_RUN"], ignore_errors=True)
# A home belongs to one database: its keys, spool and published notes describe that one.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["INNKEEPER_HOME"] = os.path.join(os.environ["INNKEEPER_TEST_RUN"], _worker)  # noqa: PTH118
os.environ["INNKEEPER_POOL_SIZE"] = "24"  # tests use more threads than a serving process does
os.environ["INNKEEPER_FAILED_AUTH"] = "1000000000"  # all tests share one client address
os.environ["INNKEEPER_AUDIT_MAX_LAG"] = "1000000000"  # a suite seals only where a test does
os.environ["INNKEEPER_LOG_LEVEL"] = "warning"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
for name in ("DATABASE_URL", "INNKEEPER_DB_SOCKET", "INNKEEPER_DB_NAME", "SECRET_KEY"):
    os.environ.pop(name, None)
