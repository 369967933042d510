"""Following a pen while somebody works with it: what `pinprick monitor` and `pinprick run` share. Host only.

Three sources meet in one queue: what the pen says, the keys that are pressed, what became of a stop. One thread, the
main one, takes them out, asks the pen how far it is, and says what changed: by the picture on a terminal, line by line
elsewhere, as events for a program. A stop takes no part in this: it goes out in the thread that heard of it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from queue import Empty, SimpleQueue

from pencore import faults, wire
from pinprick import wording
from pinprick.cli import keys_pressed, pictures
from pinprick.cli.live import DRIVEN, SessionView, watching
from pinprick.cli.output import Output, printable
from pinprick.cli.stopping import UNCONFIRMED, Stopper, stopping_on_signals
from pinprick.device import FaultNotice, Pen, PenFault, PenRefused, StateChange, Telemetry, Update
from pinprick.errors import PEN_RESTARTED, PEN_SILENT, NoDevice, PinprickError, code_name
from pinprick.profiles.units import counted, mm

KEYS = (("space/s", "stop"), ("p", "pause"), ("n", "next zone"), ("f", "finish"), ("?", "help"))
LEAVE = ("q", "leave")
"""The keys, in short; LEAVE where there is something to leave."""
NO_KEYS = (("Ctrl-C", "stop"),)
HELP = (
    ("space, s", "Stop the pen at once, whatever it is doing. It then does nothing until `pinprick clear`."),
    ("Ctrl-C", "Stop the pen at once and end this command."),
    ("p", "Pause: the stroke in progress is finished; a fresh press of the trigger goes on."),
    ("n", "Make the next zone with strokes left the one at work. Let go of the trigger first."),
    ("f", "Finish, pressed twice: the pen seals the session, and what is left of it is given up."),
    ("?", "Back to the picture."),
)
LEAVE_HELP = ("q", "Leave, while the driver is off. The pen stays as it is.")
_ASK_S = 1.0
_ASK_RESTING_S = 0.4
"""How often the pen is asked for its status: at rest it says nothing by itself."""
_WAKE_S = 0.2
_TWICE_S = 4.0
_HINT_S = 6.0
"""How long the answer to a key is shown."""
_WAITING_MOST = 1000
_STOP_SEEN_S = 8.0
_STUCK_S = 2.0
"""An armed pen is held only while the main thread asks it something at least this often; it does so every second."""
_END_S = 5.0
"""How long after a stop by a signal the main thread may take to end."""

Event = Update | str | PinprickError | None
"""An update of the pen, a key, or what became of a stop."""


class Notes:
    """What there is to say beside the picture, for as long as it holds.

    `alarm` is a stop that nobody confirms: it goes before all else, until the pen is known to have stopped.
    """

    def __init__(self) -> None:
        self.alarm = ""
        self._standing = ""
        self._state: int | None = None
        self._passing = ""
        self._passes_at = 0.0

    def stand(self, text: str, state: int) -> None:
        """Say what holds until the pen leaves this state."""
        self._standing, self._state = text, state
        self._passing = ""

    def pass_by(self, text: str, for_s: float) -> None:
        """Say something for so long; then what stands is said again."""
        self._passing = text
        self._passes_at = time.monotonic() + for_s

    def clear(self) -> None:
        """Take back all but an alarm."""
        self._standing = self._passing = ""

    def heard(self, state: int) -> None:
        """Take in the pen's state."""
        if state != self._state:
            self.clear()
            self._state = state
        if state == wire.FAULT:
            self.alarm = ""

    def text(self) -> str:
        """Return what is to be said now."""
        if self._passing and time.monotonic() >= self._passes_at:
            self._passing = ""
        return self.alarm or self._passing or self._standing


class Follower:
    """Follows `pen` and keeps `view` true to it. `go_on` says, for people, how to go on once the pen was stopped.

    `why` is the code of the last change of state, `reached` the states seen so far, `left` whether somebody pressed q.
    """

    def __init__(self, out: Output, pen: Pen, view: SessionView, go_on: Callable[[], str]) -> None:
        self._out = out
        self._pen = pen
        self._view = view
        self._go_on = go_on
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._stopper = Stopper(pen, self._stop_ended)
        self._actions: Mapping[str, Callable[[], None]] = {
            "p": self._pause,
            "n": self._choose_next,
            "f": self._finish,
            "q": self._leave,
        }
        self._notes = Notes()
        self._ask_at = 0.0
        self._finish_until = 0.0
        self._said: tuple[int, int | None] | None = None
        self._began = time.monotonic()
        self.drawn = False
        self.why = 0
        self.reached: set[int] = set()
        self.left = False

    # --- from its beginning to its end -------------------------------------------------------------------------------
    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hear the pen, keys and signals, and show the view, until the block ends."""
        if not keys_pressed.available():
            self._view.keys, self._view.help_lines = NO_KEYS, ()
        end = self._pen.listen(self._hear)
        self._pen.hold_while_asked(_STUCK_S)
        try:
            with (
                stopping_on_signals(self._stopper),
                watching(self._out, self._view) as self.drawn,
                keys_pressed.following_keys(self._pressed),
            ):
                if not self.drawn:
                    keys = ", ".join(f"{key}: {what}" for key, what in self._view.keys)
                    self._out.say(f"Keys: {keys}.", style="dim")
                try:
                    yield
                except PinprickError as error:
                    self._view.lost = isinstance(error, NoDevice) or error.code == PEN_RESTARTED
                    raise
                finally:
                    # What stays on the screen is how far it got.
                    self._view.helping = False
                    self._view.ended = True
        except KeyboardInterrupt:
            # Only a second Ctrl-C raises it: the stop was sent before.
            if not self._stopper.by_signal.is_set():
                raise
            raise self._outcome() from None
        finally:
            end()

    def follow(self, ended: Callable[[], bool]) -> None:
        """Take in what happens until `ended`, which is asked after everything that happens, or until somebody leaves.

        Raises NoDevice when the pen is lost, PinprickError PEN_RESTARTED when it was reset, and, after a stop by
        Ctrl-C, PinprickError OPERATOR_STOP or what went wrong with it.
        """
        self.ask()
        while True:
            if self._stopper.by_signal.is_set():
                self._end_stopped()
            if ended() or self.left:
                # What has been heard by now is told, too.
                self._take(0)
                return
            self._take(_WAKE_S)
            if time.monotonic() >= self._ask_at:
                self.ask()

    def ask(self) -> None:
        """Ask the pen how far it is, and say what is new."""
        status = self._pen.status()
        first = not self.reached
        self._view.told(status)
        self._notes.heard(status.state)
        self._show_note()
        self.reached.add(status.state)
        resting = status.state not in DRIVEN
        self._ask_at = time.monotonic() + (_ASK_RESTING_S if resting else _ASK_S)
        if first:
            self._out.event(
                "status",
                state=wire.STATE_NAMES[status.state],
                fault=status.fault,
                session=status.session_id,
                resumed=status.resumed,
                zone=status.zone,
                zones=[
                    {"zone": zone.name, "set_um": zone.set_um, "made": zone.made}
                    | {"forfeited": zone.forfeited, "left": zone.left, "budget": zone.budget}
                    for zone in self._view.zones
                ],
            )
        self._say_line()

    def _end_stopped(self) -> None:
        """Wait for what became of the stop that a signal asked for, and raise it."""
        deadline = time.monotonic() + _STOP_SEEN_S
        while not self._stopper.ended.is_set() and time.monotonic() < deadline:
            self._take(_WAKE_S)
        self._take(0)
        if self._stopper.ended.is_set() and self._stopper.error is None:
            # It has stopped, whatever comes of asking how far it got.
            with suppress(PinprickError):
                self.ask()
        raise self._outcome()

    def _outcome(self) -> PinprickError:
        """Return what became of the stop that a signal asked for."""
        error = self._stopper.error
        if not self._stopper.ended.is_set():
            error = NoDevice(PEN_SILENT, f"The pen at {self._pen.port} does not answer.", field="--port")
        if error is None:
            return PinprickError(faults.OPERATOR_STOP, wording.of(faults.OPERATOR_STOP).what, hint=self._go_on())
        error.hint = error.hint or UNCONFIRMED
        return error

    def _stop_ended(self, by_signal: bool, error: PinprickError | None) -> None:
        """Take in what became of a stop; in a thread of its own."""
        if by_signal:
            # Somebody may have stopped reading what the main thread writes.
            self._out.end_within(_END_S, PinprickError.exit_code if error is None else error.exit_code)
        self._events.put(error)

    # --- what is heard -----------------------------------------------------------------------------------------------
    def _hear(self, update: Update) -> None:
        """Take in what the pen says; in the thread that reads."""
        view = self._view
        if isinstance(update, Telemetry):
            moved = update.zone != view.zone
            view.heard(update)
            if not moved and not self._out.json_lines:
                return
            if self._events.qsize() > _WAITING_MOST:
                # Whoever reads our lines is too slow for them; the next ones say the same.
                return
        self._events.put(update)
        if isinstance(update, StateChange):
            # Whoever sees the new state finds the news of it in the queue.
            view.state = update.state
            view.heard_at = time.monotonic()

    def _pressed(self, key: str) -> None:
        """Take a key; in the thread that reads them. A stop goes out from here."""
        if key in (" ", "s"):
            self._stopper.stop()
        else:
            self._events.put(key)

    def _take(self, wait_s: float) -> None:
        """Take in all that waits, the first for up to `wait_s`."""
        with suppress(Empty):
            event = self._events.get(timeout=wait_s)
            while True:
                self._take_in(event)
                event = self._events.get_nowait()
        self._show_note()

    def _take_in(self, event: Event) -> None:
        view = self._view
        if isinstance(event, str):
            if not self._stopper.by_signal.is_set():
                self._press(event)
        elif event is None or isinstance(event, PinprickError):
            alarm = "" if event is None else f"{event.message} {event.hint or wording.of(event.code).client}"
            self._notes.alarm = alarm
            self._ask_at = 0.0
        elif isinstance(event, Telemetry):
            self.reached.add(event.state)
            fields = asdict(event) | {"state": wire.STATE_NAMES[event.state]}
            self._out.event("telemetry", **fields)
            self._say_line()
        elif isinstance(event, StateChange):
            self.reached.add(event.state)
            self.why = event.code
            view.fault = event.code if event.state == wire.FAULT else 0
            # The newest one: what is said meanwhile is not taken back for one that came before it.
            self._notes.heard(view.state)
            self._ask_at = 0.0
            self._out.event("state", state=wire.STATE_NAMES[event.state], **_coded(event.code))
        elif isinstance(event, FaultNotice):
            self._ask_at = 0.0
            self._out.event("fault", **_coded(event.code), aux=event.aux)

    def _say_line(self) -> None:
        """Say, where there is no picture, what changed: state or zone."""
        view = self._view
        now = (view.state, view.zone)
        if self.drawn or self._out.json_lines or now == self._said:
            return
        self._said = now
        words = [pictures.duration(time.monotonic() - self._began).rjust(6), f"{wire.STATE_NAMES[view.state]:<8}"]
        zone = view.at_work
        if zone is not None and view.state in DRIVEN:
            words.append(zone.name)
            words += [] if zone.set_um is None else [f"{mm(zone.set_um)} set, {mm(zone.limit_um)} limit"]
            words.append(f"{zone.made:,} of {counted(zone.budget, 'stroke')} made, {zone.left:,} left")
        elif view.zones:
            words.append(f"{view.counted:,} of {counted(view.budget, 'stroke')} counted")
        if self.why and view.state in (wire.LOADED, wire.PAUSED, wire.FAULT):
            words.append(f"{code_name(self.why)} {self.why}")
        self._out.say(printable("  ".join(words)))

    # --- what is wanted ----------------------------------------------------------------------------------------------
    def _press(self, key: str) -> None:
        view = self._view
        if key == "?":
            view.helping = not view.helping
            return
        action = self._actions.get(key)
        if action is None or (key == "q" and LEAVE not in view.keys):
            return
        try:
            action()
        except (PenRefused, PenFault) as refused:
            self._hint(refused.message)
        self._ask_at = 0.0

    def say(self, text: str) -> None:
        """Say something loudly: in the picture, as long as the pen stays in its state, or as a line."""
        self._notes.stand(text, self._view.state)
        self._tell(text)

    def _hint(self, text: str, for_s: float = _HINT_S) -> None:
        """Answer a key: in the picture, for so long, or as a line."""
        self._notes.pass_by(text, for_s)
        self._tell(text)

    def _tell(self, text: str) -> None:
        self._show_note()
        if not self.drawn:
            self._out.say(printable(text), style="bold")

    def _show_note(self) -> None:
        self._view.note = self._notes.text()

    def _pause(self) -> None:
        if self._view.state == wire.RUNNING:
            self._pen.pause()
        else:
            self._hint("There is nothing to pause: no strokes are being made.")

    def next_zone(self) -> int | None:
        """Return the index of the next zone with strokes left, after the one at work and then from the first; None for
        none but that one.
        """
        view = self._view
        count = len(view.zones)
        at = -1 if view.zone is None else view.zone
        order = [(at + 1 + step) % count for step in range(count)]
        return next((index for index in order if index != at and view.zones[index].left > 0), None)

    def select(self, index: int) -> None:
        """Make a zone the one at work, and say loudly which."""
        self._pen.zone_select(index)
        self.why = 0
        zone = self._view.zones[index]
        depth = "" if zone.set_um is None else f", {mm(zone.set_um)}"
        self._out.event("zone", zone=index, name=zone.name, set_um=zone.set_um, left=zone.left)
        self.say(f"NEXT ZONE: {zone.name}{depth}. Let go of the trigger, move there, press.")
        if self.drawn:
            self._out.console.bell()
        self._ask_at = 0.0

    def _choose_next(self) -> None:
        if self._view.state not in (wire.ARMED, wire.PAUSED):
            self._hint("Let go of the trigger first: the zone changes at home.")
            return
        index = self.next_zone()
        if index is None:
            self._hint("No other zone has strokes left.")
            return
        self.select(index)

    def _finish(self) -> None:
        view = self._view
        if view.state not in (wire.LOADED, wire.ARMED, wire.PAUSED):
            running = view.state == wire.RUNNING
            self._hint("Let go of the trigger first." if running else "There is nothing to finish now.")
            return
        if time.monotonic() > self._finish_until:
            self._finish_until = time.monotonic() + _TWICE_S
            left = counted(sum(zone.left for zone in view.zones), "stroke")
            self._hint(f"Press f once more to seal the session; {left} left will be given up.", _TWICE_S)
            return
        self._notes.clear()
        self._pen.finish(wait=False)

    def _leave(self) -> None:
        if self._view.state in DRIVEN:
            self._hint("The driver is on: stop the pen, or finish the session.")
        else:
            self.left = True


def _coded(code: int) -> dict[str, object]:
    return {"code": code, "name": code_name(code) if code else None}
