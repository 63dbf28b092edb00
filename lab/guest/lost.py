"""The error that says a guest is gone; raised by the machine and by the channel to its agent."""

from lab.errors import LabError


class GuestLost(LabError):  # noqa: N818 - it says what became of the guest
    """The guest is gone or unreachable: why, as far as known, in `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the guest is lost: {reason}")
        self.reason = reason

    def again(self) -> "GuestLost":
        """The same error to be raised once more: each thread raises one of its own."""
        return type(self)(self.reason)


class HostFault(GuestLost):
    """The guest was stopped because the host failed it; neither guest nor module is at fault."""
