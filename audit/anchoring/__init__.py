"""Anchors of the log of heads with others: time stamps of an authority, cosignatures of witnesses.

One note an hour, or every five minutes, fixes the states of all logs. A service of the worker of
its own does it: what an anchor does or fails to do never holds up the sealing.
"""
