"""The WSGI application: ``config.wsgi:application``, for granian, gunicorn and others."""

import gc
import os

from django.conf import settings
from django.core import checks
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

from config.cores import keep_to_one

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Threads stay where the one that starts them was: before there are any.
if settings.INNKEEPER_OWN_CORE:
    keep_to_one(settings.INNKEEPER_HOME / "run" / "cores")

_django = get_wsgi_application()
# An undeclared route does not start: kernel.E001, kernel.E002.
if faults := checks.run_checks(tags=[checks.Tags.urls]):
    raise SystemExit("\n".join(str(fault) for fault in faults))

# By name: endpoints can be imported only after Django has loaded the apps.
application = import_string("config.lane.mount")(_django)

# The first look comes before the first request: a worker that has not looked would say 503.
_watcher = import_string("kernel.health.watcher")
_watcher.look()
_watcher.start()

# What start-up made lives for ever: keep the collector from walking it in requests.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 10, 10)
