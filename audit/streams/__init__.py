"""Streams: a log sent on as it grows, to a SIEM or to whoever keeps its checkpoints.

A stream reads its logs by leaf index, which has no gaps and no late comers, sends a batch outside
any transaction and then moves its cursor. So every entry arrives at least once, in its log's order.
"""
