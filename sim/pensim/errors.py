"""What the virtual pen raises towards those who run it. Host only; imports nothing, allocates nothing."""


class PowerCut(BaseException):
    """The supply went away: nothing of the firmware runs on after this.

    No `Exception`, so that no handler of the firmware can catch it and go on working on a dead chip; only the world
    does.
    """


class PortMisuse(Exception):
    """The firmware broke a precondition that a port's contract states; the oracle has noted it too."""
