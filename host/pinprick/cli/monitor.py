"""`pinprick monitor`: a connected pen, watched and held. Host only."""

import time
from typing import Annotated

import typer

from pencore import wire
from pinprick.cli.following import HELP, KEYS, LEAVE, LEAVE_HELP, Follower
from pinprick.cli.live import SessionView, zone_views
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.pens import PortOption, SerialNumberOption, TimeoutOption, connected
from pinprick.cli.status_picture import sent_profile
from pinprick.device import Pen, PenFault
from pinprick.errors import NOT_REACHED, USAGE, InputError, PinprickError
from pinprick.profiles.units import counted
from pinprick.sent import SentProfiles

_STATES = {name.lower(): state for state, name in enumerate(wire.STATE_NAMES) if state != wire.BOOT}
_AT_REST = (wire.BOOT, wire.SAFE, wire.FAULT)


def monitor(
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0.0, show_default=False, help="Watch for so long, then end."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="STATE",
            show_default=False,
            help=f"End when the pen is, or goes, in this state: {', '.join(_STATES)}.",
        ),
    ] = None,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Watch a connected pen, whatever its state, and keep an armed one's lease.

    On a terminal it draws a live picture and takes keys: space or s stops the pen, p pauses, n chooses the next zone, f
    (twice) finishes the session, ? explains them, q leaves while the driver is off. **Ctrl-C stops the pen first and
    ends then**, with exit code 1 (OPERATOR_STOP): the pen does nothing more until `pinprick clear`. A SIGTERM does the
    same.

    It ends by itself, with exit code 0, when a session is over and the pen is SAFE, after `--for` and at `--until`. A
    fault stays on the screen until somebody leaves, with exit code 1. Where there is no terminal each change of state
    or zone is a line, and a fault ends the command. A connection that is lost ends it with exit code 3.

    With `--json` each line is an event: `status` (once), `state`, `telemetry`, `fault`, `zone`; the last is the result.
    With both `--for` and `--until`, a state not reached in time is exit code 1.
    """
    with reporting(json_lines) as out:
        target = None if until is None else _state(until)
        with connected(port, serial_number, timeout) as pen:
            _Monitor(out, pen, target, seconds).run()


def _state(name: str) -> int:
    state = _STATES.get(name.lower())
    if state is None:
        message = f"{name} is not a state of a pen."
        raise InputError(USAGE, message, field="--until", given=name, hint=f"Known: {', '.join(_STATES)}.")
    return state


class _Monitor:
    """One watch over a pen, until `target` (a state, or None) or for `seconds`."""

    def __init__(self, out: Output, pen: Pen, target: int | None, seconds: float | None) -> None:
        self._out = out
        self._pen = pen
        self._target = target
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._view = _view(pen)
        self._follower = Follower(out, pen, self._view, self._go_on)

    def run(self) -> None:
        """Watch; raises what the command ends with when that is no success."""
        view, follower = self._view, self._follower
        with follower.attached():
            follower.follow(self._ended)
        self._out.result(serial=self._pen.info.serial, state=wire.STATE_NAMES[view.state], counted=view.counted)
        reached = self._target in follower.reached
        if self._target is not None and not reached and not follower.left and view.state != wire.FAULT:
            name = wire.STATE_NAMES[self._target]
            message = f"The pen did not get to {name} in time; it is {wire.STATE_NAMES[view.state]}."
            hint = "`pinprick status` says more of it."
            raise PinprickError(NOT_REACHED, message, field="--until", given=name, hint=hint)
        if view.state == wire.FAULT and not reached:
            raise PenFault(view.fault)

    def _ended(self) -> bool:
        view, follower = self._view, self._follower
        if self._target in follower.reached:
            return True
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return True
        if view.state == wire.FAULT:
            # The answer to `status` says which fault it is.
            return not follower.drawn and view.fault != 0
        over = view.state == wire.SAFE and any(state not in _AT_REST for state in follower.reached)
        return over and self._target is None

    def _go_on(self) -> str:
        left = sum(zone.left for zone in self._view.zones)
        if not left:
            return "`pinprick clear` leaves the stop; `pinprick records pull` fetches the records."
        return f"`pinprick clear`, then `pinprick arm` and `pinprick monitor` go on: {counted(left, 'stroke')} left."


def _view(pen: Pen) -> SessionView:
    """Return the view of whatever session the pen has; its zones have names when this computer sent the profile."""
    status = pen.status()
    profile = sent_profile(pen, status, SentProfiles())
    title = "Pen" if profile is None else profile.name
    zones = [] if profile is None else zone_views(profile, pen.info.bounds())
    view = SessionView(title, f"{pen.info.serial or 'no serial number'} on {pen.port}", zones)
    view.keys, view.help_lines = (*KEYS, LEAVE), (*HELP, LEAVE_HELP)
    # The first picture, too, shows the pen as it is.
    view.told(status)
    return view
