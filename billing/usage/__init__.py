"""Usage: events, meters, roll-ups. The lowest package of billing: it imports none of the others."""
