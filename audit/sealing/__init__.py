"""Gives committed entries their places: per-tenant trees, checkpoints, the heads log, anchors.

Everything here speaks as the database role ``sealer``.
"""
