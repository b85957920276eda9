"""The WSGI application: ``config.wsgi:application``, for granian, gunicorn and others."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

# What start-up made lives for ever: keep the collector from walking it in requests.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 10, 10)
