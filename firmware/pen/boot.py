"""First of all code that runs after a reset, before USB starts: outputs safe. Runs on the pen, as source.

The pins repeat `pendevice.board`, which is not read before `main` has checked it; a test holds the two equal. Run again
by `main`, with the same effect. Allocates four pins.
"""

import sys

# A folder or a file is taken for most of MicroPython's own modules when it has the name and lies on the path: from here
# on there is no path but the one to the modules inside the image.
sys.path[:] = [".frozen"]

import machine  # noqa: E402  # not before it can only be the chip's own

ENABLE = 5
STEP = 2
DIR = 3
SERVICE = 9
_LOOKS = 50


def outputs_off() -> None:
    """Driver off, whoever had its pin; then STEP and DIR low.

    Words, because no flipped bit makes another of them: a spoilt digit would hold until `main` finds it.
    """
    machine.Pin(ENABLE, machine.Pin.OUT, value=True)
    machine.Pin(STEP, machine.Pin.OUT, value=False)
    machine.Pin(DIR, machine.Pin.OUT, value=False)


def service_held() -> bool:
    """Return whether the service button is held: low in each of so many looks."""
    pin = machine.Pin(SERVICE, machine.Pin.IN, machine.Pin.PULL_UP)
    for _ in range(_LOOKS):
        if pin.value():
            return False
    return True


outputs_off()
