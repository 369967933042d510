"""The bits that ports hand over: levels of the inputs, state of the engine. Runs on the pen and in the simulator.

Numbers only, so that the board, the simulator and the logic share them; what the ports promise is in `pencore.ports`.
"""

from pencore.compat import const

# --- inputs: bits of Inputs.read() -----------------------------------------------------------------------------------
TRIGGER = const(1)
"""The pen's trigger is down."""
STOP = const(2)
"""The stop line is open: button pressed or wire broken."""
CARTRIDGE = const(4)
"""The cartridge switch is closed: a cartridge is seated."""
HOME = const(8)
"""The home sensor sees the carriage (a broken wire reads as not home)."""
SERVICE = const(16)
"""The service button is held."""

# --- engine: bits of Engine.poll() and of StrokeEvidence.flags -------------------------------------------------------
IDLE = const(1)
"""No motion and nothing queued."""
ENABLED = const(2)
"""The guards hold the driver's enable on."""
TRIP_DEPTH = const(16)
"""The depth guard cut the driver: net extension reached its limit + 1 step."""
TRIP_COUNT = const(32)
"""The count guard cut the driver: a stroke began that was not allowed for."""
TRIP_STOP = const(64)
"""The stop guard cut the driver: the stop line opened."""
HOME_WAIT = const(128)
"""The stroke program has waited over 50 ms for the home sensor before a queued stroke."""
DRIVER_RESET = const(256)
"""The motor driver has been reset or written by nobody of ours since `arm`."""
DRIVER_FAULT = const(512)
"""The motor driver reports over-temperature, short, or does not answer."""
