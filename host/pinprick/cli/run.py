"""`pinprick run FILE`: a whole session with a connected pen, from the file to the saved record. Host only."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pencore import faults, wire
from pencore.profile import decode as decode_profile
from pinprick import wording
from pinprick.cli import keys_pressed
from pinprick.cli.following import HELP, KEYS, Follower
from pinprick.cli.key import keyring_waiting, of_place, signing_told
from pinprick.cli.live import DRIVEN, SessionView, on_terminal, zone_views
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.pens import KeyOption, PortOption, SerialNumberOption, TimeoutOption, connected
from pinprick.cli.record_pictures import record_picture
from pinprick.cli.session import read_profile
from pinprick.device import Loaded, Pen, PenFault, PenRefused
from pinprick.errors import PEN_RESTARTED, USAGE, InputError, NoDevice, PinprickError
from pinprick.keys import find_key
from pinprick.profiles import ProfileFile
from pinprick.profiles.units import counted, mm
from pinprick.records import RecordStore, SavedRecord, describe
from pinprick.sent import SentProfiles

_LET_GO_S = 2.5
_LET_GO_TRIES = 4
_SEALED_S = 10.0
_ASK_S = 0.1
_ONLY_THE_RECORD = (
    "`pinprick records pull` fetches the record: no stroke is to come. If `pinprick status` shows the session still"
    " open, `pinprick finish` first."
)


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile file.", show_default=False, readable=False)],
    key: KeyOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", show_default=False, help="Keep the records here.", readable=False
        ),
    ] = None,
    zone_by_hand: Annotated[
        bool, typer.Option("--zone-by-hand", help="Choose each next zone with the key n, never by itself.")
    ] = False,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Carry out a whole session: load, arm, watch, finish, pull the record.

    The pen's own trigger starts strokes, zone after zone: when one is spent the next with strokes left is chosen and
    named, and waits for a fresh press. When all are spent the pen seals its record, which is pulled, verified, kept
    here and acknowledged. Picture, keys, lines and events are those of `pinprick monitor`; f, pressed twice, finishes
    early.

    **Ctrl-C stops the pen first and ends then**, with exit code 1; so does a SIGTERM. After a stop or a fault
    (`pinprick clear` first), a pause, a lost connection or a power cut, the same command goes on with what is left of
    the session.
    """
    with reporting(json_lines) as output:
        if zone_by_hand and not (on_terminal(output) and keys_pressed.available()):
            message = "Choosing zones by hand needs a terminal with keys."
            raise InputError(USAGE, message, field="--zone-by-hand")
        source = read_profile(file)
        store = RecordStore(out)
        with _resting(output, port, serial_number, timeout) as pen:
            session = _Run(output, pen, store, f"pinprick run {file}", zone_by_hand)
            session.carry_out(source, key)


@contextmanager
def _resting(out: Output, port: str | None, serial_number: str | None, timeout: float | None) -> Iterator[Pen]:
    """Give the pen that is meant, once it is at rest.

    One that an earlier command left armed is made to pause, and left alone until it has switched its driver off: what
    it was armed for is not known here.
    """
    for _ in range(_LET_GO_TRIES):
        with connected(port, serial_number, timeout) as pen:
            if pen.state not in DRIVEN:
                yield pen
                return
            out.say(f"The pen is {wire.STATE_NAMES[pen.state]}, from an earlier command: waiting until it has paused.")
            if pen.state == wire.RUNNING:
                pen.pause()
        time.sleep(_LET_GO_S)
    raise PinprickError(faults.STATE_FORBIDS, "The pen is armed and does not let go.", hint="`pinprick stop` stops it.")


class _Run:
    """One run; `again` is the command line that goes on with it."""

    def __init__(self, out: Output, pen: Pen, store: RecordStore, again: str, by_hand: bool) -> None:
        self._out = out
        self._pen = pen
        self._store = store
        self._again = again
        self._by_hand = by_hand
        self._loaded: Loaded
        self._view: SessionView
        self._follower: Follower

    def carry_out(self, source: ProfileFile, key: Path | None) -> None:
        """Load, arm, follow, pull; raises what the command ends with when that is no success."""
        pen = self._pen
        if pen.state == wire.FAULT:
            raise self._fault(pen.status().fault)
        signing = None if pen.info.open_session else find_key(pen.info.key_id, key, keyring_waiting(self._out))
        with signing_told(signing, key):
            self._loaded = pen.load(source, key=signing, records=self._store, sent=SentProfiles())
        if signing is not None and signing.kept is not None:
            self._out.result(key_kept=signing.kept.how)
            self._out.say(f"Signed with key {signing.key_id}{of_place(signing)}.", style="dim")
        profile = decode_profile(self._loaded.data)
        zones = zone_views(profile, pen.info.bounds())
        self._view = SessionView(profile.name, f"{pen.info.serial} on {pen.port}", zones, keys=KEYS, help_lines=HELP)
        self._view.told(pen.status())
        self._say_loaded()
        self._follower = Follower(self._out, pen, self._view, self._left)
        try:
            with self._follower.attached():
                self._arm()
                self._follower.follow(self._ended)
            self._conclude()
        except PenRefused as refused:
            if refused.code == faults.TRIGGER_HELD:
                refused.hint = f"Let go of the trigger, then start `{self._again}` again."
            raise
        except PinprickError as error:
            if not error.hint and (isinstance(error, NoDevice) or error.code == PEN_RESTARTED):
                error.hint = f"Connect the pen again; then {self._go_on(restarted=error.code == PEN_RESTARTED)}"
            raise

    def _over(self) -> bool:
        """Return whether no stroke is to come: only the record is missing, and another run would be a new session."""
        return wire.SEALING in self._follower.reached or not sum(zone.left for zone in self._view.zones)

    def _go_on(self, *, restarted: bool = False) -> str:
        """Return, for people, how to go on with a pen that was lost, or `restarted`, while it was worked with."""
        view = self._view
        if self._over():
            return _ONLY_THE_RECORD
        if view.counted or wire.RUNNING in self._follower.reached:
            return f"`{self._again}` goes on with what is left."
        # A session begins with its first stroke; without one, a pen without power forgets it, and wants to see the
        # cartridge changed.
        new = f"open and close its cartridge, and `{self._again}` begins anew."
        if restarted:
            return f"{new} No stroke was made, so the pen has forgotten the session."
        return f"`{self._again}` goes on. If the pen was without power meanwhile, {new}"

    def _say_loaded(self) -> None:
        view, loaded = self._view, self._loaded
        left = sum(zone.left for zone in view.zones)
        zones = [{"zone": zone.name, "set_um": zone.set_um, "limit_um": zone.limit_um, "left": zone.left}
                 for zone in view.zones]  # fmt: skip
        self._out.event("loaded", session=loaded.session_id, profile=view.title, resumed=loaded.resumed, zones=zones)
        deepest_um = max(zone.set_um or 0 for zone in view.zones)
        began = f"goes on with session {loaded.session_id}" if loaded.resumed else f"session {loaded.session_id}"
        self._out.say(
            f"{view.title}: {began}, {counted(loaded.zones, 'zone')}, {counted(left, 'stroke')} left, up to"
            f" {mm(deepest_um)}."
        )

    def _arm(self) -> None:
        try:
            self._pen.arm()
        except PenFault:
            # What follows finds the pen stopped, by whomever.
            return
        except PenRefused as refused:
            if refused.code != faults.SESSION_SPENT:
                raise
            self._pen.finish(wait=False)
        else:
            self._follower.say("The pen is armed. Press its trigger to begin.")

    # --- on the way --------------------------------------------------------------------------------------------------
    def _ended(self) -> bool:
        """Return whether the run is over; go on to the next zone when the one at work is spent."""
        view = self._view
        if view.state in (wire.SAFE, wire.LOADED):
            return True
        if view.state == wire.FAULT:
            return view.fault != 0
        zone = view.at_work
        if view.state == wire.PAUSED and zone is not None and zone.done:
            self._go_to_next()
        return False

    def _go_to_next(self) -> None:
        index = self._follower.next_zone()
        if index is None:
            # Nothing is left: the pen is about to seal.
            return
        if self._by_hand:
            if not self._view.note:
                self._follower.say("This zone is spent. Choose the next one: n.")
            return
        # What is asked next says how the pen is.
        with suppress(PenFault, PenRefused):
            self._follower.select(index)
        self._follower.ask()

    def _left(self) -> str:
        """Return, for people, how to go on after a stop."""
        if self._over():
            return f"`pinprick clear`, then {_ONLY_THE_RECORD}"
        left = counted(sum(zone.left for zone in self._view.zones), "stroke")
        return f"{left} left. `pinprick clear`, then `{self._again}` goes on with them, or `pinprick finish`."

    # --- the end -----------------------------------------------------------------------------------------------------
    def _conclude(self) -> None:
        view = self._view
        self._out.result(
            serial=self._pen.info.serial,
            session=self._loaded.session_id,
            state=wire.STATE_NAMES[view.state],
            counted=view.counted,
            budget=view.budget,
        )
        if view.state == wire.FAULT:
            self._keep_sealed()
            fault = self._fault(view.fault)
            if view.fault == faults.OPERATOR_STOP:
                # A key says what Ctrl-C says.
                fault.hint = self._left()
            raise fault
        if view.state == wire.LOADED:
            code = self._follower.why or faults.STATE_FORBIDS
            left = counted(sum(zone.left for zone in view.zones), "stroke")
            raise PinprickError(code, wording.of(code).what, hint=f"`{self._again}` goes on: {left} left.")
        saved = self._pull()
        ours = [each for each in saved if each.record.session == self._loaded.session_id]
        if not ours:
            self._out.say("No stroke was made, so there is nothing to record. The session's number stays free.")
            return
        self._show(ours[0])

    def _pull(self, *, acknowledge: bool = True) -> list[SavedRecord]:
        try:
            return self._pen.pull_records(self._store, acknowledge=acknowledge)
        except InputError as error:
            # The session went well; what was given to this command is not what is wrong.
            hint = f"The record is safe on the pen. {wording.of(error.code).todo} Then: `pinprick records pull`."
            raise PinprickError(error.code, error.message, given=error.given, hint=hint) from None

    def _fault(self, code: int) -> PenFault:
        fault = PenFault(code)
        # Where a fault has ended the session, the same command would begin another one.
        again = "" if code == faults.CARTRIDGE_OPENED else f", then `{self._again}`"
        fault.hint = f"{wording.of(code).todo} On this computer: `pinprick clear`{again}."
        return fault

    def _keep_sealed(self) -> None:
        """Keep the record of a session that its fault has ended: the pen seals it by itself, and stays in FAULT.

        It can't be acknowledged there; the next pull does.
        """
        if self._view.fault != faults.CARTRIDGE_OPENED:
            return
        session = self._loaded.session_id
        deadline = time.monotonic() + _SEALED_S
        gone = False
        while session not in self._pen.record_list()[0]:
            if gone or time.monotonic() > deadline:
                # No stroke was made, so there was nothing to seal.
                return
            time.sleep(_ASK_S)
            gone = not self._pen.status().left
        saved = self._pull(acknowledge=False)
        self._show(next(each for each in saved if each.record.session == session))

    def _show(self, saved: SavedRecord) -> None:
        told = describe(saved.record)
        self._out.event("record", session=saved.record.session, path=saved.path)
        # What the pen told on the way may be a stroke or two old; the record is the whole truth.
        self._out.result(
            counted=saved.record.counted(),
            record=saved.path,
            ended=told["ended"],
            made=told["made"],
            forfeited=told["forfeited"],
            zones=told["zones"],
        )
        self._out.say()
        before = saved.record.session - 1
        follows = (
            f"session {before}; `pinprick records verify` follows the chain"
            if before
            else "nothing: this is the pen's first session"
        )
        for part in record_picture(self._out.console, saved.record, follows):
            self._out.say(part)
        self._out.say(Text.assemble("Kept, verified: ", (str(saved.path), "bold"), overflow="fold"))
