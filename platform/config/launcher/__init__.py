"""``make run``: from a clone to a serving system, in one supervised process.

Order: one launcher per home (``record``), the database server (``kernel.postgres``), migrations
and demo data (``prepare``, in a child of its own), then granian (``server``) and the job worker,
each in its own session (``children``), until a signal or a death ends them all (``launch``).

The demo data's contract: ``manage.py seed_demo --output FILE`` is idempotent. It writes FILE (0600)
as JSON ``{"platform_key": …, "tenants": [{"id", "slug", "plan", "key"}, …], "admin": {"username",
"password"}}``, one tenant for each plan, the enterprise one without burst limit. If FILE exists and
its keys still hold, it is left as it is: keys are shown once, so they must survive here. The
launcher adds ``base_url`` and the admin's ``url``.
"""
