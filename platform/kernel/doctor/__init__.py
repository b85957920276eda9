"""The doctor: looks at a deployment and says what is wrong and what to do about it.

Apps may add checks of their own with :func:`register`, in the composition root.
"""

from kernel.doctor.findings import Check, Finding, Verdict
from kernel.doctor.rounds import examine, register

__all__ = ["Check", "Finding", "Verdict", "examine", "register"]
