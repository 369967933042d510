"""The wire's table and codec: what is pinned, every bound of every field, and what an encoder must never send."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pencore import faults, limits, lines, profile, record, wire
from pencore.faults import Refusal
from pencore.lines import LINE_MAX, LineReader, LineRefusal
from tests.support.wire_lines import ACCEPTED, NONCE, code_of, largest, sealed, smallest

if TYPE_CHECKING:
    from pencore.lines import Field, Fields

PING = wire.encode_request("ping", 41, {"nonce": NONCE})

Encode = Callable[[dict[str, Any]], bytes]
REQUESTS: dict[str, "tuple[Fields, Encode]"] = {
    f"{name} params": (params, partial(wire.encode_request, name, 41)) for name, (params, _, _) in wire.METHODS.items()
}
FROM_PEN: dict[str, "tuple[Fields, Encode]"] = {
    **{name: (result, partial(wire.encode_result, name, 41)) for name, (_, result, _) in wire.METHODS.items()},
    **{
        f"notification {name}": (params, partial(wire.encode_notification, name))
        for name, params in wire.NOTIFICATIONS.items()
    },
}
TABLES = {**REQUESTS, **FROM_PEN}
FIELDS = [pytest.param(table, field, id=f"{table}, {field[0]}") for table in TABLES for field in TABLES[table][0]]


# --- the table --------------------------------------------------------------------------------------------------------
def test_states_are_pinned() -> None:
    assert wire.STATE_NAMES == ("BOOT", "SAFE", "LOADED", "HOMING", "ARMED", "RUNNING", "PAUSED", "SEALING", "FAULT")
    codes = [getattr(wire, name) for name in wire.STATE_NAMES]
    assert codes == list(range(9))


def test_states_of_each_method_are_pinned() -> None:
    ever = "SAFE LOADED HOMING ARMED RUNNING PAUSED SEALING FAULT"
    expected = {
        "hello": ever,
        "ping": ever,
        "status": ever,
        "load.begin": "SAFE LOADED",
        "load.chunk": "SAFE LOADED",
        "load.commit": "SAFE LOADED",
        "arm": "LOADED",
        "zone.select": "ARMED PAUSED",
        "pause": "RUNNING PAUSED",
        "stop": ever,
        "finish": "LOADED ARMED PAUSED",
        "clear": "FAULT",
        "clock.correct": "SAFE LOADED",
        "record.list": "SAFE LOADED FAULT",
        "record.read": "SAFE LOADED FAULT",
        "record.ack": "SAFE LOADED",
    }
    table = {
        method: " ".join(name for state, name in enumerate(wire.STATE_NAMES) if wire.allowed(method, state))
        for method in wire.METHODS
    }
    assert table == expected


def test_every_method_but_hello_begins_with_the_nonce() -> None:
    first = {method: params[0][0] for method, (params, _, _) in wire.METHODS.items()}
    assert first.pop("hello") == "protocol_major"
    assert set(first.values()) == {"nonce"}


def test_names_are_once_in_each_table() -> None:
    for fields, _ in TABLES.values():
        names = [field[0] for field in fields]
        assert len(set(names)) == len(names)


def test_files_fit_what_the_wire_announces() -> None:
    assert profile.SIZE_MAX <= wire.PROFILE_MAX
    assert record.SIZE_MAX <= wire.RECORD_MAX


@pytest.mark.parametrize("table", TABLES)
def test_the_longest_line_fits(table: str) -> None:
    fields, encode = TABLES[table]
    assert len(encode(largest(fields))) <= LINE_MAX


def test_the_longest_refusal_fits_and_says_everything() -> None:
    widest = Refusal(faults.CARTRIDGE_MEMORY_FULL, "~" * 32, lines.INT_MIN, lines.INT_MIN, 31)
    line = wire.encode_error(0xFFFFFFFF, widest)
    assert len(line) <= LINE_MAX
    told = wire.decode_message(line, {}).refusal
    assert told is not None
    assert str(told) == str(widest)


def test_error_names_fit() -> None:
    for code, name in faults.NAMES.items():
        message = wire.decode_message(wire.encode_error(None, Refusal(code)), {})
        assert (message.name, message.id) == (name, None)


# --- bounds -----------------------------------------------------------------------------------------------------------
def bad_values(field: "Field") -> list[tuple[Any, int | None, int | None]]:
    """Return values just outside of `field`, each with the given and limit it must be refused with."""
    _, kind, low, high, fewest, most = field
    found: list[tuple[Any, int | None, int | None]] = [(True, None, None), (1.0, None, None), ({}, None, None)]
    if kind in (lines.INTEGER, lines.NULLABLE):
        found += [(low - 1, low - 1, low), (high + 1, high + 1, high), ("1", None, None), ([1], None, None)]
        found += [(None, None, None)] if kind == lines.INTEGER else []
        return found
    found += [(None, None, None), (7, None, None)]
    if kind == lines.TEXT:
        found += [("a" * (high + 1), high + 1, high), ('"' * low or '"', None, None), ("\\", None, None)]
        found += [("\n", None, None), ("\xe4", None, None), ("\x7f", None, None), (b"a", None, None)]
        found += [("", 0, low)] if low else []
    elif kind == lines.HEX:
        found += [("0" * (high - 1), high - 1, high), ("0" * (high + 1), high + 1, high), ("A" * high, None, None)]
        found += [("0" * (high - 1) + "g", None, None), ("0" * (high - 1) + " ", None, None)]
    elif kind == lines.BASE64:
        found += [(bytes(high // 4 * 3 + 1), high + 4, high), ("AAAA", None, None)]
        found += [(b"", 0, low)] if low else []
    else:
        item = [low]
        found += [(item * (most + 1), most + 1, most), (item * (most - 1) + [high + 1], high + 1, high)]
        found += [(item * (most - 1) + [low - 1], low - 1, low), (item * (most - 1) + [True], None, None)]
        found += [(item * (most - 1) + [None], None, None), ("1,2", None, None)]
        found += [(item * (fewest - 1), fewest - 1, fewest)] if fewest else []
    return found


@pytest.mark.parametrize(("table", "field"), FIELDS)
def test_no_encoder_writes_a_value_out_of_range(table: str, field: "Field") -> None:
    fields, encode = TABLES[table]
    for value, given, limit in bad_values(field):
        values = {**smallest(fields), field[0]: value}
        if table in REQUESTS:
            with pytest.raises(LineRefusal) as caught:
                encode(values)
            refusal = caught.value
            assert (refusal.code, refusal.field) == (faults.WIRE_BAD_PARAM, field[0]), value
            assert (refusal.given, refusal.limit) == (given, limit), value
        else:
            with pytest.raises(ValueError, match=f"WIRE_BAD_PARAM field={field[0]} "):
                encode(values)


@pytest.mark.parametrize(("table", "field"), FIELDS)
def test_decoders_take_both_bounds_and_refuse_the_next_number(table: str, field: "Field") -> None:
    fields, encode = TABLES[table]
    name, kind, low, high, _, most = field
    value: int | list[int]
    for bound, beyond in ((low, low - 1), (high, high + 1)):
        if kind in (lines.INTEGER, lines.NULLABLE):
            value, text, worse = bound, str(bound), str(beyond)
        elif kind == lines.INTEGERS:
            value = [bound] * most
            text = ",".join([str(bound)] * most)
            worse = text[: -len(str(bound))] + str(beyond)
        else:
            continue
        line = encode({**smallest(fields), name: value})
        assert read(table, line)[name] == value
        body = line[:-10].decode()
        changed = body.replace(f'"{name}":[{text}]', f'"{name}":[{worse}]').replace(
            f'"{name}":{text}', f'"{name}":{worse}'
        )
        assert changed != body
        with pytest.raises(LineRefusal) as caught:
            read(table, sealed(changed.encode()))
        refusal = caught.value
        if lines.INT_MIN <= beyond <= lines.INT_MAX:
            expected = (faults.WIRE_BAD_PARAM, name, beyond, bound)
            assert (refusal.code, refusal.field, refusal.given, refusal.limit) == expected
        else:
            assert (refusal.code, refusal.field) == (faults.WIRE_BAD_FORM, name)


def read(table: str, line: bytes) -> dict[str, Any]:
    """Return the values in a line of `table`."""
    if table in REQUESTS:
        return wire.decode_request(line).params
    return wire.decode_message(line, {41: table}).values


@pytest.mark.parametrize("table", TABLES)
def test_encoders_want_exactly_the_fields(table: str) -> None:
    fields, encode = TABLES[table]
    values = smallest(fields)
    with pytest.raises(ValueError, match=f"{len(fields) + 1} values for {len(fields)} fields"):
        encode({**values, "other": 1})
    for field in fields:
        fewer = {name: value for name, value in values.items() if name != field[0]}
        with pytest.raises((ValueError, LineRefusal)):
            encode(fewer)
        with pytest.raises((ValueError, LineRefusal)):
            encode({**fewer, "other": 1})


def test_what_no_table_names_is_not_sent() -> None:
    with pytest.raises(LineRefusal) as caught:
        wire.encode_request("start", 1, {"nonce": NONCE})
    assert (caught.value.code, caught.value.field) == (faults.WIRE_UNKNOWN_METHOD, "method")
    with pytest.raises(KeyError):
        wire.encode_result("start", 1, {})
    with pytest.raises(KeyError):
        wire.encode_notification("news", {})


@pytest.mark.parametrize("request_id", [0, -1, 2**32, True, "1", None])
def test_a_request_has_an_id(request_id: Any) -> None:
    with pytest.raises(LineRefusal) as caught:
        wire.encode_request("ping", request_id, {"nonce": NONCE})
    assert (caught.value.code, caught.value.field) == (faults.WIRE_BAD_PARAM, "id")


def test_a_line_too_long_is_not_sent() -> None:
    assert len(lines.frame("x" * 1014)) == LINE_MAX
    with pytest.raises(ValueError, match="line of 1025 bytes"):
        lines.frame("x" * 1015)


# --- errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refusal(faults.ZONE_UNKNOWN, "zone", 2**32, -(2**31) - 1, 32), (503, "zone", None, None, None)),
        (Refusal(faults.ZONE_UNKNOWN, "zone", 2**400, None, -1), (503, "zone", None, None, None)),
        (Refusal(faults.ZONE_UNKNOWN, "z" * 40), (503, "z" * 32, None, None, None)),
        (Refusal(faults.ZONE_UNKNOWN, 'z"'), (503, "", None, None, None)),
        (Refusal(faults.ZONE_UNKNOWN, "\xe4"), (503, "", None, None, None)),
        (Refusal(12345, "zone", 1, 2, 3), (901, "zone", 1, 2, 3)),
        (Refusal(faults.LEDGER_SHORT, "", 2**32 - 1, -(2**31), 31), (603, "", 2**32 - 1, -(2**31), 31)),
    ],
)
def test_every_refusal_can_be_told(refusal: Refusal, told: tuple[object, ...]) -> None:
    message = wire.decode_message(wire.encode_error(41, refusal), {})
    heard = message.refusal
    assert heard is not None
    assert (heard.code, heard.field, heard.given, heard.limit, heard.zone) == told
    assert (message.kind, message.id, message.name) == (wire.FAILURE, 41, faults.NAMES[heard.code])


# --- single bytes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", ["arm params", "ping params"])
def test_any_other_byte_anywhere_is_refused(table: str) -> None:
    fields, encode = TABLES[table]
    line = encode(smallest(fields))
    assert code_of(line) == ACCEPTED
    for at in range(len(line)):
        for byte in range(256):
            if byte != line[at]:
                changed = line[:at] + bytes((byte,)) + line[at + 1 :]
                assert code_of(changed) in (faults.WIRE_BAD_FORM, faults.WIRE_BAD_CRC), changed


def test_any_byte_more_or_less_is_refused() -> None:
    for at in range(len(PING)):
        assert code_of(PING[:at] + PING[at + 1 :]) in (faults.WIRE_BAD_FORM, faults.WIRE_BAD_CRC)
        for byte in b'\n\x18 0"{}':
            longer = PING[:at] + bytes((byte,)) + PING[at:]
            if longer != PING:
                assert code_of(longer) in (faults.WIRE_BAD_FORM, faults.WIRE_BAD_CRC), longer


# --- the reader -------------------------------------------------------------------------------------------------------
def test_reader_wants_small_pieces_one_by_one() -> None:
    reader = LineReader()
    with pytest.raises(ValueError, match="piece of 513 bytes"):
        reader.feed(bytes(513))
    reader.feed(PING)
    with pytest.raises(ValueError, match="piece of 1 bytes"):
        reader.feed(b"x")
    assert reader.take() == PING
    reader.feed(b"x")
    assert reader.take() is None


def test_reader_returns_lines_of_their_own() -> None:
    reader = LineReader()
    reader.feed(PING)
    first = reader.take()
    reader.feed(PING.replace(b"ping", b"pong"))
    assert reader.take() != first
    assert first == PING


def test_lengths_of_the_protocol_are_pinned() -> None:
    assert (lines.LINE_MAX, lines.FEED_MAX, lines.STOP_BYTE) == (1024, 512, 0x18)
    assert (wire.BASE64_MAX, wire.PROFILE_MAX, wire.RECORD_MAX) == (512, 2048, 4096)
    assert (lines.INT_MIN, lines.INT_MAX) == (-(2**31), 2**32 - 1)
    assert limits.ZONES_MAX == 32
