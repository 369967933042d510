"""What a host that only listens knows of a session."""

import pytest

from pencore import wire
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, profiles.NONE, 100, 7, 30), (profiles.CHEEK, 1, 200, 5, 20))


@pytest.mark.parametrize("finish_after", [None, 3])
def test_the_last_word_before_a_session_is_sealed_has_all_of_its_strokes(finish_after: int | None) -> None:
    pen = Bench()
    pen.load_new(ZONES)
    if finish_after is None:
        pen.finish_session()
    else:
        pen.arm()
        pen.stroke_for(110)
        pen.insist("finish")
        pen.wait_for(wire.SAFE)
    pen.listen()
    told = [note for note in pen.notes if note.name == "telemetry"]
    counted = sum(pen.needle_strokes().values())
    assert told[-1].values["state"] == wire.SEALING
    assert told[-1].values["session_counted"] == counted > 0
    assert pen.notes.index(told[-1]) < max(at for at, note in enumerate(pen.notes) if note.name == "state")
    pen.pull()
    assert pen.sealed[1].counted() == counted
