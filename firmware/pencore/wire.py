"""What pen and host say to each other: the states, the table of messages, and how each is encoded and decoded.

Runs on pen, host and simulator. The table is the only description of the messages: it drives the pen's decoder, the
host's client, the states a method is allowed in, and docs/protocol.md. What a line is, byte for byte, is in
`pencore.lines`. Codes and integers only; wording lives in the host. Allocates the tables at import and, per line, a few
times its length.
"""

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import text_problem
from pencore.faults import Refusal
from pencore.lines import (
    BASE64,
    HEX,
    INT_MAX,
    INT_MIN,
    INTEGER,
    INTEGERS,
    NULLABLE,
    TEXT,
    Stencil,
    Walker,
    field_problem,
    framed,
    in_range,
    members,
    refuse_problem,
    unframe,
)
from pencore.lines import LineReader as LineReader  # noqa: PLC0414  # part of what `wire` offers
from pencore.lines import LineRefusal as LineRefusal  # noqa: PLC0414  # part of what `wire` offers

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from pencore.lines import Field, Fields

BASE64_MAX = const(512)
"""Most characters of base64 in one message: 384 bytes."""
PROFILE_MAX = const(2048)
"""Most bytes a load may announce."""
RECORD_MAX = const(4096)
"""Most bytes a record may have."""

# --- states of the pen -----------------------------------------------------------------------------------------------
BOOT = const(0)
SAFE = const(1)
LOADED = const(2)
HOMING = const(3)
ARMED = const(4)
RUNNING = const(5)
PAUSED = const(6)
SEALING = const(7)
FAULT = const(8)
STATE_NAMES = ("BOOT", "SAFE", "LOADED", "HOMING", "ARMED", "RUNNING", "PAUSED", "SEALING", "FAULT")
"""Name of each state; its code on the wire is its index."""

_EVER = const(0x1FE)  # every state but BOOT
_AT_REST = const((1 << SAFE) | (1 << LOADED))


# --- fields ----------------------------------------------------------------------------------------------------------
def _int(name: str, low: int, high: int) -> "Field":
    return (name, INTEGER, low, high, 0, 0)


def _null(name: str, low: int, high: int) -> "Field":
    return (name, NULLABLE, low, high, 0, 0)


def _text(name: str, low: int, high: int) -> "Field":
    return (name, TEXT, low, high, 0, 0)


def _hex(name: str, digits: int) -> "Field":
    return (name, HEX, digits, digits, 0, 0)


def _base64(name: str, low: int) -> "Field":
    return (name, BASE64, low, BASE64_MAX, 0, 0)


def _ints(name: str, low: int, high: int, fewest: int, most: int) -> "Field":
    return (name, INTEGERS, low, high, fewest, most)


def _u32(name: str) -> "Field":
    return (name, INTEGER, 0, INT_MAX, 0, 0)


def _strokes(name: str) -> "Field":
    return (name, INTEGER, 0, limits.SESSION_STROKES_MAX, 0, 0)


_NONCE = _hex("nonce", 16)
_STATE = _int("state", 0, FAULT)
_ZONE = _null("zone", 0, limits.ZONES_MAX - 1)
_SESSION_ID = _u32("session_id")
_SHA256 = _hex("sha256", 64)
_KEY_ID = _u32("key_id")
_UPTIME = _u32("uptime_ms")
_CODE_MAX = const(999)
_OFFSET = _int("offset", 0, RECORD_MAX)
_RESUMED = _int("resumed", 0, 1)
_TIME_FLOOR = _u32("time_floor")
_ACKED = _u32("acked")
_SESSION_LEFT = _strokes("session_left")
_MAJOR = _int("protocol_major", 0, 0xFFFF)
_MINOR = _int("protocol_minor", 0, 0xFFFF)

_ONLY_NONCE = (_NONCE,)
_ONLY_STATE = (_STATE,)

METHODS: "dict[str, tuple[Fields, Fields, int]]" = {
    "hello": (
        (_MAJOR, _MINOR, _text("client", 0, 32)),
        (
            _MAJOR,
            _MINOR,
            _text("firmware", 1, 16),
            _hex("build", 16),
            _text("serial", 0, 16),
            _int("head", 0, 0xFF),
            _NONCE,
            _u32("request_id"),
            _STATE,
            _SESSION_ID,
            _u32("open_session"),
            _hex("open_digest", 64),
            _hex("ledger_head", 64),
            _int("ceiling_um", 0, limits.DEPTH_CEILING_UM),
            _int("calibration_um", 0, limits.DEPTH_CEILING_UM),
            _u32("calibrated_at"),
            _int("cartridge_strokes", 0, limits.CARTRIDGE_STROKES_MAX),
            _int("interval_days", 0, limits.INTERVAL_MAX_DAYS),
            _KEY_ID,
            _TIME_FLOOR,
            _int("records", 0, 0xFFFF),
            _ints("zone_caps_um", 0, limits.DEPTH_CEILING_UM, 0, limits.AREA_CODES_MAX),
            _ints("geometry", 0, 1_000_000, 9, 9),
        ),
        _EVER,
    ),
    "ping": (_ONLY_NONCE, (_STATE, _UPTIME), _EVER),
    "status": (
        _ONLY_NONCE,
        (
            _STATE,
            _int("fault", 0, _CODE_MAX),
            _SESSION_ID,
            _RESUMED,
            _ZONE,
            _int("inputs", 0, 0x1F),
            _strokes("counted"),
            _SESSION_LEFT,
            _ints("made", 0, limits.SESSION_STROKES_MAX, 0, limits.ZONES_MAX),
            _ints("forfeited", 0, limits.SESSION_STROKES_MAX, 0, limits.ZONES_MAX),
            _ints("left", 0, limits.SESSION_STROKES_MAX, 0, limits.ZONES_MAX),
        ),
        _EVER,
    ),
    "load.begin": ((_NONCE, _int("size", 1, PROFILE_MAX), _SHA256), (_int("size", 1, PROFILE_MAX),), _AT_REST),
    "load.chunk": (
        (_NONCE, _int("offset", 0, PROFILE_MAX - 1), _base64("data", 4)),
        (_int("received", 0, PROFILE_MAX),),
        _AT_REST,
    ),
    "load.commit": (_ONLY_NONCE, (_SESSION_ID, _SHA256, _int("zones", 1, limits.ZONES_MAX), _RESUMED), _AT_REST),
    "arm": ((_NONCE, _ZONE), _ONLY_STATE, 1 << LOADED),
    "zone.select": ((_NONCE, _int("zone", 0, limits.ZONES_MAX - 1)), _ONLY_STATE, (1 << ARMED) | (1 << PAUSED)),
    "pause": (_ONLY_NONCE, _ONLY_STATE, (1 << RUNNING) | (1 << PAUSED)),
    "stop": (_ONLY_NONCE, _ONLY_STATE, _EVER),
    "finish": (_ONLY_NONCE, _ONLY_STATE, (1 << LOADED) | (1 << ARMED) | (1 << PAUSED)),
    "clear": (_ONLY_NONCE, _ONLY_STATE, 1 << FAULT),
    "clock.correct": (
        (_NONCE, _u32("time"), _text("reason", 1, 64), _KEY_ID, _hex("hmac", 64)),
        (_TIME_FLOOR,),
        _AT_REST,
    ),
    "record.list": (
        (_NONCE, _u32("after")),
        (_ints("sessions", 0, INT_MAX, 0, 64), _ACKED),
        _AT_REST | (1 << FAULT),
    ),
    "record.read": (
        (_NONCE, _u32("session"), _OFFSET),
        (_int("size", 0, RECORD_MAX), _OFFSET, _base64("data", 0)),
        _AT_REST | (1 << FAULT),
    ),
    "record.ack": ((_NONCE, _u32("session"), _SHA256), (_ACKED,), _AT_REST),
}
"""Method -> (fields of its params, fields of its result, bit mask of the states it is allowed in)."""

NOTIFICATIONS: "dict[str, Fields]" = {
    "state": (_STATE, _int("code", 0, _CODE_MAX), _SESSION_ID),
    "telemetry": (
        _STATE,
        _ZONE,
        _int("depth_um", 0, limits.DEPTH_CEILING_UM),
        _int("limit_um", 0, limits.DEPTH_CEILING_UM),
        _int("rate_per_s", 0, limits.RATE_MAX_PER_S),
        _strokes("made"),
        _strokes("forfeited"),
        _strokes("reserved"),
        _strokes("left"),
        _strokes("session_counted"),
        _SESSION_LEFT,
        _UPTIME,
    ),
    "fault": (_int("code", 1, _CODE_MAX), _int("aux", INT_MIN, INT_MAX), _STATE),
}
"""Notification -> fields of its params. The pen sends them unasked; they carry no id and get no answer."""

_NOTIFICATION_HEAD = const(b'{"jsonrpc":"2.0","method":"%s","params":{')

_FIELD_MAX = const(32)
ERROR = (_int("code", 1, _CODE_MAX), _text("message", 1, 32))
ERROR_DATA = (_text("field", 0, _FIELD_MAX), _ZONE, _null("given", INT_MIN, INT_MAX), _null("limit", INT_MIN, INT_MAX))
"""Fields of an error object; `ERROR_DATA` are those of the object under its third key, `data`."""


def allowed(method: str, state: int) -> bool:
    """Return whether `method` (of METHODS) may be carried out in `state`."""
    return METHODS[method][2] >> state & 1 == 1


# --- what the codec takes and gives ----------------------------------------------------------------------------------
class Request:
    """A legal request: `id` 1..2**32-1, `method` one of METHODS, `params` exactly the fields of its table, in range."""

    def __init__(self, request_id: int, method: str, params: "dict[str, Any]") -> None:
        self.id = request_id
        self.method = method
        self.params = params


RESULT = const(0)
FAILURE = const(1)
NOTIFICATION = const(2)


class Message:
    """What the pen said.

    | kind | id | name | values | refusal |
    |---|---|---|---|---|
    | RESULT | of the request | the method | fields of the result | None |
    | FAILURE | of the request, or None | NAME of the code | empty | what the pen refused, ready to be raised |
    | NOTIFICATION | None | state, telemetry, fault | fields of the params | None |
    """

    def __init__(
        self,
        kind: int,
        message_id: "Optional[int]",
        name: str,
        values: "dict[str, Any]",
        refusal: "Optional[Refusal]" = None,
    ) -> None:
        self.kind = kind
        self.id = message_id
        self.name = name
        self.values = values
        self.refusal = refusal


# --- encoding --------------------------------------------------------------------------------------------------------
def encode_request(method: str, request_id: int, params: "Mapping[str, Any]") -> bytes:
    """Return the line of a request; `params` holds exactly the method's fields.

    Raises LineRefusal WIRE_UNKNOWN_METHOD, or WIRE_BAD_PARAM with field, given and limit, as the pen would.
    """
    if method not in METHODS:
        raise LineRefusal(faults.WIRE_UNKNOWN_METHOD, "method")
    fields = METHODS[method][0]
    refuse_problem(_int("id", 1, INT_MAX), request_id, None)
    for field in fields:
        refuse_problem(field, params.get(field[0]), None)
    return framed(
        b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":{%s}}'
        % (request_id, method.encode(), members(fields, params))
    )


def encode_result(method: str, request_id: int, result: "Mapping[str, Any]") -> bytes:
    """Return the line that answers request `request_id` of `method`.

    Raises ValueError unless `result` is exactly what the table says, all in range. Not a Refusal: a pen that can't tell
    its own state has a fault, and its host did nothing wrong.
    """
    return framed(b'{"jsonrpc":"2.0","id":%d,"result":{%s}}' % (request_id, members(METHODS[method][1], result)))


def encode_notification(name: str, params: "Mapping[str, Any]") -> bytes:
    """Return the line of a notification; ValueError unless `params` is exactly what the table says, all in range."""
    return framed(_NOTIFICATION_HEAD % name.encode() + members(NOTIFICATIONS[name], params) + b"}}")


def telemetry_stencil() -> Stencil:
    """Return what makes telemetry's lines of its values, in the table's order."""
    return Stencil(_NOTIFICATION_HEAD % b"telemetry", NOTIFICATIONS["telemetry"])


def encode_error(request_id: "Optional[int]", refusal: Refusal) -> bytes:
    """Return the line that refuses request `request_id`, or a line that was not understood (None).

    Never fails, so that every refusal can be told: a number that doesn't fit the wire goes out as null, a field name
    that doesn't is cut or left out, an unknown code is INTERNAL.
    """
    code = refusal.code if refusal.code in faults.NAMES else faults.INTERNAL
    field = refusal.field[:_FIELD_MAX]
    data: "dict[str, Any]" = {"field": "" if text_problem(field, _FIELD_MAX) else field}
    for spec, number in zip(ERROR_DATA[1:], (refusal.zone, refusal.given, refusal.limit)):
        data[spec[0]] = None if field_problem(spec, number) else number
    return framed(
        b'{"jsonrpc":"2.0","id":%s,"error":{%s,"data":{%s}}}'
        % (
            b"null" if request_id is None else b"%d" % request_id,
            members(ERROR, {"code": code, "message": faults.NAMES[code]}),
            members(ERROR_DATA, data),
        )
    )


# --- decoding --------------------------------------------------------------------------------------------------------
def decode_request(line: bytes) -> Request:
    """Return the Request in `line` (newline included). Raises LineRefusal, the first that holds of:

    WIRE_TOO_LONG; WIRE_BAD_FORM for a byte outside `[ -~]`; WIRE_BAD_CRC; WIRE_BAD_FORM for all that is not the
    canonical encoding of a request, values out of range aside; WIRE_UNKNOWN_METHOD; WIRE_BAD_PARAM for a value out of
    range. The last two know the request's id. Of an unknown method the params are not looked at.
    """
    walker = Walker(unframe(line))
    walker.literal(b'{"jsonrpc":"2.0","id":', "jsonrpc")
    request_id = walker.message_id()
    walker.literal(b',"method":', "method")
    method = walker.string("method")
    walker.literal(b',"params":{', "params")
    if method not in METHODS:
        walker.tail(b"}}")
        raise LineRefusal(faults.WIRE_UNKNOWN_METHOD, "method", None, None, request_id)
    fields = METHODS[method][0]
    values = walker.members(fields)
    walker.literal(b"}}", "params")
    walker.end()
    return Request(request_id, method, in_range(fields, values, request_id))


def decode_message(line: bytes, pending: "Mapping[int, str]") -> Message:
    """Return the Message in `line` (newline included); `pending` names the method of each id still unanswered.

    Raises LineRefusal as `decode_request` does, WIRE_STALE_ID for the result of a request that is not pending, and
    WIRE_UNKNOWN_METHOD for a notification this build doesn't know (a newer pen may have more).
    """
    body = unframe(line)
    walker = Walker(body)
    walker.literal(b'{"jsonrpc":"2.0",', "jsonrpc")
    if body.startswith(b'"method":', walker.at):
        return _notification(walker)
    walker.literal(b'"id":', "id")
    if body.startswith(b"null", walker.at):
        walker.literal(b"null", "id")
        return _failure(walker, None)
    message_id = walker.message_id()
    if body.startswith(b',"error":', walker.at):
        return _failure(walker, message_id)
    walker.literal(b',"result":{', "result")
    if message_id not in pending:
        walker.tail(b"}}")
        raise LineRefusal(faults.WIRE_STALE_ID, "id", message_id)
    method = pending[message_id]
    fields = METHODS[method][1]
    values = walker.members(fields)
    walker.literal(b"}}", "result")
    walker.end()
    return Message(RESULT, message_id, method, in_range(fields, values, message_id))


def _notification(walker: "Walker") -> Message:
    walker.literal(b'"method":', "method")
    name = walker.string("method")
    walker.literal(b',"params":{', "params")
    if name not in NOTIFICATIONS:
        walker.tail(b"}}")
        raise LineRefusal(faults.WIRE_UNKNOWN_METHOD, "method")
    values = walker.members(NOTIFICATIONS[name])
    walker.literal(b"}}", "params")
    walker.end()
    return Message(NOTIFICATION, None, name, in_range(NOTIFICATIONS[name], values, None))


def _failure(walker: "Walker", message_id: "Optional[int]") -> Message:
    walker.literal(b',"error":{', "error")
    head = walker.members(ERROR)
    walker.literal(b',"data":{', "data")
    data = walker.members(ERROR_DATA)
    walker.literal(b"}}}", "data")
    walker.end()
    head = in_range(ERROR, head, message_id)
    data = in_range(ERROR_DATA, data, message_id)
    refusal = Refusal(head["code"], data["field"], data["given"], data["limit"], data["zone"])
    return Message(FAILURE, message_id, head["message"], {}, refusal)
