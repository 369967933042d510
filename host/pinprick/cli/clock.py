"""`pinprick clock`: a pen's time corrected, with a reason, and what was corrected. Host only.

A pen has no clock: it takes the time from the profiles that it is loaded with, goes 45 days ahead at most and never
back. What has to be otherwise is a correction, signed like a profile.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pencore import faults
from pinprick.cli.endings import see_through
from pinprick.cli.key import as_fields, keyring_waiting, of_place, signing_told
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pens import KeyOption, PortOption, SerialNumberOption, TimeoutOption, connected
from pinprick.cli.plain_text import plain_text
from pinprick.clock import moment, now_s, shown
from pinprick.corrections import Correction, CorrectionLog
from pinprick.device import Pen, PenRefused
from pinprick.keys import find_key
from pinprick.profiles.units import counted

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Correct a pen's time, and list the corrections made from here.",
)

_REASON_MOST = 64
_REASON_HINT = "Say why in plain letters, without accents or quotes: --reason 'battery of the laptop was flat'"
_NEVER = "never told"


@app.command()
def correct(
    reason: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            show_default=False,
            help="Why, in 1 to 64 plain characters, without a name of a client: kept here, its checksum on the pen.",
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help="2028-02-29T14:30:00Z, say. This computer's time when left out."
        ),
    ] = None,
    key: KeyOption = None,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Set the pen's time, back or far ahead: for a clock that was wrong, or a pen that lay unused for long.

    Signed with the clinic's key if the pen has one, and good for this once. Not possible with a profile loaded that has
    made no stroke: `pinprick finish` unloads it. After a correction back, the interval of a course whose last session
    was dated later counts from the corrected time: it gets longer by that, never shorter.
    """
    with reporting(json_lines) as out:
        plain_text(reason, _REASON_MOST, "--reason", "A reason", _REASON_HINT)
        time_s = now_s() if to is None else moment(to, "--to")
        with connected(port, serial_number, timeout) as pen:
            _correct(out, pen, time_s, reason, key)


def _correct(out: Output, pen: Pen, time_s: int, reason: str, key: Path | None) -> None:
    info = pen.info
    signing = find_key(info.key_id, key, keyring_waiting(out))
    log = CorrectionLog()
    made = Correction(info.serial, now_s(), info.session_id, info.time_floor, time_s, reason, info.key_id)
    out.result(**_as_fields(made), port=pen.port, key=None if signing is None else as_fields(signing))
    made = log.keep(made)
    # Answered within seconds. Told to end before that, nobody would know whether the pen's time is another one now.
    see_through()
    try:
        with signing_told(signing, key):
            pen.clock_correct(time_s, reason, signing)
    except PenRefused as refused:
        log.drop(made)
        if refused.code == faults.TIME_BACK and refused.limit is not None:
            refused.message = f"No correction reaches back before the pen's calibration; {shown(time_s)} would."
            refused.hint = f"Give a time from {shown(info.calibrated_at)} on, or set this computer's clock right."
        raise
    out.result(confirmed=True)
    made = log.settle(made)
    before = shown(made.from_s) if made.from_s else _NEVER
    out.say(Text(f"The time of pen {printable(info.serial)} is {shown(time_s)} now.", "bold green"))
    out.say(f"It was {before}. The pen keeps both, and {made.reason_crc} for the reason: {printable(reason)}")
    signed = "unsigned: the pen has no key" if signing is None else f"signed with key {signing.key_id}"
    out.say(f"Written down in {printable(str(log.folder))}; {signed}{of_place(signing)}.", style="dim")


def _as_fields(made: Correction) -> dict[str, object]:
    return {
        "serial": made.serial,
        "asked_at": made.asked_at,
        "session_id": made.session_id,
        "from": made.from_s,
        "to": made.to_s,
        "reason": made.reason,
        "reason_crc": made.reason_crc,
        "key_id": made.key_id or None,
        "confirmed": made.confirmed,
    }


@app.command()
def log(json_lines: JsonOption = False) -> None:
    """List the corrections that were made from this computer, with the reason and the checksum that the pen keeps.

    Those of each pen come in the order in which they were made, whatever the computer's clock showed.
    """
    with reporting(json_lines) as out:
        kept = CorrectionLog()
        found = kept.listed()
        for made in found:
            out.event("correction", **_as_fields(made))
            before = shown(made.from_s) if made.from_s else _NEVER
            out.say(Text(f"{shown(made.asked_at)}  pen {printable(made.serial)}", "bold"))
            out.say(f"  from {before} to {shown(made.to_s)}, before session {made.session_id}")
            signed = f"key {made.key_id}" if made.key_id else "unsigned"
            lost = "" if made.confirmed else "; the pen's answer got lost"
            out.say(f"  {printable(made.reason)}  ({made.reason_crc}, {signed}{lost})")
        out.result(corrections=len(found), folder=kept.folder)
        out.say(f"{counted(len(found), 'correction')} in {printable(str(kept.folder))}", style="dim")
