"""What uses up a cartridge: the first reservation, and nothing before it."""

from functools import partial

from pencore import course, faults, record
from pencore.faults import Refusal
from pensim.faults import fault
from tests.support import flash_files, profiles
from tests.support.bench import Bench

CHEEK: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 500, 12, 30),)
CARTRIDGE = "BOX-3/7"


def data(pen: Bench) -> bytes:
    """Return a profile for the pen's next session with the one cartridge of these tests."""
    return profiles.data(pen.hello(), CHEEK, cartridge_id=CARTRIDGE)


def refused(pen: Bench) -> int:
    """Return the code with which a profile with the cartridge is refused; 0 when it is taken."""
    try:
        pen.load(data(pen))
    except Refusal as refusal:
        return refusal.code
    return 0


def test_arming_without_a_stroke_uses_no_cartridge() -> None:
    pen = Bench()
    pen.change_cartridge()
    for _ in range(3):
        assert refused(pen) == 0
        pen.arm()
        pen.hold(200)
        pen.insist("finish")
    assert course.CARTRIDGE_FILE not in flash_files.names(pen.snapshot_flash())
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    assert refused(pen) == 0
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].cartridge_id == CARTRIDGE
    pen.change_cartridge()
    assert refused(pen) == faults.CARTRIDGE_USED


def test_an_arming_that_is_given_up_uses_no_cartridge() -> None:
    """By the host that is gone, by a stop, by the power."""
    pen = Bench()
    pen.change_cartridge()
    assert refused(pen) == 0
    pen.arm()
    pen.run_ms(2500)
    pen.arm()
    pen.send(b"\x18")
    pen.run_ms(200)
    pen.recover_from_fault()
    assert refused(pen) == 0
    pen.arm()
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    assert refused(pen) == 0
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


def test_the_first_reservation_uses_it_with_or_without_a_stroke() -> None:
    """Cut in every operation from the press on: while the session has made no stroke, it may be loaded anew with its
    cartridge; once its id is consumed the cartridge serves no other.
    """
    seen = set()
    for number in range(60):
        pen = Bench()
        pen.change_cartridge()
        loaded = data(pen)
        pen.load(loaded)
        pen.arm()
        pen.hold(150)
        pen.cut_at_operation(pen.flash.operations + number)
        pen.press()
        pen.without_power(partial(pen.hold, 400))
        pen.release()
        if pen.powered:
            break
        pen.restart()
        seen.add(pen.greeting["open_session"])
        if not pen.greeting["open_session"]:
            assert not any(pen.needle_strokes().values())
            pen.change_cartridge()
            pen.load(loaded)
        pen.finish_session()
        pen.pull()
        pen.change_cartridge()
        assert refused(pen) == faults.CARTRIDGE_USED
        pen.check()
    assert seen == {0, 1}


def test_opened_while_the_pen_does_not_trust_its_memory_it_ends_the_session() -> None:
    """The session is forgotten then, and is there again after a clear: its cartridge may be another one by now."""
    pen = Bench()
    pen.load_new(CHEEK)
    pen.arm()
    pen.stroke_for(200)
    before = pen.needle_strokes()
    pen.damage.do(fault("counter-bit", counter="outstanding", bit=4))
    pen.run_ms(100)
    assert pen.status()["fault"] == faults.MEMORY_CORRUPT
    pen.change_cartridge()
    pen.run_ms(100)
    pen.recover_from_fault()
    pen.run_ms(500)
    assert pen.status()["session_id"] == 0
    pen.pull()
    assert pen.sealed[1].end_reason == record.END_CARTRIDGE
    assert pen.needle_strokes() == before
    pen.play_session(CHEEK)
    pen.check()
