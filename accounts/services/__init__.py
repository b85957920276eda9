"""Everything that changes people, memberships and keys: one module a noun.

``keys`` (a tenant's own), ``platform_keys`` (the operator's), ``members``, ``staff``.
"""
