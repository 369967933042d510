"""docs/protocol.md, made from the tables that pen and host themselves use. Host only; deterministic, reads no file.

Whatever a table can say comes from `pencore.wire`, `pencore.lines`, `pencore.faults` and the encoder; what it can't,
the prose and the meaning of each field, is here. Tests hold the file in docs/ equal to `render()`, and want a meaning
for every message and field.
"""

import textwrap
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from pencore import faults, limits, lines, version, wire
from pencore.profile import Profile, Zone
from pencore.profile import encode as encode_profile
from pencore.record import Record, RecordZone
from pencore.record import encode as encode_record
from pinprick import wording

if TYPE_CHECKING:
    from pencore.lines import Field, Fields

PATH = "docs/protocol.md"
"""Where the page lives, seen from the top of the project."""

_INTRO = f"""\
# The wire protocol, version {version.PROTOCOL_MAJOR}.{version.PROTOCOL_MINOR}

How a computer (the *host*) and a pen talk over USB serial, or over whatever else carries bytes both ways. The page is
generated: tables, ranges and the example come from the code that pen and host run (`firmware/pencore/wire.py`,
`firmware/pencore/lines.py`), so change those and run `make docs`. Depths are commanded protrusion of the needles past
the nose piece, in um.

The host can load a profile, arm, pause, stop and finish. It **cannot start a stroke**: only a fresh press of the pen's
own trigger can.

Open the port raw: eight bits, no flow control, no translation of line ends; the baud rate means nothing on USB. The
bytes of a profile (`PPF1`) and of a record (`PPR1`) are laid out in `firmware/pencore/profile.py` and `record.py`; the
codes of areas and sides are the places in `AREAS` and `SIDES` of `firmware/pencore/limits.py`, counted from 0.

## Lines

Everything is said in lines:

```text
JSON*crc32hex8\\n
```

- a JSON-RPC 2.0 object, a star, the CRC-32 (as in zlib) of the JSON's bytes in 8 lower-case hex digits, one newline;
- at most {lines.LINE_MAX:,} bytes, newline included;
- before the newline only the printable ASCII characters `[ -~]`; no carriage return.

The JSON is **canonical**: there is exactly one way to write a message, and a line is legal only if it is written that
way, byte for byte.

- Keys in the order of the tables below, each once, none missing, none added; no spaces outside of strings.
- Integers from {lines.INT_MIN:,} to {lines.INT_MAX:,}, without plus sign, leading zero, fraction or exponent; no `-0`.
- Strings of `[ -~]` without quote and backslash, so there are no escapes.
- `null` only where a table says so; `true` and `false` never. Objects and lists nest three deep at most.
- Bytes travel as base64 (RFC 4648, padded, unused bits zero), digests as lower-case hex.

A reader need not parse JSON, then: the pen walks each line along the table and refuses the first byte that differs.
"""

_REFUSING = """\
## What becomes of a bad line

A line that is not legal is refused whole and changes nothing. What is checked, in this order:

| | check | code | `id` of the answer |
|---|---|---|---|
| 1 | at most {line_max} bytes; the rest is dropped up to the next newline | `WIRE_TOO_LONG` | null |
| 2 | only `[ -~]` before the newline | `WIRE_BAD_FORM` | null |
| 3 | star and CRC-32 | `WIRE_BAD_CRC` | null |
| 4 | canonical form of a request | `WIRE_BAD_FORM` | null |
| 5 | a method of this page | `WIRE_UNKNOWN_METHOD` | the request's |
| 6 | every value in its range | `WIRE_BAD_PARAM` | the request's |
| 7 | the nonce | `WIRE_BAD_NONCE` | the request's |
| 8 | the id | `WIRE_ID_REUSED`, `WIRE_STALE_ID` | the request's |
| 9 | the pen's state | `STATE_FORBIDS` | the request's |

`WIRE_BAD_PARAM` names the field, what was given and the bound it broke (lengths, for strings and lists);
`WIRE_BAD_FORM` gives the offset of the field in which the line is not as it should be (null for check 2). Of an
unknown method the params are not looked at. Answers with `id` null come at least 500 ms apart, however much noise
there is, so a second bad line within that time gets none; whoever hears nothing for a second says the line again.
Noise ends at the next newline: a host that finds a port in an unknown state sends a newline, then `hello`, and passes
over such answers.
"""

_CONVERSATION = """\
## The conversation

1. `hello` comes first. It tells the versions, who the pen is, its bounds, and the **nonce**, drawn anew at each boot.
   Every other request carries the nonce as its first param, so that no request outlives a reset: after one the pen
   refuses with `WIRE_BAD_NONCE`, and the host says hello again.
2. **One request at a time**: the host waits for the answer, or gives up on it, before it sends the next.
3. Each request has an **id greater than the one before**, by at most 256; `hello` gives the last used one as
   `request_id`. An id is used once a request got past check 8 above, whether it was then carried out or refused.
4. When no answer comes, the host sends **the same line again**. The pen answers a repeated id with the stored answer
   and does nothing twice. The same id with another content is `WIRE_ID_REUSED`, a lower id `WIRE_STALE_ID`.
5. `hello` stands outside of this: it changes nothing, may carry any id, and uses none up.
6. The pen may send notifications at any time, before the answer to a request too. They have no id and get no answer.

**Stop.** The byte 0x18 (Ctrl-X), anywhere in what the host sends, stops the pen at once, in every state, without nonce,
id or line: the driver is cut off and the pen is in FAULT with `OPERATOR_STOP`. Between lines it is passed over, so the
line after it is read as usual; inside a line it also makes that line illegal. It is the only effect that bytes which
are no legal line can have.

**Lease.** In ARMED, RUNNING and PAUSED the pen wants to hear a legal line with its nonce at least every 2 s; the host
sends `ping` every 500 ms. When the lease expires the pen finishes the stroke in progress and goes to LOADED with the
driver off; so it does after 15 minutes without a stroke.

**Reading.** A host that doesn't read loses telemetry, which comes at most 10 times a second and is dropped when there
is no room. It never holds up the pen.
"""

_STATE_TEXT = {
    wire.BOOT: ("starting; answers nothing", "off"),
    wire.SAFE: ("no profile, or none any more", "off"),
    wire.LOADED: ("a profile is accepted, or a session is open and interrupted", "off"),
    wire.HOMING: ("looking for home", "on"),
    wire.ARMED: ("at home, waits for the trigger: at least 100 ms of release, then a press", "on"),
    wire.RUNNING: ("the trigger is held, strokes are made", "on"),
    wire.PAUSED: ("at home between two presses", "on"),
    wire.SEALING: ("writing the session's record", "off"),
    wire.FAULT: ("stopped, latched until `clear`", "off"),
}

METHOD_TEXT = {
    "hello": "Says who is who. The one request without a nonce. Another major version is refused with `WIRE_PROTOCOL`.",
    "ping": "Keeps the lease.",
    "status": "Tells how far the session is, zone by zone.",
    "load.begin": "Announces a profile (binary form) and forgets any part of one sent before.",
    "load.chunk": "Sends the next bytes of the profile, without gaps: `LOAD_OFFSET` names the next offset.",
    "load.commit": "Has the profile checked and accepted whole, or refused whole with the first thing wrong. While a\n"
    "session is open, only the profile it was opened with is accepted.",
    "arm": "Switches the driver on, homes, and then waits for the trigger at `zone`. Starts no stroke.",
    "zone.select": "Goes to another zone, at home; the next press starts there.",
    "pause": "Ends the strokes as if the trigger had been let go. In PAUSED it changes nothing.",
    "stop": "Stops, with answer; byte 0x18 does the same faster.",
    "finish": "Seals the session: its record is written and its id is used up. Unloads a profile that made no stroke.",
    "clear": "Leaves FAULT, for LOADED when a session is open, else for SAFE. Moving again takes a new homing.",
    "clock.correct": "Moves the pen's time floor where a profile may not: back, or far forward. Signed with the\n"
    "clinic's key, and logged.",
    "record.list": "Names the sealed records that the pen holds: all that are not acknowledged, and the latest.",
    "record.read": "Reads a record, up to 384 bytes at a time.",
    "record.ack": "Tells the pen that the host holds a record, oldest first. Only then may the pen forget it.",
}

NOTIFICATION_TEXT = {
    "state": "Sent at each change of state.",
    "telemetry": "Sent while the driver is on, at most 10 times a second, and once as sealing begins; dropped when the"
    " host does not read.",
    "fault": "Sent when the pen stops by itself or is stopped; the state goes with it.",
}

FIELD_TEXT = {
    "acked": "highest session whose record is acknowledged; 0 for none",
    "after": "only sessions above this id; 0 for all",
    "aux": "one number more about the fault",
    "build": "hash of the firmware's files",
    "calibrated_at": "when the pen was calibrated, seconds since 1970; 0 for never",
    "calibration_um": "deepest depth the calibration covers",
    "cartridge_strokes": "most strokes of one cartridge",
    "ceiling_um": "deepest depth of this pen, whatever a profile says",
    "client": "name and version of the host's program",
    "counted": "strokes that count against the budget, all zones: made and forfeited",
    "data": "the bytes",
    "depth_um": "depth of the zone at work",
    "fault": "code of the latched fault; 0 for none",
    "firmware": "version of the firmware",
    "geometry": "the mechanics: full_steps, microsteps, lead_um, v_max_um_s, a_max_mm_s2, retract_offset_um, "
    "home_margin_steps, stop_um, dwell_us",
    "head": "what is driven: 0 pen, 1 roller",
    "hmac": "HMAC-SHA-256 with the clinic's key of `CLK1 SERIAL NONCE ID TIME REASON` (ID: this request's); zeros on"
    " a pen without a key",
    "inputs": "levels: 1 trigger down, 2 stop line open, 4 cartridge seated, 8 home seen, 16 service button",
    "interval_days": "shortest interval between two sessions of a course",
    "key_id": "number of the clinic's key; 0 for none",
    "ledger_head": "digest of the last sealed record, which the next profile must name; zeros for none",
    "limit_um": "depth the pen is held to right now",
    "nonce": "the nonce of this boot",
    "offset": "position of the first byte",
    "open_digest": "digest of the profile that is loaded, whether its session is open yet or not; zeros for none",
    "open_session": "id of the open (interrupted) session; 0 for none",
    "protocol_major": "major version: must be equal",
    "protocol_minor": "minor version: a higher one only adds",
    "rate_per_s": "strokes per second set for the zone at work",
    "reason": "why, in words; goes into the log",
    "received": "bytes of the profile received so far",
    "records": "sealed records not acknowledged yet",
    "request_id": "last id carried out in this boot; the next must be greater",
    "reserved": "strokes of the zone at work reserved in flash so far: made, forfeited and outstanding",
    "resumed": "1 when an interrupted session goes on, else 0",
    "serial": "serial number; empty on a pen that is not provisioned",
    "session": "id of the session",
    "session_counted": "strokes that count against the session's budget",
    "session_id": "id of the session",
    "session_left": "strokes the session still allows",
    "sessions": "ids, ascending",
    "size": "bytes in all",
    "state": "see States",
    "time": "seconds since 1970",
    "time_floor": "earliest time a profile may be issued at, seconds since 1970; 0 for none",
    "uptime_ms": "ms since power-up, wraps",
    "zone": "index of the zone in the profile",
    "zone_caps_um": "caps that this pen's provisioning tightens, by area code; an area not listed has the absolute cap",
    "zones": "number of zones",
}

FIELD_TEXT_AT = {
    ("arm params", "zone"): "index of the zone to begin with; null for the first with strokes left",
    ("fault", "code"): "why the pen stopped",
    ("hello", "session_id"): "id the next session must have",
    ("load.begin params", "sha256"): "SHA-256 of all the bytes to come",
    ("load.begin params", "size"): "bytes to come",
    ("load.begin", "size"): "bytes the pen waits for",
    ("load.commit", "sha256"): "the profile's digest, which names it in records",
    ("record.ack params", "session"): "id of the session; the lowest one not acknowledged yet",
    ("record.ack params", "sha256"): "digest of that session's record: its last 32 bytes",
    ("state", "code"): "why, where there is a reason; 0 otherwise",
    ("status", "forfeited"): "the same, forfeited",
    ("status", "left"): "the same, still allowed",
    ("status", "made"): "strokes made, zone by zone; empty without a session",
    ("status", "session_id"): "id of the loaded session; 0 for none",
    ("status", "zone"): "index of the zone at work; null for none",
    ("telemetry", "forfeited"): "strokes forfeited in the zone at work",
    ("telemetry", "left"): "strokes the zone at work still allows",
    ("telemetry", "made"): "strokes made in the zone at work",
    ("telemetry", "zone"): "index of the zone at work; null for none",
}

_ERROR_TEXT = {
    "code": "what is wrong",
    "message": "NAME of the code",
    "field": "what was wrong, in the words of the profile or of the method; may be empty",
    "zone": "index of the zone meant, or null",
    "given": "the number given, or null",
    "limit": "the bound it broke, or null",
}


def render() -> str:
    """Return the whole page."""
    parts = [
        _INTRO,
        _REFUSING.format(line_max=f"{lines.LINE_MAX:,}"),
        _CONVERSATION,
        "".join(_states()),
        "".join(_methods()),
        "".join(_notifications()),
        "".join(_errors()),
        "".join(_example()),
        _VERSIONS,
    ]
    return "\n".join(parts)


# --- tables -----------------------------------------------------------------------------------------------------------
def _kind(field: "Field") -> str:
    """Return in words what a field may hold."""
    _, kind, low, high, fewest, most = field
    if kind == lines.TEXT:
        return f"text, {low}..{high} characters"
    if kind == lines.HEX:
        return f"{high} hex digits"
    if kind == lines.BASE64:
        return f"base64, {low}..{high} characters"
    if kind == lines.INTEGERS:
        count = f"{most}" if fewest == most else f"{fewest}..{most}"
        return f"list of {count} integers, each {low:,}..{high:,}"
    return f"integer, {low:,}..{high:,}" + (", or null" if kind == lines.NULLABLE else "")


def field_text(message: str, name: str) -> str:
    """Return what field `name` means in `message` ("arm params", "hello", "state"); KeyError when nobody wrote it."""
    return FIELD_TEXT_AT.get((message, name)) or FIELD_TEXT[name]


def _table(title: str, message: str, fields: "Fields") -> Iterator[str]:
    yield f"| {title} | value | meaning |\n|---|---|---|\n"
    for field in fields:
        yield f"| `{field[0]}` | {_kind(field)} | {field_text(message, field[0])} |\n"


def _states() -> Iterator[str]:
    yield "## States\n\n| code | name | meaning | driver |\n|---|---|---|---|\n"
    for code, name in enumerate(wire.STATE_NAMES):
        meaning, driver = _STATE_TEXT[code]
        yield f"| {code} | {name} | {meaning} | {driver} |\n"


def _methods() -> Iterator[str]:
    states = range(wire.SAFE, len(wire.STATE_NAMES))
    yield "## Methods\n\nWhere each is allowed; anywhere else it is refused with `STATE_FORBIDS`.\n\n"
    yield "| method | " + " | ".join(wire.STATE_NAMES[state] for state in states) + " |\n"
    yield "|---" + "|:-:" * len(states) + "|\n"
    for method in wire.METHODS:
        marks = " | ".join("x" if wire.allowed(method, state) else "" for state in states)
        yield f"| `{method}` | {marks} |\n"
    for method, (params, result, _) in wire.METHODS.items():
        yield f"\n### {method}\n\n{METHOD_TEXT[method]}\n\n"
        yield from _table("param", f"{method} params", params)
        yield "\n"
        yield from _table("result", method, result)


def _notifications() -> Iterator[str]:
    yield "## Notifications\n\nFrom the pen, unasked: `method` and `params` without an `id`.\n"
    for name, params in wire.NOTIFICATIONS.items():
        yield f"\n### Notification {name}\n\n{NOTIFICATION_TEXT[name]}\n\n"
        yield from _table("param", name, params)


def _errors() -> Iterator[str]:
    yield "## Errors\n\nAn answer holds either `result` or `error`:\n\n```text\n"
    yield '"error":{"code":...,"message":"...","data":{"field":"...","zone":...,"given":...,"limit":...}}\n```\n\n'
    yield "| key | value | meaning |\n|---|---|---|\n"
    for field in wire.ERROR + wire.ERROR_DATA:
        yield f"| `{field[0]}` | {_kind(field)} | {_ERROR_TEXT[field[0]]} |\n"
    yield "\nCodes are never renumbered and never reused; refusals and faults share one list. `pinprick explain CODE`\n"
    yield "tells what to do about each.\n"
    family = 0
    for code in sorted(faults.NAMES):
        if code // 100 != family:
            family = code // 100
            yield f"\n### {family}xx: {wording.FAMILIES[family]}\n\n| code | name | meaning |\n|---|---|---|\n"
        yield f"| {code} | `{faults.NAMES[code]}` | {wording.WORDING[code].what} |\n"


_VERSIONS = """\
## Versions

`hello` carries the version both ways. Another major version is refused, by whichever side sees it first. A higher minor
version only adds methods, notifications and codes; it never changes the fields of a message there is, so that what is
canonical stays canonical. A host passes over notifications it does not know, and shows an unknown code as its number
and the name that came with it. Lines of each version are kept in `tests/vectors` and must be read and written the same
for ever.
"""


# --- a conversation ---------------------------------------------------------------------------------------------------
_NONCE = "5e1f0c84a2b96d37"
_SERIAL = "PP-0001"
_LEDGER_HEAD = sha256(b"ledger head").digest()
_ISSUED_AT = 1_767_261_600


def _profile() -> bytes:
    profile = Profile()
    profile.serial = _SERIAL
    profile.session_id = 7
    profile.ledger_head = _LEDGER_HEAD
    profile.issued_at = _ISSUED_AT
    profile.name = "Cheek left"
    profile.course_id = "C-2026-014"
    profile.course_index = 2
    profile.course_of = 5
    profile.cartridge_id = "NC14-000731"
    profile.cartridge_lot = "L2511"
    profile.expires_day = 21_000
    profile.needles = 14
    profile.depth_um = 1000
    profile.strokes = 2000
    profile.zones = [Zone(4, 1, 1000, 2000, 20)]
    return encode_profile(profile)


def _record(profile: bytes) -> Record:
    record = Record()
    record.previous = _LEDGER_HEAD
    record.profile_digest = sha256(profile[:-68]).digest()
    record.serial = _SERIAL
    record.session = 7
    record.profile_name = "Cheek left"
    record.course_id = "C-2026-014"
    record.course_index = 2
    record.course_of = 5
    record.cartridge_id = "NC14-000731"
    record.cartridge_lot = "L2511"
    record.expires_day = 21_000
    record.build = "4b3d1c09"
    record.start_s = _ISSUED_AT
    record.end_s = _ISSUED_AT + 190
    record.session_depth_um = 1000
    record.session_strokes = 2000
    record.zones = [RecordZone(4, 1, 1000, 2000, 1200, 0, 1000, 20)]
    return record


def _line(who: str, line: bytes) -> str:
    return f"{who} {line.decode().rstrip()}\n"


def _asks(method: str, number: int, /, **params: object) -> str:
    if method != "hello":
        params = {"nonce": _NONCE, **params}
    return _line(">", wire.encode_request(method, number, params))


def _answers(method: str, number: int, /, **result: object) -> str:
    return _line("<", wire.encode_result(method, number, result))


def _tells(notification: str, /, **params: object) -> str:
    return _line("<", wire.encode_notification(notification, params))


def _refuses(request_id: int | None, refusal: faults.Refusal) -> str:
    return _line("<", wire.encode_error(request_id, refusal))


def _scene(text: str, *said: str) -> str:
    return f"\n{textwrap.fill(text, 118)}\n\n```text\n{''.join(said)}```\n"


def _example() -> Iterator[str]:
    profile = _profile()
    record = _record(profile)
    sealed = encode_record(record)
    yield "## A conversation\n\n`>` is the host, `<` the pen. Each line ends with one newline; made with the encoder.\n"
    yield _scene(
        "The host says hello and learns the nonce, the next session's id (7) and the ledger's head.",
        _asks(
            "hello",
            1,
            protocol_major=version.PROTOCOL_MAJOR,
            protocol_minor=version.PROTOCOL_MINOR,
            client=f"pinprick {version.FIRMWARE}",
        ),
        _answers(
            "hello",
            1,
            protocol_major=version.PROTOCOL_MAJOR,
            protocol_minor=version.PROTOCOL_MINOR,
            firmware=version.FIRMWARE,
            build=sha256(b"build").hexdigest()[:16],
            serial=_SERIAL,
            head=0,
            nonce=_NONCE,
            request_id=0,
            state=wire.SAFE,
            session_id=7,
            open_session=0,
            open_digest="0" * 64,
            ledger_head=_LEDGER_HEAD.hex(),
            ceiling_um=limits.DEPTH_CEILING_UM,
            calibration_um=limits.DEPTH_CEILING_UM,
            calibrated_at=_ISSUED_AT - 86_400,
            cartridge_strokes=30_000,
            interval_days=14,
            key_id=0,
            time_floor=0,
            records=0,
            zone_caps_um=[cap_um for _, _, cap_um in limits.AREAS],
            geometry=[200, 8, 4000, 100_000, 30_000, 500, 8, 2600, 200],
        ),
    )
    yield _scene(
        f"It fills in these two, and loads the profile: {len(profile)} bytes in one chunk.",
        _asks("load.begin", 2, size=len(profile), sha256=sha256(profile).hexdigest()),
        _answers("load.begin", 2, size=len(profile)),
        _asks("load.chunk", 3, offset=0, data=profile),
        _answers("load.chunk", 3, received=len(profile)),
        _asks("load.commit", 4),
        _tells("state", state=wire.LOADED, code=0, session_id=7),
        _answers("load.commit", 4, session_id=7, sha256=record.profile_digest.hex(), zones=1, resumed=0),
    )
    yield _scene(
        "It arms. The pen homes and waits for its trigger; nothing the host can send presses it.",
        _asks("arm", 5, zone=None),
        _tells("state", state=wire.HOMING, code=0, session_id=7),
        _answers("arm", 5, state=wire.HOMING),
        _tells("state", state=wire.ARMED, code=0, session_id=7),
    )
    yield _scene(
        "The practitioner presses. The host pings every 500 ms.",
        _tells("state", state=wire.RUNNING, code=0, session_id=7),
        _asks("ping", 6),
        _answers("ping", 6, state=wire.RUNNING, uptime_ms=61_250),
        _tells(
            "telemetry",
            state=wire.RUNNING,
            zone=0,
            depth_um=1000,
            limit_um=1000,
            rate_per_s=20,
            made=40,
            forfeited=0,
            reserved=100,
            left=1960,
            session_counted=40,
            session_left=1960,
            uptime_ms=61_300,
        ),
    )
    damaged = wire.encode_request("ping", 7, {"nonce": _NONCE}).replace(b"ping", b"pinq")
    yield _scene(
        "A ping is damaged on its way: the CRC is that of the line as it was sent. The pen can't know which request it "
        "was, and the host sends the same line once more.",
        _line(">", damaged),
        _refuses(None, faults.Refusal(faults.WIRE_BAD_CRC)),
        _asks("ping", 7),
        _answers("ping", 7, state=wire.RUNNING, uptime_ms=61_790),
    )
    # No encoder writes this line, and none should.
    out_of_range = f'{{"jsonrpc":"2.0","id":9,"method":"zone.select","params":{{"nonce":"{_NONCE}","zone":40}}}}'
    yield _scene(
        "A zone can't be chosen while strokes are made, and there is no zone 40. The second is refused before the pen "
        "looks at nonce, id or state.",
        _asks("zone.select", 8, zone=0),
        _refuses(8, faults.Refusal(faults.STATE_FORBIDS, "state", wire.RUNNING)),
        _line(">", lines.frame(out_of_range)),
        _refuses(9, faults.Refusal(faults.WIRE_BAD_PARAM, "zone", 40, limits.ZONES_MAX - 1)),
    )
    yield _scene(
        "The trigger is let go, the host finishes, and the pen seals the session's record.",
        _tells("state", state=wire.PAUSED, code=0, session_id=7),
        _asks("finish", 9),
        _tells("state", state=wire.SEALING, code=0, session_id=7),
        _answers("finish", 9, state=wire.SEALING),
        _tells("state", state=wire.SAFE, code=0, session_id=0),
    )
    yield _scene(
        "The host reads the record, verifies and keeps it, and tells the pen so.",
        _asks("record.list", 10, after=6),
        _answers("record.list", 10, sessions=[7], acked=6),
        _asks("record.read", 11, session=7, offset=0),
        _answers("record.read", 11, size=len(sealed), offset=0, data=sealed),
        _asks("record.ack", 12, session=7, sha256=record.digest.hex()),
        _answers("record.ack", 12, acked=7),
    )
