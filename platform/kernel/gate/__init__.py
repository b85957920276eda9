"""The gate: the one place where a request is admitted or refused, in one round trip.

``gate.admit`` and ``gate.verify`` (kernel/sql/gate.sql) resolve the key, its state, the tenant's
state, the address list, permissions, features and exact limits, all or nothing, and count. The
kernel owns schema ``gate``; apps project their rows into it (:mod:`kernel.gate.projection`) in the
transaction of their own change. Design: docs/adr/0081.
"""
