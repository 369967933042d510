"""One conversation with a pen: everything that can go wrong on the way, the stop that waits for nothing, the lease."""

import threading
import time

import pytest

from pencore import faults, wire
from pencore.faults import Refusal
from pinprick import errors, link, simulated
from pinprick.device import Pen
from pinprick.errors import NoDevice, PinprickError
from pinprick.link import PenRefused
from tests.support.served import LONG_ZONES, Served, Tampered, load, refused, small, until


# --- the beginning ---------------------------------------------------------------------------------------------------
def test_noise_before_the_first_line_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "HELLO_REPEAT_S", link.HELLO_S)  # it gets through at the first try
    transport = bench.connect()
    transport.write(b'AT\r\nATZ\r\n{"jsonrpc"' + bytes(range(128, 256)))
    with Pen(transport) as pen:
        assert pen.info.serial == "SIM-0001"
    assert bench.state == wire.SAFE


def test_noise_from_the_pen_is_passed_over(bench: Served) -> None:
    noisy = Tampered(bench.connect())
    noisy.on_read = lambda data: data and b"\xff\x00 boot messages\r\n" + b"x" * 2000 + b"\n" + data + b"\n\n"
    with Pen(noisy) as pen:
        load(pen)
        assert pen.status().state == wire.LOADED


class Stranger:
    """Something else at the port: it says `greeting` at each write, or nothing."""

    name = "stranger"

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._said = b""

    def read(self, timeout_s: float) -> bytes:
        time.sleep(min(timeout_s, 0.01))
        said, self._said = self._said, b""
        return said

    def write(self, data: bytes) -> None:
        self._said += self._greeting or data

    def close(self) -> None:
        pass


@pytest.mark.parametrize("greeting", [b"", b"MicroPython v1.28.0; Raspberry Pi Pico\r\n>>> ", b"\x00" * 700])
def test_something_else_is_not_a_pen(monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    monkeypatch.setattr(link, "HELLO_S", 0.3)
    monkeypatch.setattr(link, "HELLO_REPEAT_S", 0.1)
    with pytest.raises(NoDevice) as caught:
        Pen(Stranger(greeting))  # the empty one gives an echo
    assert caught.value.code == errors.NOT_A_PEN
    assert "stranger" in caught.value.message


def test_nothing_at_the_port_is_a_silent_pen(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "HELLO_S", 0.3)
    bench.operator.do("power_cut")
    before = threading.active_count()
    with pytest.raises(NoDevice) as caught:
        Pen(bench.connect())
    assert caught.value.code == errors.PEN_SILENT
    assert caught.value.exit_code == 3
    assert threading.active_count() == before


def test_another_major_version_is_refused(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr("pencore.version.PROTOCOL_MAJOR", 2)
    # The pen in this process has the same constant: let it answer as the version it is.
    honest = Tampered(bench.connect())

    def as_version_one(data: bytes) -> bytes:
        monkeypatch.setattr("pencore.version.PROTOCOL_MAJOR", 1)
        return data

    honest.on_write = as_version_one
    error = refused(lambda: Pen(honest))
    assert (error.code, error.given, error.limit) == (faults.WIRE_PROTOCOL, 2, 1)


# --- stop ------------------------------------------------------------------------------------------------------------
def test_stop_works_in_every_state_and_again(bench: Served, pen: Pen) -> None:
    pen.stop()
    assert (pen.status().state, pen.status().fault) == (wire.FAULT, faults.OPERATOR_STOP)
    pen.stop()
    pen.clear()
    load(pen, small(LONG_ZONES))
    pen.stop()
    pen.clear()
    load(pen, small(LONG_ZONES))
    pen.arm()
    bench.press()
    # RUNNING comes before the id is consumed; a session is open once a stroke counts.
    until(lambda: pen.status().counted > 0)
    pen.stop()
    assert pen.state == wire.FAULT
    assert not bench.operator.needle().driver_on
    pen.clear()
    assert pen.status().state == wire.LOADED


def test_stop_does_not_wait_for_a_request_in_hand(bench: Served) -> None:
    slow = Tampered(bench.connect())
    with Pen(slow) as pen:
        load(pen)
        pen.arm()
        deaf = threading.Event()

        def only_stop(data: bytes) -> bytes | None:
            deaf.set()
            return data if data == b"\x18" else None

        slow.on_write = only_stop
        asking = threading.Thread(target=pen.status)
        asking.start()
        deaf.wait(5)
        begin = time.monotonic()
        pen.stop()
        assert time.monotonic() - begin < 1.0
        assert bench.state == wire.FAULT
        slow.on_write = lambda data: data
        asking.join(10)  # asked again, and answered
        assert not asking.is_alive()


def test_stop_that_nobody_hears_is_reported(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.3)
    cut = Tampered(bench.connect())
    with Pen(cut) as pen:
        cut.on_write = lambda _: None
        with pytest.raises(NoDevice) as caught:
            pen.stop()
        assert caught.value.code == errors.PEN_SILENT
        assert b"\x18" in cut.sent


def test_a_pen_that_says_it_is_slower_is_waited_for_as_much_longer(
    monkeypatch: pytest.MonkeyPatch, bench: Served
) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.2)
    monkeypatch.setattr(link, "REPEAT_S", 0.02)
    monkeypatch.setattr(simulated, "patience", lambda _port: 20.0)
    deaf = Tampered(bench.connect())
    with Pen(deaf) as pen:
        hears_at = time.monotonic() + 0.5
        deaf.on_write = lambda data: data if time.monotonic() > hears_at else None
        assert pen.status().state == wire.SAFE
    monkeypatch.setattr(simulated, "patience", lambda _port: 1.0)
    deaf = Tampered(bench.connect())
    with Pen(deaf) as pen:
        hears_at = time.monotonic() + 0.5
        deaf.on_write = lambda data: data if time.monotonic() > hears_at else None
        with pytest.raises(NoDevice) as caught:
            pen.status()
        assert caught.value.code == errors.PEN_SILENT


# --- the wire at its worst -------------------------------------------------------------------------------------------
def test_a_lost_answer_is_asked_for_again_and_nothing_happens_twice(
    monkeypatch: pytest.MonkeyPatch, bench: Served
) -> None:
    monkeypatch.setattr(link, "REPEAT_S", 0.1)
    lossy = Tampered(bench.connect())
    with Pen(lossy) as pen:
        losses = [0]

        def lose_every_other_answer(data: bytes) -> bytes:
            if b'"result"' in data:
                losses[0] += 1
                return b"" if losses[0] % 2 else data
            return data

        lossy.on_read = lose_every_other_answer
        load(pen)
        pen.arm()
        lossy.on_read = lambda data: data
        assert losses[0] >= 8
        assert pen.status().state == wire.ARMED
        lines = [line for line in lossy.sent if b'"arm"' in line]
        assert len(lines) == 2
        assert lines[0] == lines[1]


def test_a_line_damaged_on_its_way_is_sent_again_at_once(bench: Served) -> None:
    damaging = Tampered(bench.connect())
    with Pen(damaging) as pen:
        time.sleep(0.6)  # the pen complains twice a second at most, and has just done so of the first newline
        damaged: list[bytes] = []

        def damage_the_first(data: bytes) -> bytes:
            if not damaged:
                damaged.append(data)
                return data.replace(b"status", b"statuX")
            return data

        damaging.on_write = damage_the_first
        begin = time.monotonic()
        assert pen.status().state == wire.SAFE
        assert time.monotonic() - begin < link.REPEAT_S
        assert damaging.sent[-1] == damaged[0]


def test_every_answer_twice_is_as_good_as_once(bench: Served) -> None:
    echoing = Tampered(bench.connect())
    echoing.on_read = lambda data: data + data if data.endswith(b"\n") else data
    with Pen(echoing) as pen:
        load(pen)
        pen.arm()
        assert pen.status().state == wire.ARMED


def test_what_the_pen_says_of_a_damaged_line(pen: Pen) -> None:
    load(pen)
    assert pen.send_damaged("arm", zone=None).code == faults.WIRE_BAD_CRC
    assert pen.status().state == wire.LOADED


def test_a_reset_pen_is_greeted_anew(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.3)
    with Pen(bench.connect()) as pen:
        load(pen)
        bench.operator.do("power_cut")
        with pytest.raises(NoDevice) as caught:
            pen.status()
        assert caught.value.code == errors.PEN_SILENT
        bench.operator.do("power_on")
        bench.operator.do("wait", 100)
        with pytest.raises(PinprickError) as restarted:
            pen.status()
        assert (restarted.value.code, restarted.value.exit_code) == (errors.PEN_RESTARTED, 1)
        before = pen.info.nonce
        assert pen.hello().nonce != before
        assert pen.status().state == wire.SAFE


def test_a_port_that_closes_in_the_middle_of_a_request(bench: Served) -> None:
    cut = Tampered(bench.connect())
    with Pen(cut) as pen:

        def close(_: bytes) -> None:
            bench.server.end.close()

        cut.on_write = close
        with pytest.raises(NoDevice) as caught:
            pen.status()
        assert caught.value.code == errors.LINK_LOST
        for use in (pen.status, pen.hello, lambda: list(pen.updates(0.1))):
            with pytest.raises(NoDevice):
                use()


def test_a_closed_pen_says_so(bench: Served) -> None:
    pen = Pen(bench.connect())
    pen.close()
    pen.close()
    for use in (pen.status, pen.stop):
        with pytest.raises(NoDevice) as caught:
            use()
        assert caught.value.code == errors.LINK_LOST


def test_a_notice_that_got_lost_is_made_up_for_by_asking(bench: Served) -> None:
    lossy = Tampered(bench.connect())
    lossy.on_read = lambda data: b"".join(line for line in data.splitlines(True) if b'"state","params"' not in line)
    with Pen(lossy) as pen:
        load(pen)
        begin = time.monotonic()
        pen.arm()  # while telemetry keeps coming
        pen.zone_select(1)
        assert time.monotonic() - begin < 5.0
        assert pen.status().zone == 1


# --- the lease -------------------------------------------------------------------------------------------------------
def test_the_lease_is_kept_while_nobody_asks_for_anything(bench: Served, pen: Pen) -> None:
    load(pen)
    pen.arm()
    time.sleep(2.5)
    assert pen.status().state == wire.ARMED


def test_pings_follow_the_pens_own_clock_where_that_is_faster(bench: Served, pen: Pen) -> None:
    load(pen, small(LONG_ZONES))
    pen.arm()
    bench.press()
    until(lambda: pen.state == wire.RUNNING)
    until(lambda: pen.state != wire.RUNNING, 60)
    assert bench.operator.needle().total.crossings == 5000  # 250 s, without a lapse


def test_a_program_that_asks_no_more_holds_no_pen_where_that_is_wanted(bench: Served, pen: Pen) -> None:
    load(pen)
    pen.hold_while_asked(0.5)
    pen.arm()
    until(lambda: bench.state == wire.LOADED, 20)


def test_a_reset_pen_is_pinged_no_more(bench: Served, pen: Pen) -> None:
    load(pen)
    pen.arm()
    bench.operator.do("power_cut")
    bench.operator.do("power_on")
    until(lambda: pen.state in (wire.BOOT, wire.SAFE))
    asked = pen._link._last_id
    time.sleep(3 * link.PING_S)
    assert pen._link._last_id <= asked + 1
    assert pen.hello().state == wire.SAFE


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            Refusal(faults.COURSE_TOO_EARLY, "issued_at", 1_795_382_581, 1_797_974_565),
            "(issued_at: given 2026-11-22 21:23:01 UTC, bound 2026-12-22 21:22:45 UTC)",
        ),
        (
            Refusal(faults.TIME_BACK, "time", 0, 0xFFFFFFFF),
            "(time: given 1970-01-01 00:00:00 UTC, bound 2106-02-07 06:28:15 UTC)",
        ),
        (
            Refusal(faults.CARTRIDGE_EXPIRED, "cartridge.expires", 20_000, 0xFFFFFFFF),
            "(cartridge.expires: given 2024-10-04, bound 9999-12-31)",
        ),
        (Refusal(faults.STROKES_ABOVE_MAX, "zone.strokes", 200_001, 200_000, 2), "of zone 2: given 200,001, bound"),
        (Refusal(faults.STATE_FORBIDS, "state", wire.FAULT), "(it is FAULT)"),
    ],
)
def test_a_refusal_tells_moments_and_days_as_such(refusal: Refusal, told: str) -> None:
    assert told in PenRefused(refusal).message
