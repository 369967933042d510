"""`pencore.runner` on ideal ports: what one turn does at most, and how often it looks for a stop byte."""

import pytest

from pencore import faults, signals
from tests.portable.ideal_pen import IdealPen
from tests.unit.test_runner import armed, paused, running


def test_no_turn_gives_more_than_one_credit() -> None:
    """Behind each is the check of its table, which takes the pen's CPU some milliseconds."""
    pen = armed()
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    given = []
    for _ in range(600):
        pen.log.entries.clear()
        pen.advance(0)
        given.append(sum(entry[0] == "credit" for entry in pen.log.entries))
        pen.time.total_ms += 1
    first = given.index(1)
    assert given[first : first + 2] == [1, 1], "two are queued nevertheless, in two turns"
    assert sum(given) > 5
    assert max(given) == 1


def kinds_sent(pen: IdealPen) -> str:
    """Return what the pen has sent since the last call: t for telemetry, a for an answer."""
    sent = b"".join(entry[1] for entry in pen.log.entries if entry[0] == "sent")
    pen.log.entries.clear()
    return "".join("t" if b'"telemetry"' in line else "a" for line in sent.split(b"\n") if line)


def in_stride() -> IdealPen:
    """Return a pen in strokes whose telemetry is not due before another 100 ms."""
    pen = running()
    pen.log.entries.clear()
    while "t" not in kinds_sent(pen):
        pen.advance(1)
    return pen


def test_telemetry_waits_for_a_turn_that_has_less_to_do_but_not_for_ever() -> None:
    pen = in_stride()
    pen.time.total_ms += 100
    pen.runner._full = True
    pen.runner._tell()
    assert kinds_sent(pen) == ""
    pen.runner.now_ms = pen.time.now_ms()
    pen.runner._tell()
    assert kinds_sent(pen) == ""
    pen.runner._full = False
    pen.runner._tell()
    assert kinds_sent(pen) == "t"
    pen.runner.now_ms += 200
    pen.runner._full = True
    pen.runner._tell()
    assert kinds_sent(pen) == "t"


def test_a_line_waits_one_turn_behind_a_credit_and_a_long_piece() -> None:
    """A turn that took in a whole line works it off no more while strokes are made: the next one does."""
    pen = in_stride()
    pen.send("ping")
    pen.step()
    assert kinds_sent(pen) == ""
    pen.step()
    assert "a" in kinds_sent(pen)
    pen = paused()
    pen.log.entries.clear()
    pen.send("ping")
    pen.step()
    assert "a" in kinds_sent(pen)


PARTS = [
    ("_take_evidence", "_watch_people"),
    ("_work", "_drive"),
    ("_drive", "_listen"),
    ("_listen", "_tell"),
    ("_tell", "_wait_ms"),
]


@pytest.mark.parametrize(("part", "then"), PARTS)
def test_a_stop_byte_that_comes_in_one_part_of_a_turn_is_seen_before_the_next(
    part: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part may take milliseconds."""
    pen = in_stride()
    act, act_then = getattr(pen.runner, part), getattr(pen.runner, then)
    seen = []

    def act_and_send() -> None:
        act()
        pen.link.to_pen += b"\x18"

    def look_and_act() -> object:
        seen.append(pen.runner.fault_code)
        return act_then()

    monkeypatch.setattr(pen.runner, part, act_and_send)
    monkeypatch.setattr(pen.runner, then, look_and_act)
    pen.step()
    assert seen == [faults.OPERATOR_STOP]
    assert not pen.engine.poll() & signals.ENABLED
    assert pen.runner.fault_code == faults.OPERATOR_STOP


def test_no_more_is_read_ahead_than_a_line_or_two() -> None:
    """Reading takes the pen's CPU some time; what isn't taken waits on the host's side."""
    pen = running()
    talk = pen.runner.talk
    pen.link.to_pen += b"a line in hand\nand another\n"
    talk.take_in()
    talk.work(pen.runner.now_ms)
    assert talk.unheard()
    pen.link.to_pen += b"x" * 3000
    for _ in range(5):
        pen.runner._look_ahead()
    assert len(talk._ahead) == 512
    assert len(pen.link.to_pen) == 2488


def test_a_stop_button_pressed_between_two_looks_is_told_as_the_button(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard has seen it before the loop does: what is said is what was pressed, and not the guard's part in it."""
    pen = in_stride()
    read = pen.inputs.read

    def read_and_press() -> int:
        bits = read()
        monkeypatch.setattr(pen.inputs, "read", read)
        pen.set_level(signals.STOP, True)
        pen.engine.trip(signals.TRIP_STOP)
        return bits

    monkeypatch.setattr(pen.inputs, "read", read_and_press)
    pen.step()
    pen.step()
    assert pen.runner.fault_code == faults.STOP_BUTTON
    assert not pen.engine.poll() & signals.ENABLED
