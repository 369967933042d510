"""Hypothesis strategies for the wire: legal messages from the tables, and requests that are almost legal."""

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from pencore import lines, wire
from tests.support.wire_lines import NONCE, largest, smallest

if TYPE_CHECKING:
    from pencore.lines import Field, Fields

Sent = tuple[str, int, dict[str, Any]]
"""Method or notification, id, params or result."""

_CHARACTERS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\')
IDS = st.integers(1, lines.INT_MAX) | st.sampled_from([1, 2, 41, lines.INT_MAX])


def value(field: "Field") -> st.SearchStrategy[Any]:
    """Return a strategy for the legal values of `field`, its bounds among them."""
    _, kind, low, high, fewest, most = field
    numbers = st.sampled_from([low, high]) | st.integers(low, high)
    if kind == lines.INTEGER:
        return numbers
    if kind == lines.NULLABLE:
        return st.none() | numbers
    if kind == lines.TEXT:
        return st.text(_CHARACTERS, min_size=low, max_size=high)
    if kind == lines.HEX:
        return st.text("0123456789abcdef", min_size=high, max_size=high)
    if kind == lines.BASE64:
        return st.binary(min_size=1 if low else 0, max_size=high // 4 * 3)
    return st.lists(numbers, min_size=fewest, max_size=most)


def values(fields: "Fields") -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for legal params or results."""
    return st.fixed_dictionaries({field[0]: value(field) for field in fields})


def _sent(name: str, fields: "Fields") -> st.SearchStrategy[Sent]:
    return st.tuples(st.just(name), IDS, values(fields))


def requests() -> st.SearchStrategy[Sent]:
    """Return a strategy for legal requests of every method."""
    return st.one_of([_sent(method, params) for method, (params, _, _) in wire.METHODS.items()])


def messages() -> st.SearchStrategy[Sent]:
    """Return a strategy for legal results and notifications; a notification's id means nothing."""
    results = [_sent(method, result) for method, (_, result, _) in wire.METHODS.items()]
    return st.one_of(results + [_sent(name, params) for name, params in wire.NOTIFICATIONS.items()])


ODD_VALUES = [
    *("0", "1", "31", "32", "-1", "-0", "+1", "01", "1.0", "1e3", "1E3", "4294967295", "4294967296", "-2147483648"),
    *("-2147483649", "9" * 400, "true", "false", "null", "nul", "NaN", "Infinity", "[]", "[1]", "[1,]", "[,1]", "{}"),
    *(
        '""',
        '"a"',
        '"a"b"',
        '"\\u0061"',
        "'a'",
        "[[1]]",
        "[[[[1]]]]",
        '{"a":{"b":1}}',
        "",
        " 1",
        "1 ",
        '"AAAA"',
        '"AA=="',
    ),
    *(f'"{NONCE}"', f'"{NONCE.upper()}"', '"\x7f"', '"\xe4"', "[1, 2]", "[1,true]", '"' + "0" * 64 + '"'),
]
KEYS = ["jsonrpc", "id", "method", "params", "nonce", "zone", "size", "extra", "", 'a"b', "Zone"]


@st.composite
def almost_requests(draw: st.DrawFn) -> str:
    """Return the JSON text of a request with up to three things wrong: values, keys, order, spaces, brackets."""
    method = draw(st.sampled_from(sorted(wire.METHODS)))
    fields = wire.METHODS[method][0]
    params = draw(st.sampled_from([smallest(fields), largest(fields)]) | values(fields))
    body = wire.encode_request(method, draw(IDS), params)[:-10].decode()
    for _ in range(draw(st.integers(0, 3))):
        body = draw(st.sampled_from(_DAMAGES))(draw, body)
    return body[:1014]


def _other_value(draw: st.DrawFn, body: str) -> str:
    """Put another value after one of the colons."""
    return _put_after(draw, body, [at for at, character in enumerate(body) if character == ":"])


def _other_param(draw: st.DrawFn, body: str) -> str:
    """Put another value after one of the colons behind that of `params`."""
    return _put_after(draw, body, [at for at, character in enumerate(body) if character == ":"][4:])


def _put_after(draw: st.DrawFn, body: str, colons: list[int]) -> str:
    if not colons:
        return body
    start = draw(st.sampled_from(colons)) + 1
    end = start
    while end < len(body) and body[end] not in ",}":
        end += 1
    return body[:start] + draw(st.sampled_from(ODD_VALUES) | st.integers().map(str)) + body[end:]


def _members_moved(draw: st.DrawFn, body: str) -> str:
    """Shuffle, drop or repeat what stands between commas."""
    parts = body.split(",")
    return ",".join(draw(st.permutations(parts) | st.lists(st.sampled_from(parts), max_size=len(parts) + 2)))


def _other_key(draw: st.DrawFn, body: str) -> str:
    keys = body.split('"')
    return body.replace(f'"{draw(st.sampled_from(keys))}"', f'"{draw(st.sampled_from(KEYS))}"', 1)


def _member_more(draw: st.DrawFn, body: str) -> str:
    at = draw(st.sampled_from([at for at, character in enumerate(body) if character in ",}"] or [0]))
    return f'{body[:at]},"{draw(st.sampled_from(KEYS))}":{draw(st.sampled_from(ODD_VALUES))}{body[at:]}'


def _text_in(draw: st.DrawFn, body: str) -> str:
    at = draw(st.integers(0, len(body)))
    more = draw(st.sampled_from([" ", "  ", "0", "-", ",", "{", "}", "[", "]", '"', ":", "\\", "\x00", "\xff", "\x18"]))
    return body[:at] + more + body[at:]


def _text_out(draw: st.DrawFn, body: str) -> str:
    at = draw(st.integers(0, len(body)))
    return body[:at] + body[at + draw(st.integers(1, 5)) :]


_DAMAGES = [
    _other_value,
    _other_param,
    _other_param,
    _other_param,
    _members_moved,
    _other_key,
    _member_more,
    _text_in,
    _text_out,
]
