"""Loaded by pytest before Django's settings: a home of its own, nobody's database.

The home (signing keys, peppers, demo facts) is shared by all processes of one run, and the
variables reach every server that a test starts.
"""

import atexit
import os
import shutil
import tempfile

if "INNKEEPER_TEST_RUN" not in os.environ:
    os.environ["INNKEEPER_TEST_RUN"] = tempfile.mkdtemp(prefix="innkeeper-home-")
    atexit.register(shutil.rmtree, os.environ["INNKEEPER_TEST_RUN"], ignore_errors=True)
os.environ["INNKEEPER_HOME"] = os.environ["INNKEEPER_TEST_RUN"]
os.environ["INNKEEPER_LOG_LEVEL"] = "warning"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
for name in ("DATABASE_URL", "INNKEEPER_DB_SOCKET", "INNKEEPER_DB_NAME", "SECRET_KEY"):
    os.environ.pop(name, None)
