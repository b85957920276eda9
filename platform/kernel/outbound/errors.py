"""Why a call out came to nothing, in words that may be shown to whoever gave the address."""

from enum import StrEnum


class Fault(StrEnum):
    """The kinds. None says what an address resolved to, or what lives inside our network."""

    ADDRESS_REFUSED = "address_refused"  # the name leads to where we never call
    NAME_UNKNOWN = "name_unknown"  # the name does not resolve
    UNREACHABLE = "unreachable"  # nobody answers, or the connection broke
    TLS = "tls"  # the other side could not prove its name
    TIMEOUT = "timeout"  # the deadline passed
    MALFORMED = "malformed_answer"  # what came back is no answer of the protocol
    TOO_LARGE = "answer_too_large"  # the answer is larger than we read


class OutboundError(Exception):
    """A call that brought no answer. Its text is the fault's code and nothing else."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault
