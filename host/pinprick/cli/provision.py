"""`pinprick board provision`: makes a board with the firmware on it a pen, or tightens one. Host only.

Works only at a board whose service button was held. All that is wrong is said before anything is written, and a new key
is kept here before it goes onto the pen.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.text import Text

from pencore import limits
from pencore.profile import SERIAL_SIZE
from pencore.provision import Provision
from pencore.units import U32_MAX
from pinprick import provisioning
from pinprick.board import image as images
from pinprick.board import install as installing
from pinprick.board import service
from pinprick.board.build import MANIFEST, identity_of
from pinprick.board.repl import ReplBoard
from pinprick.cli.board_port import port_option, say_waiting
from pinprick.cli.key import as_fields, keyring_waiting, say_where
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.plain_text import plain_text
from pinprick.clock import moment, shown
from pinprick.errors import BOARD_DIFFERS, USAGE, InputError, Mismatch, PinprickError
from pinprick.keys import ClinicKey, KeyStore
from pinprick.profiles.units import mm, to_um
from pinprick.provisioning import BACKOFF, GEOMETRY, Found, Wishes
from pinprick.told import PenInfo

_KEEP, _NEW, _NONE = "keep", "new", "none"


def provision(
    port: Annotated[str, port_option("what it is provisioned with is replaced.")],
    serial: Annotated[
        str,
        typer.Option(metavar="SERIAL", show_default=False, help="The serial number on the pen; it stays for good."),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            metavar="new|NUMBER|none",
            show_default=False,
            help="The clinic key: a new one, one that is kept here, or none. A new pen wants to be told.",
        ),
    ] = None,
    ceiling_mm: Annotated[
        str | None,
        typer.Option(metavar="MM", show_default=False, help="Deepest protrusion that the pen allows at all."),
    ] = None,
    calibration_mm: Annotated[
        str | None, typer.Option(metavar="MM", show_default=False, help="Deepest protrusion that was measured.")
    ] = None,
    calibrated_at: Annotated[
        str | None,
        typer.Option(metavar="DATE", show_default=False, help="When it was measured: 2028-02-29, or a time."),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AREA=MM", show_default=False, help="Cap of an area, `cheek=1.2`; again for another area."
        ),
    ] = None,
    cartridge_strokes: Annotated[
        int | None, typer.Option(metavar="N", show_default=False, help="Most strokes of a cartridge.")
    ] = None,
    interval_days: Annotated[
        int | None, typer.Option(metavar="N", show_default=False, help="Fewest days between sessions of a course.")
    ] = None,
    geometry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER", show_default=False, help=f"Mechanics: {', '.join((*GEOMETRY, BACKOFF))}; again."
        ),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Make a board that has the firmware this pen: serial number, limits, calibration and clinic key.

    Wants the service button held at power-up. What is left out stays as it is; on a new pen, as the reference pen has
    it. A pen that has been provisioned can only be tightened, but for a key that takes another's place and a later
    calibration; its journal and records are not touched. Cut off anywhere, running it again finishes.
    """
    with reporting(json_lines) as out:
        wishes = Wishes(
            plain_text(serial, SERIAL_SIZE, "--serial", "A serial number", "Give the one on the pen's label."),
            _um(ceiling_mm, "--ceiling-mm"),
            _um(calibration_mm, "--calibration-mm"),
            None if calibrated_at is None else moment(calibrated_at, "--calibrated-at"),
            cartridge_strokes,
            interval_days,
            _caps(cap or ()),
            _numbers(geometry or ()),
        )
        wanted_key = _key_wish(key)
        out.result(serial=serial, port=port)
        with service.taken(port, lambda what: say_waiting(out, what, port)) as board:
            # Refused or cut off, it is left at its prompt: the service button needn't be held again.
            made, identity = _provisioned(out, board, wishes, wanted_key)
        if not identity:
            out.say("The board has no firmware yet: `pinprick board install` comes next.", style="yellow")
            return
        say_waiting(out, service.START, port)
        _check_said(service.started(port, identity), made)
        out.result(verified=True)
        out.say(Text(f"Pen {printable(serial)} runs and says the same.", "bold green"))


def _provisioned(out: Output, board: ReplBoard, wishes: Wishes, wanted_key: str | int) -> tuple[Provision, str]:
    """Look, check, keep a new key, write, read back, reset; return what is on the board now and the build that starts
    there, "" for none.
    """
    installing.check_about(board.about(), images.locked())
    board.start_anew()
    found = provisioning.look(board)
    made = provisioning.planned(found, wishes)
    if found.present is None and wanted_key == _KEEP:
        message = "A new pen wants to be told which clinic key it has."
        hint = "Add --key new, --key with the number of one that `pinprick key list` shows, or --key none."
        raise InputError(USAGE, message, field="--key", hint=hint)
    if wanted_key != _KEEP:
        made = provisioning.with_key(found, made, signing := _key(out, wanted_key))
        _say_key(out, signing)
    try:
        changed = provisioning.written(board, found, made)
        out.result(new=found.present is None, changed=changed, key_id=made.key_id or None, **_as_fields(made))
        _say_done(out, found, made, changed)
        identity = identity_of(board.read(MANIFEST) if MANIFEST in board.files() else b"")
        if identity:
            board.reset()
    except PinprickError as error:
        if wanted_key == _NEW:
            error.hint = f"Run the command again, with --key {made.key_id}: that key is kept here already."
        raise
    return made, identity


def _key(out: Output, wanted: str | int) -> ClinicKey | None:
    """Return the key that is wanted; a new one is kept here before anything else happens to it."""
    if wanted == _NONE:
        return None
    store = KeyStore(keyring_waiting(out))
    return store.make() if wanted == _NEW else store.find(int(wanted))


def _say_key(out: Output, key: ClinicKey | None) -> None:
    if key is None:
        out.say("The pen has no clinic key: whoever is connected can load it.", style="yellow")
        return
    out.event("key", **as_fields(key))
    out.say(f"Clinic key {key.key_id}, fingerprint {key.fingerprint}.")
    say_where(out, key)


def _as_fields(made: Provision) -> dict[str, object]:
    bounds = made.bounds
    return {
        "ceiling_um": bounds.ceiling_um,
        "calibration_um": bounds.calibration_um,
        "calibrated_at": made.calibrated_at or None,
        "cartridge_strokes": bounds.cartridge_strokes,
        "interval_days": bounds.interval_days,
        "zone_caps_um": {area[0]: bounds.zone_cap_um(code) for code, area in enumerate(limits.AREAS)},
        "geometry": {**dict(zip(GEOMETRY, bounds.geometry.as_list(), strict=True)), BACKOFF: made.backoff_um},
    }


def _say_done(out: Output, found: Found, made: Provision, changed: bool) -> None:
    bounds = made.bounds
    serial = printable(made.serial)
    what = "is as it should be already"
    if changed:
        what = "is provisioned anew; journal and records are as they were" if found.present else "is provisioned"
    out.say(Text(f"Pen {serial} {what}. Read back and equal.", "bold green"))
    calibrated = f"calibrated {shown(made.calibrated_at)}" if made.calibrated_at else "not calibrated yet"
    out.say(f"Ceiling {mm(bounds.ceiling_um)}, measured to {mm(bounds.calibration_um)}, {calibrated}.")
    out.say(f"Deepest by area: {', '.join(_held(bounds, code) for code in range(len(limits.AREAS)))}.")
    out.say(f"At most {bounds.cartridge_strokes:,} strokes a cartridge, {bounds.interval_days} days or more between.")


def _held(bounds: limits.Bounds, area: int) -> str:
    """Return an area and how deep it may be at most, with what holds it to less than its cap."""
    cap_um = bounds.zone_cap_um(area)
    held_um = min(cap_um, bounds.ceiling_um, bounds.calibration_um)
    by = "ceiling" if held_um == bounds.ceiling_um else "measured depth"
    why = "" if held_um == cap_um else f" (cap {mm(cap_um)}, held to the {by})"
    return f"{limits.AREAS[area][0]} {mm(held_um)}{why}"


def _check_said(info: PenInfo, made: Provision) -> None:
    """Refuse a pen that says something else of itself than what was written; Mismatch BOARD_DIFFERS."""
    bounds = made.bounds
    pairs = (
        ("serial", info.serial, made.serial),
        ("ceiling_um", info.ceiling_um, bounds.ceiling_um),
        ("calibration_um", info.calibration_um, bounds.calibration_um),
        ("calibrated_at", info.calibrated_at, made.calibrated_at),
        ("cartridge_strokes", info.cartridge_strokes, bounds.cartridge_strokes),
        ("interval_days", info.interval_days, bounds.interval_days),
        ("key_id", info.key_id, made.key_id),
        ("zone_caps_um", str(list(info.zone_caps_um)), str(list(bounds.caps_um))),
        ("geometry", str(list(info.geometry)), str(bounds.geometry.as_list())),
    )
    for name, given, wanted in pairs:
        if given != wanted:
            message = f"The pen says that its {name} is {given}, not {wanted}."
            raise Mismatch(BOARD_DIFFERS, message, field=name, given=given, limit=wanted)


# --- options ---------------------------------------------------------------------------------------------------------
def _um(text: str | None, option: str) -> int | None:
    """Return millimetres as whole micrometres; InputError USAGE for anything else, never rounded."""
    if text is None:
        return None
    hint = "Write millimetres with a point, no finer than 0.001: 1.25"
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    found = to_um(value) if value.is_finite() else None
    if found is None:
        message = f"{option} takes whole micrometres in mm."
        raise InputError(USAGE, message, field=option, given=text[:40], limit="0.001 mm", hint=hint)
    return found


def _pair(text: str, option: str, names: Sequence[str]) -> tuple[str, str]:
    """Return NAME and VALUE of "NAME=VALUE"; InputError USAGE for a name that isn't one of `names`."""
    name, _, value = text.partition("=")
    if name not in names or not value:
        message = f"{option} takes NAME=VALUE, with a name that there is."
        hint = f"The names are {', '.join(names)}."
        raise InputError(USAGE, message, field=option, given=text[:40], hint=hint)
    return name, value


def _once(pairs: Sequence[tuple[str, str]], option: str) -> None:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            message = f"{option} gives {name} twice."
            raise InputError(USAGE, message, field=option, given=name, hint="Give it once.")


def _caps(texts: Sequence[str]) -> dict[int, int]:
    """Return {area code: cap in um}."""
    areas = [area[0] for area in limits.AREAS]
    pairs = [_pair(text, "--cap", areas) for text in texts]
    _once(pairs, "--cap")
    return {areas.index(name): _um(value, "--cap") or 0 for name, value in pairs}


def _numbers(texts: Sequence[str]) -> dict[str, int]:
    """Return {name of the mechanics: number}."""
    pairs = [_pair(text, "--geometry", (*GEOMETRY, BACKOFF)) for text in texts]
    _once(pairs, "--geometry")
    for name, value in pairs:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            message = f"--geometry takes whole numbers, and {name} is none."
            raise InputError(USAGE, message, field="--geometry", given=value[:40], hint=f"Write {name}=200, say.")
    return {name: int(value) for name, value in pairs}


def _key_wish(text: str | None) -> str | int:
    """Return _KEEP, _NEW, _NONE or a number; InputError USAGE for anything else."""
    if text is None:
        return _KEEP
    if text in (_NEW, _NONE):
        return text
    if text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= U32_MAX:
        return int(text)
    # Not repeated: somebody may have given a key itself.
    message = "--key takes new, none, or the number of a key; never a key, nor a file."
    hint = "`pinprick key import FILE` brings a key here; `pinprick key list` shows the numbers."
    raise InputError(USAGE, message, field="--key", limit=U32_MAX, hint=hint)
