"""`pinprick load arm zone pause finish clear status`: one command, one thing done to a connected pen. Host only; thin.

None of them ever asks a question. A pen that is ARMED wants a word every two seconds and a command ends, so `arm`,
`zone` and `pause` are for scripts that go on within that; `pinprick run` and `pinprick monitor` hold a session.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pencore import faults, wire
from pencore import profile as core
from pinprick import errors
from pinprick.cli import profile_picture, status_picture
from pinprick.cli.key import keyring_waiting, of_place, signing_told
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pens import KeyOption, PortOption, SerialNumberOption, TimeoutOption, connected
from pinprick.device import Loaded, Pen, Status
from pinprick.errors import InputError, ValidationFailed
from pinprick.keys import ClinicKey, find_key
from pinprick.profiles import ProfileFile, load_profile
from pinprick.profiles.units import counted, mm
from pinprick.records import RecordStore
from pinprick.sent import SentProfiles
from pinprick.wording.states import MEANING, alone

_DIGITS_SHOWN = 16

_ZONE_HELP = "Its number as `status` and `profile show` count, from 0, or its name: `cheek left`."
_ZoneWords = Annotated[list[str] | None, typer.Argument(metavar="[ZONE]", help=_ZONE_HELP, show_default=False)]
_OneZone = Annotated[list[str], typer.Argument(metavar="ZONE", help=_ZONE_HELP, show_default=False)]


# --- load -----------------------------------------------------------------------------------------------------------
def load(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A profile file. Not needed with --resume.", show_default=False, readable=False
        ),
    ] = None,
    key: KeyOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with the session that is open; never begin one.")
    ] = False,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Check a profile, fill it in for the pen and its next session, sign it, and have the pen accept it.

    All that is wrong with the file is said at once, and nothing is sent then. The records kept here are compared with
    the pen's memory first. When a session is open, the pen goes on with it if FILE is what began it.
    """
    with reporting(json_lines) as out:
        if file is None and not resume:
            message = "Name a profile file, or add --resume to go on with the open session."
            raise InputError(errors.USAGE, message, field="FILE", hint="See pinprick load --help")
        source = None if file is None else read_profile(file)
        with connected(port, serial_number, timeout) as pen:
            loaded, signing = _load(out, pen, source, key, resume)
            out.result(
                serial=pen.info.serial,
                port=pen.port,
                session=loaded.session_id,
                digest=loaded.digest,
                zones=loaded.zones,
                resumed=loaded.resumed,
                key_id=core.decode(loaded.data).key_id or None,
                key_kept=None if signing is None or signing.kept is None else signing.kept.how,
                profile=core.decode(loaded.data).name,
            )
            _show_loaded(out, pen, loaded, signing)
            if key is not None and not pen.info.key_id:
                out.say(Text(f"The pen wants no signature; {key} was not used.", "yellow"))


def read_profile(file: Path) -> ProfileFile:
    """Return the profile in `file`; an expiry that has passed is for `Pen.load` to judge, which knows whether the
    session began before.
    """
    try:
        return load_profile(file)
    except ValidationFailed as failed:
        if any(problem.code != faults.CARTRIDGE_EXPIRED for problem in failed.problems):
            raise
    return load_profile(file, issued_at=0)


def _load(
    out: Output, pen: Pen, source: ProfileFile | None, key: Path | None, resume: bool
) -> tuple[Loaded, ClinicKey | None]:
    """Return what was loaded, and the key it was signed with just now."""
    sent, records = SentProfiles(), RecordStore()
    if resume and (source is None or not pen.info.open_session):
        # `resume` words the refusal when no session is open.
        pen.check_records(records)
        return pen.resume(sent), None
    assert source is not None
    # What goes on is sent as it was signed: it needs no key.
    signing = None if pen.info.open_session else find_key(pen.info.key_id, key, keyring_waiting(out))
    with signing_told(signing, key):
        return pen.load(source, key=signing, records=records, sent=sent), signing


def _show_loaded(out: Output, pen: Pen, loaded: Loaded, signing: ClinicKey | None) -> None:
    profile = core.decode(loaded.data)
    verb = "Goes on with" if loaded.resumed else "Loaded as"
    signed = (
        f"signed with key {profile.key_id}{of_place(signing)}"
        if profile.key_id
        else "unsigned: the pen wants no signature"
    )
    digest = loaded.digest.hex()[:_DIGITS_SHOWN]
    out.say(Text(f"{verb} session {loaded.session_id} on {printable(pen.info.serial)}, {pen.port}", "bold green"))
    out.say(Text(f"Pen and computer agree on its digest {digest}...; {signed}.", "dim"))
    out.say()
    profile_picture.draw(out, profile, pen.info.bounds())
    if loaded.resumed:
        status = pen.status()
        out.say()
        status_picture.draw(out, pen, status, profile)


# --- the session ----------------------------------------------------------------------------------------------------
def arm(
    zone: _ZoneWords = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the pen is armed, or has refused.")] = True,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Have the pen home and make a zone ready, the first with strokes left when none is named.

    Nothing strokes by that: only the pen's own trigger starts strokes. An armed pen that hears nothing for two seconds
    switches its driver off again, so go on within them, or hold the session with `pinprick run` or `pinprick monitor`.
    """
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        profile_known = status_picture.sent_profile(pen, status := pen.status(), SentProfiles())
        pen.arm(_zone(zone, status, profile_known), wait=wait)
        _show_zone(out, pen, profile_known)


def zone(
    zone_: _OneZone,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Make another zone the one at work, at home; returns when it is ready."""
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        profile_known = status_picture.sent_profile(pen, status := pen.status(), SentProfiles())
        index = _zone(zone_, status, profile_known)
        assert index is not None
        pen.zone_select(index)
        _show_zone(out, pen, profile_known)


def _zone(words: list[str] | None, status: Status, profile: core.Profile | None) -> int | None:
    """Return the index of the zone that `words` name; None for no words. InputError USAGE for one that isn't there."""
    if not words:
        return None
    given = " ".join(words)
    names = [] if profile is None else [name for _, name in _names(profile)]
    if given.isascii() and given.isdigit():
        if not status.left or int(given) < len(status.left):
            return int(given)
        hint = f"Choose 0 to {len(status.left) - 1}."
        message = f"There is no zone {given}: the session has {counted(len(status.left), 'zone')}, counted from 0."
        raise InputError(errors.USAGE, message, field="ZONE", given=given, limit=len(status.left) - 1, hint=hint)
    if given.lower() in names:
        return names.index(given.lower())
    known = f"The zones are: {', '.join(names)}." if names else "Give its number, as `pinprick status` counts."
    why = "" if names else " What zones are called is known only where their profile was sent from."
    message = f"There is no zone {printable(given)}.{why}"
    raise InputError(errors.USAGE, message, field="ZONE", given=given, hint=known)


def _names(profile: core.Profile) -> list[tuple[int, str]]:
    from pencore.limits import zone_name

    return [(index, zone_name(each.area, each.side)) for index, each in enumerate(profile.zones)]


def _show_zone(out: Output, pen: Pen, profile: core.Profile | None) -> None:
    """Say which zone is ready, and that the pen wants to hear more."""
    status = pen.status()
    lines = status_picture.zone_lines(pen.info, status, profile)
    at_work = None if status.zone is None else lines[status.zone]
    out.result(
        serial=pen.info.serial,
        port=pen.port,
        state=wire.STATE_NAMES[status.state],
        zone=None if at_work is None else at_work.as_fields(),
    )
    out.say(Text.assemble((wire.STATE_NAMES[status.state], "bold"), f"  {MEANING[status.state]}"))
    if at_work is not None:
        limit = "" if at_work.limit_um is None else f", at most {mm(at_work.limit_um)} of commanded protrusion"
        rate = "" if at_work.rate_per_s is None else f", {at_work.rate_per_s} a second"
        left = f"{counted(at_work.left, 'stroke')} left"
        out.say(f"Zone {at_work.index}, {at_work.name}: {left}{limit}{rate}.")
    out.say(
        Text("Nobody holds the session now: `pinprick monitor` does. Else, in two seconds, its driver goes off.", "dim")
    )


def pause(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Have the pen finish its stroke and wait at home for a fresh press of its trigger."""
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        pen.pause()
        _show_state(out, pen, "Paused: the stroke was finished, and only a fresh press of the trigger goes on.")


def finish(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """End the session: the pen seals its record. A profile that made no stroke is only unloaded."""
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        session = pen.info.open_session
        pen.finish()
        said = "Unloaded. No stroke was made, so there is nothing to record."
        if session:
            said = f"Session {session} is sealed. `pinprick records pull` fetches its record."
        out.result(sealed=session or None)
        _show_state(out, pen, said)


def clear(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Leave a fault or a stop, when its cause is gone. The pen homes anew before it strokes again."""
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        pen.clear()
        loaded = pen.state == wire.LOADED
        after = "what is left of the session can be armed" if loaded else "the pen is ready for a profile"
        _show_state(out, pen, f"Cleared: {after}.")


def _show_state(out: Output, pen: Pen, said: str) -> None:
    out.result(serial=pen.info.serial, port=pen.port, state=wire.STATE_NAMES[pen.state])
    out.say(said, style="bold")
    if pen.state == wire.PAUSED:
        out.say(alone(pen.state), style="dim")


# --- status ---------------------------------------------------------------------------------------------------------
def status(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show the pen's state, its session zone by zone, its limits and its inputs. Changes nothing.

    An armed pen takes every request as a word from a living host: asked again and again, within two seconds each time,
    it stays armed. Leave it unasked for its driver to go off.
    """
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        now = pen.status()
        profile = status_picture.sent_profile(pen, now, SentProfiles())
        out.result(**status_picture.as_fields(pen, now, profile))
        status_picture.draw(out, pen, now, profile)
