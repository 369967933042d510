"""Whatever arrives on the wire that is no legal request changes nothing; a stop byte in it stops, in every state.

The lines are drawn near legal ones: right CRC, right nonce, one thing wrong. What is legal says the definition read
literally (`tests.support.wire_lines`), not the decoder under test.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import faults, wire
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.wire_lines import ACCEPTED, NONCE, reference_code, sealed
from tests.support.wire_strategies import almost_requests

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 100, 40, 30),
    (profiles.CHEEK, 0, 300, 8, 30),
)
STOP = b"\x18"


# --- pens in every state ---------------------------------------------------------------------------------------------
def _safe() -> Bench:
    return Bench()


def _loaded() -> Bench:
    pen = Bench()
    pen.load_new(ZONES)
    return pen


def _armed() -> Bench:
    pen = _loaded()
    pen.arm()
    pen.hold(150)
    return pen


def _running() -> Bench:
    pen = _armed()
    pen.press()
    pen.hold(200)
    return pen


def _paused() -> Bench:
    pen = _armed()
    pen.stroke_for(200)
    return pen


def _faulted() -> Bench:
    pen = _paused()
    pen.send(STOP)
    pen.hold(200)
    return pen


def _homing() -> Bench:
    pen = _loaded()
    pen.ask("arm", zone=None)
    pen.allow_zone(0)
    return pen


def _sealing() -> Bench:
    pen = _paused()
    pen.ask("finish")
    return pen


PENS: dict[int, Callable[[], Bench]] = {
    wire.SAFE: _safe,
    wire.LOADED: _loaded,
    wire.ARMED: _armed,
    wire.RUNNING: _running,
    wire.PAUSED: _paused,
    wire.FAULT: _faulted,
    wire.HOMING: _homing,
    wire.SEALING: _sealing,
}
AFTERWARDS = {wire.HOMING: wire.ARMED, wire.SEALING: wire.SAFE}
"""Where the states that pass by themselves lead to."""


# --- noise -----------------------------------------------------------------------------------------------------------
def _quiet(data: bytes) -> bytes:
    return data.replace(STOP, b"?")


_bytes = st.binary(max_size=700).map(_quiet)
_oversize = st.builds(
    lambda filler, size, end: filler * size + end,
    st.sampled_from([b"[", b"{", b" ", b'"', b"9", b"\xff", b"\x00"]),
    st.integers(1000, 3000),
    st.sampled_from([b"\n", b"*00000000\n", b""]),
)
_texts = st.sampled_from(
    [
        b"\n",
        b"*\n",
        b"*00000000\n",
        b"{}*a505df1b\n",
        b'{"jsonrpc":"2.0","method":"arm"}\n',
        b"\r\n" * 40,
        b"[" * 600 + b"\n",
        "grüße\n".encode(),
        b"\x04\x03\x02\x01\x05\r\n",
        b"import machine\r\n",
    ]
)
_spoilt = st.tuples(st.just("almost"), almost_requests())
_strangers = st.builds(
    lambda method, zone: ("foreign", method, zone),
    st.sampled_from(["arm", "finish", "stop", "clear", "pause", "ping"]),
    st.none() | st.integers(0, 3),
)
noises = st.lists(st.one_of(_bytes, _oversize, _texts, _spoilt, _spoilt, _spoilt, _strangers), min_size=1, max_size=8)


def rendered(pen: Bench, noise: object) -> bytes:
    """Return the bytes of one piece of noise for this pen: nothing in them is a legal request with its nonce."""
    if isinstance(noise, bytes):
        return noise
    assert isinstance(noise, tuple)
    nonce: str = pen.greeting["nonce"]
    if noise[0] == "foreign":
        params = {"nonce": NONCE, "zone": noise[2]} if noise[1] == "arm" else {"nonce": NONCE}
        return wire.encode_request(noise[1], 77, params)
    line = sealed(noise[1].replace(NONCE, nonce).encode("latin-1"))
    if reference_code(line) == ACCEPTED or STOP in line:
        return b"\n"
    return line


def settled(pen: Bench, state: int) -> int:
    """Return the state the pen is to be in when it was in `state` and nothing came between."""
    return AFTERWARDS.get(state, state)


def essence(pen: Bench) -> tuple[object, ...]:
    """Return what noise may not change."""
    greeting = {name: value for name, value in pen.hello().items() if name != "request_id"}
    return pen.status(), greeting, pen.snapshot_flash(), pen.plant.energised, pen.needle_strokes()


@pytest.mark.parametrize("state", PENS, ids=lambda state: wire.STATE_NAMES[state])
@settings(max_examples=25)
@given(noise=noises, cut=st.integers(0, 40))
def test_no_illegal_line_changes_anything(state: int, noise: list[object], cut: int) -> None:
    pen = PENS[state]()
    control = PENS[state]()
    sent = b"".join(rendered(pen, piece) for piece in noise)
    # A line of the host that got lost half-way is part of the noise, too; the newline ends what was begun.
    legal = pen.line("status")[: cut % 40] if cut else b""
    pen.send(sent + legal + b"\n")
    pen.run_ms(60)
    control.run_ms(60)
    for either in (pen, control):
        if state in AFTERWARDS:
            either.wait_for(AFTERWARDS[state])
        if state == wire.RUNNING:
            either.release()
            either.hold(400)
    if state == wire.RUNNING:
        assert pen.state() == control.state() == wire.PAUSED
    else:
        assert essence(pen) == essence(control)
    if state != wire.FAULT:
        pen.release()
        pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("state", PENS, ids=lambda state: wire.STATE_NAMES[state])
@settings(max_examples=25)
@given(before=noises, after=noises, inside=st.booleans())
def test_a_stop_byte_in_whatever_stops_and_does_nothing_else(
    state: int, before: list[object], after: list[object], inside: bool
) -> None:
    pen = PENS[state]()
    pen.may_coast = True
    line = pen.line("load.begin", size=300, sha256="0" * 64)
    head = b"".join(rendered(pen, piece) for piece in before)[:400]
    tail = b"".join(rendered(pen, piece) for piece in after)[:400]
    pen.send(head + (line[:20] + STOP + line[20:] if inside else STOP) + tail + b"\n")
    pen.run_ms(3)
    assert not pen.plant.energised
    pen.run_ms(100)
    assert pen.plant.depth_um() < 0
    strokes = pen.needle_strokes()
    pen.hold(800)
    status = pen.status()
    assert (status["state"], status["fault"]) == (wire.FAULT, faults.OPERATOR_STOP)
    assert pen.refusal("load.chunk", offset=0, data=b"abc") in (faults.STATE_FORBIDS, faults.LOAD_NOT_BEGUN)
    pen.release()
    pen.recover_from_fault()
    assert pen.state() == (wire.LOADED if pen.hello()["open_session"] else wire.SAFE)
    assert pen.greeting["open_session"] or state not in (wire.RUNNING, wire.PAUSED, wire.FAULT)
    assert pen.needle_strokes() == strokes
    if pen.state() == wire.LOADED:
        pen.finish_session()
    pen.pull()
    pen.check()


def test_a_stop_byte_inside_a_request_keeps_it_from_being_carried_out() -> None:
    pen = _loaded()
    line = pen.line("arm", zone=None)
    pen.send(line[:30] + STOP + line[30:])
    pen.run_ms(50)
    assert not pen.plant.energised
    assert pen.state() == wire.FAULT
    pen.recover_from_fault()
    assert pen.state() == wire.SAFE
    pen.check()


@pytest.mark.parametrize("method", ["arm", "load.begin", "finish"])
def test_a_changed_byte_keeps_a_request_from_being_carried_out(method: str) -> None:
    """Every byte of a request, changed into one that may stand there as well: digits, letters, the CRC itself."""
    all_params: dict[str, dict[str, Any]] = {"arm": {"zone": 1}, "load.begin": {"size": 300, "sha256": "0" * 64}}
    params = all_params.get(method, {})
    pen = _loaded()
    line = pen.line(method, **params)
    before = essence(pen)
    for at, byte in enumerate(line[:-1]):
        for other in {byte ^ 1, ord("0") if byte != ord("0") else ord("1"), ord("a") if byte != ord("a") else ord("b")}:
            if other in (STOP[0], byte):
                continue
            pen.send(line[:at] + bytes([other]) + line[at + 1 :])
            pen.run_ms(2)
    pen.run_ms(500)
    after = essence(pen)
    assert after == before
    pen.finish_session()
    pen.check()


def test_a_stop_in_the_middle_of_a_line_that_never_ends_stops() -> None:
    pen = _running()
    pen.may_coast = True
    pen.send(b'{"jsonrpc":"2.0","id":9,' + STOP)
    pen.run_ms(3)
    assert not pen.plant.energised
    pen.run_ms(300)
    pen.send(b"\n")
    assert pen.state() == wire.FAULT
    pen.check()


def test_noise_does_not_keep_the_lease() -> None:
    pen = _armed()
    for _ in range(30):
        pen.send(b"x" * 200 + b"\n" + sealed(b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"nonce":"0123"}}'))
        pen.run_ms(100)
    assert pen.indicator.shown == (wire.LOADED, faults.LEASE_EXPIRED)
    assert not pen.plant.energised
    pen.check()


@pytest.mark.parametrize("seed", range(3))
def test_a_flood_in_a_burst_keeps_every_stroke_exact(seed: int) -> None:
    """100 kB of noise while the needle works; the host's pings come through in between."""
    pen = _running()
    noise = random.Random(seed)
    for _ in range(50):
        pen.send(_quiet(noise.randbytes(noise.randrange(1500, 2500))) + b"\n" + pen.line("ping"))
        pen.run_ms(15)
    pen.run_ms(300)
    while pen.status()["left"][0]:
        pen.run_ms(100)
    pen.release()
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert [zone.made for zone in pen.sealed[1].zones] == [40, 8]


def test_a_host_that_does_not_read_holds_up_nothing() -> None:
    """Its window is zero for as long as it likes; telemetry is dropped, the pings count, and no stroke is lost."""
    pen = _armed()
    pen.host.reading = False
    pen.press()
    for _ in range(8):
        pen.send(pen.line("ping"))
        pen.run_ms(300)
    pen.release()
    pen.run_ms(300)
    pen.host.reading = True
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].made() == 48


def test_two_answers_a_second_to_noise() -> None:
    pen = Bench()
    for _ in range(100):
        pen.send(b"noise\n")
        pen.run_ms(20)
    pen.listen()
    assert 1 <= len(pen.strays) <= 5
