"""The pen's states in words: what each means, and what a pen in it does when nobody talks to it any more. Host only."""

from pencore import wire

MEANING = {
    wire.BOOT: "starting",
    wire.SAFE: "safe: no session, driver off",
    wire.LOADED: "session loaded, driver off",
    wire.HOMING: "homing",
    wire.ARMED: "armed: a press of its trigger starts strokes",
    wire.RUNNING: "making strokes",
    wire.PAUSED: "paused: a fresh press of its trigger goes on",
    wire.SEALING: "sealing the session's record",
    wire.FAULT: "stopped: it does nothing until it is cleared",
}
"""State -> what it means."""

ALONE = {
    wire.SAFE: "It stays as it is, driver off.",
    wire.LOADED: "It stays as it is, driver off, session loaded.",
    wire.HOMING: "Hearing nothing, it finishes homing and then switches its driver off by itself, within two seconds.",
    wire.ARMED: "Hearing nothing, it switches its driver off by itself, within two seconds; the session stays loaded.",
    wire.RUNNING: "Hearing nothing, it finishes its stroke, draws the needles in and switches its driver off by "
    "itself, within two seconds; the session stays loaded.",
    wire.PAUSED: "Hearing nothing, it switches its driver off by itself, within two seconds; the session stays loaded.",
    wire.SEALING: "It goes on sealing the record by itself.",
    wire.FAULT: "It stays stopped, driver off.",
}
"""State -> what a pen in it does by itself. Whoever sees BOOT has not heard of the pen's state."""


def alone(state: int) -> str:
    """Return a sentence on what a pen last heard of in `state` does by itself; "" when nothing was heard."""
    doing = ALONE.get(state)
    return f"The pen was {wire.STATE_NAMES[state]} when last heard of. {doing}" if doing else ""
