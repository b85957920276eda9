"""The catalogue: plans, their versions, and the features that a plan can grant. Operator-wide."""
