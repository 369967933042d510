"""What may follow on each kind of fault, for the campaign `events`: written down, so that what else follows is told.

After every fault whatsoever, unless it says otherwise below: the needle stays within the zone's limit (and coasts no
further than a cut in full motion lets it), strokes begin with the consent of the trigger and the lease of a host alone,
none beyond the budget, none that isn't counted, no flash is written in motion, the firmware raises nothing, records
that the host has or that are sealed are what they were; and once the fault is mended and cleared, at the worst after
switching the pen off and on, the practitioner goes on to the end of the session and treats the next client. Host only.
"""

from dataclasses import dataclass

from pencore import faults
from pensim.oracle import DEPTH_LIMIT, NEEDLE_OUT
from tests.support.bench import COAST_MOST_UM


@dataclass(frozen=True)
class After:
    """What follows on a kind of fault. `deeper_um`: how much further it can drive the needle; `allow`: what the oracle
    may tell of; `goes_on`: the pen can be used again, `ends_with`: unless it refuses with one of these; `counts`: it
    still knows every stroke, `keeps`: its records too; `crashes`: the firmware may raise, and is reset by its root;
    `blind_ms`: so long nobody on the chip can know of it; `unasked`: so many strokes may follow on a release.
    """

    deeper_um: float = 0.0
    allow: tuple[str, ...] = ()
    goes_on: bool = True
    counts: bool = True
    keeps: bool = True
    ends_with: tuple[int, ...] = ()
    crashes: bool = False
    blind_ms: int = 0
    unasked: int = 0

    def and_then(self, other: "After") -> "After":
        """Return what may follow on this and another."""
        return After(
            self.deeper_um + other.deeper_um,
            self.allow + other.allow,
            self.goes_on and other.goes_on,
            self.counts and other.counts,
            self.keeps and other.keeps,
            self.ends_with + other.ends_with,
            self.crashes or other.crashes,
            max(self.blind_ms, other.blind_ms),
            self.unasked + other.unasked,
        )


_CYCLE_UM = 80.0
"""What a driver that starts anew in its cycle, or a rotor that slips by one, is worth: eight microsteps of full steps
either way, and the carriage's swing.
"""

MODEL: dict[str, After] = {
    # Behind the pads, where no guard can see it. What one event brings is bounded; the next stroke's homing tells.
    "driver-reset": After(_CYCLE_UM, (DEPTH_LIMIT,)),
    "brown-out": After(_CYCLE_UM, (DEPTH_LIMIT,)),
    "lost-steps": After(_CYCLE_UM, (DEPTH_LIMIT,)),
    "edges-dropped": After(160.0, (DEPTH_LIMIT,)),
    "edges-extra": After(160.0, (DEPTH_LIMIT,)),
    # What was credited is finished, whatever the trigger does: two strokes at most, both reserved.
    "cpu-hang": After(unasked=2),
    # The driver is asked every 40 ms; until it has answered, the pen takes the needle to be where it left it.
    "driver-failed": After(blind_ms=60),
    # A swapped coil drives away from home: no guard on the chip's side can tell, the mechanical stop holds the needle.
    "direction-inverted": After(2600.0, (DEPTH_LIMIT,)),
    # In full motion a motor with half of its torque coasts.
    "weak-motor": After(float(COAST_MOST_UM), (DEPTH_LIMIT,)),
    # Nothing but the spring draws the needles in when the driver is off.
    "broken-spring": After(allow=(NEEDLE_OUT,)),
    # The flash's own cells: what the file system needs may be gone for good, and then the pen says so and stays off.
    "flash-bit-rot": After(goes_on=False, keeps=False),
    "flash-stuck-bit": After(goes_on=False, keeps=False),
    "flash-block-lost": After(goes_on=False, keeps=False),
    "flash-ignores-writes": After(goes_on=False, keeps=False),
    # Raised by the fault itself, in a call of a port.
    "port-raises": After(crashes=True),
    "out-of-memory": After(crashes=True),
    # A bound that is no longer in its range can't be told to a host: the answer to hello raises, and the reset that
    # follows reads the provisioning anew.
    "limit-bit": After(crashes=True),
    # A date that was believed once is a floor for ever, and a jump of more than 45 days needs a signed correction.
    "laptop-clock-wrong": After(ends_with=(faults.TIME_JUMP, faults.TIME_BACK)),
    # All of the flash as it was before: the pen can't know, its host may (row 37 of docs/safety.md).
    "flash-rolled-back": After(goes_on=False, counts=False, keeps=False),
}


def after(kind: str) -> After:
    """Return what may follow on a kind of fault."""
    return MODEL.get(kind, After())
