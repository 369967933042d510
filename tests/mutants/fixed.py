"""The twenty bugs that every `make check` plants: for each invariant of the pen some, in each module that decides over
depth, count, consent and records, and in the programs of both PIO blocks; found by tests that are quick.
"""

FIXED: dict[str, tuple[str, ...]] = {
    # depth
    "I1": (
        "the provisioned cap loosens the absolute one",
        "no table is audited",
        "the depth guard lets one step more",
    ),
    # count
    "I2": ("a stroke that was not reserved is counted and let pass", "a count may go back"),
    # consent
    "I3": ("a release that nobody saw whole counts", "a paused pen needs no host"),
    # refusal
    "I4": ("a depth may pass its limit by one um", "a flipped bit in the provisioning is believed"),
    # safe state
    "I5": ("a stop only pauses a burst", "stop is refused while homing", "strokes go on while the driver is off"),
    # a hung CPU
    "I6": ("three strokes are queued",),
    # records
    "I7": ("a changed record is read as whole", "records are acknowledged in any order"),
    # the closed port
    "I8": ("what lies on flash stands in for MicroPython's modules",),
    # once
    "I9": ("another pen's profile is taken", "a cartridge that was not changed is armed with"),
    # flash
    "I10": ("a write asks nobody where the needle is",),
    # time
    "I11": ("the time may go back",),
}
"""Invariant -> names of bugs."""
