"""docs/protocol.md: the page is what the tables say, every message and field is explained, its example is legal."""

from pathlib import Path

import pytest

from pencore import faults, wire
from pencore.lines import LineRefusal
from pinprick import protocol_doc

PAGE = Path(__file__).parents[2] / protocol_doc.PATH


def test_page_is_up_to_date() -> None:
    assert PAGE.read_bytes() == protocol_doc.render().encode(), "run `make docs`"


def test_page_is_the_same_every_time() -> None:
    assert protocol_doc.render() == protocol_doc.render()


@pytest.mark.parametrize("method", wire.METHODS)
def test_page_explains_each_method(method: str) -> None:
    _, _, after = protocol_doc.render().partition(f"\n### {method}\n\n")
    section = after.partition("\n#")[0]
    params, result, _ = wire.METHODS[method]
    for message, fields in ((f"{method} params", params), (method, result)):
        for field in fields:
            assert f"| `{field[0]}` | " in section
            assert protocol_doc.field_text(message, field[0]) in section


@pytest.mark.parametrize("name", wire.NOTIFICATIONS)
def test_page_explains_each_notification(name: str) -> None:
    _, _, after = protocol_doc.render().partition(f"\n### Notification {name}\n\n")
    section = after.partition("\n#")[0]
    for field in wire.NOTIFICATIONS[name]:
        assert f"| `{field[0]}` | " in section
        assert protocol_doc.field_text(name, field[0]) in section


def test_every_text_is_of_a_message_there_is() -> None:
    tables = dict(wire.NOTIFICATIONS)
    for method, (params, result, _) in wire.METHODS.items():
        tables[f"{method} params"] = params
        tables[method] = result
    used = {(message, field[0]) for message, fields in tables.items() for field in fields}
    assert set(protocol_doc.FIELD_TEXT_AT) <= used
    general = {name for message, name in used if (message, name) not in protocol_doc.FIELD_TEXT_AT}
    assert set(protocol_doc.FIELD_TEXT) == general
    assert set(protocol_doc.METHOD_TEXT) == set(wire.METHODS)
    assert set(protocol_doc.NOTIFICATION_TEXT) == set(wire.NOTIFICATIONS)


def test_page_lists_each_code_once() -> None:
    page = protocol_doc.render()
    for code, name in faults.NAMES.items():
        assert page.count(f"\n| {code} | `{name}` | ") == 1


def test_example_is_a_conversation() -> None:
    example = protocol_doc.render().partition("\n## A conversation\n")[2].partition("\n## ")[0]
    said = [line for line in example.splitlines() if line.startswith(("> {", "< {"))]
    assert len(said) > 30
    nonce = ""
    pending: dict[int, str] = {}
    refused = []
    for text in said:
        line = text[2:].encode() + b"\n"
        if text[0] == ">":
            try:
                request = wire.decode_request(line)
            except LineRefusal as refusal:
                refused.append(refusal.code)
                continue
            pending[request.id] = request.method
            assert request.params.get("nonce", "") == nonce
        else:
            message = wire.decode_message(line, pending)
            nonce = message.values.get("nonce", nonce)
    assert refused == [faults.WIRE_BAD_CRC, faults.WIRE_BAD_PARAM]
    assert "record.ack" in pending.values()
