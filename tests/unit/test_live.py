"""The live picture: what it shows, at every width, on every kind of terminal, of every state, however old."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from pencore import faults, wire
from pinprick.cli import live
from pinprick.cli.following import HELP, KEYS
from pinprick.cli.live import SessionView, ZoneView, zone_views
from pinprick.cli.output import Output
from pinprick.device import Status, Telemetry
from pinprick.wording.states import ALONE, MEANING
from tests.support.profiles import CHEEK, NOSE, make, pen


def view(zones: int = 14) -> SessionView:
    """Return a session in the middle of its second zone."""
    made = SessionView("Full face, session 2 of 5", "SIM-0001 on /dev/pts/3", keys=KEYS, help_lines=HELP)
    made.zones = [ZoneView(f"zone {index}", 500, 700, 1500, 2000, left=2000) for index in range(zones)]
    made.zones[0] = ZoneView("forehead left", 400, 700, 750, 2400, 2390, 10, 0, done=True)
    made.heard(Telemetry(wire.RUNNING, 1, 500, 700, 21, 900, 100, 1100, 1000, 3400, 21_600, 4_294_967_000))
    made.heard(Telemetry(wire.RUNNING, 1, 500, 700, 21, 900, 100, 1100, 1000, 3400, 21_600, 64_704))
    return made


def draw(session: SessionView, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    with Path(os.devnull).open("w", encoding=encoding) as file:  # from its encoding rich knows what can be shown
        console = Console(width=width, height=height, file=file, force_terminal=True, color_system=None, record=True)
        console.print(session)
        return [line.rstrip() for line in console.export_text().splitlines()]


def words(session: SessionView, width: int = 80, height: int = 40) -> str:
    return " ".join(" ".join(draw(session, width, height)).split())


# --- at every size ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("width", [200, 120, 100, 80, 66, 60, 50, 44])
@pytest.mark.parametrize("height", [50, 24])
def test_the_picture_fits(width: int, height: int) -> None:
    lines = draw(view(), width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) < height
    assert "RUNNING" in "\n".join(lines[:3])
    row = next(line for line in lines if line.startswith("zone 1 "))
    assert "0.50/0.70" in row
    assert "1,000/2,000" in row
    told = " ".join(" ".join(lines).split())
    for what in ("set 0.50 mm", "limit 0.70 mm", "pen reports 0.50 mm", "900 of 2,000 strokes made", "1,100 reserved",
                 "1,000 left", "100 forfeited", "21 strokes a second", "3,400 of 28,400 strokes", "21,600 left",
                 "1:05", "last word 0.0 s ago", "held: the pen hears this computer"):  # fmt: skip
        assert what in told, what  # the pen's clock wrapped meanwhile


@pytest.mark.parametrize("height", range(3, 24))
@pytest.mark.parametrize("state", [wire.RUNNING, wire.FAULT])
def test_a_low_terminal_keeps_state_and_keys(height: int, state: int) -> None:
    session = view()
    session.state, session.fault = state, faults.LOST_STEPS
    session.note = "Something to say."
    lines = draw(session, 80, height)
    assert any(wire.STATE_NAMES[state] in line for line in lines)
    assert lines[-1].startswith("space/s stop   p pause")
    assert len(lines) < max(4, height)


def test_all_keys_are_named_at_any_width() -> None:
    for width in (44, 80):
        assert " ".join(f"{key} {what}" for key, what in KEYS) in words(view(), width)


def test_bars_are_as_long_as_what_they_show() -> None:
    lines = draw(view(), 120)
    done = next(line for line in lines if line.startswith("forehead left"))
    half = next(line for line in lines if line.startswith("zone 1 "))
    still = next(line for line in lines if line.startswith("zone 2 "))
    assert half.count("█") == 24 * 500 // 1500 + 30 // 2  # depth set, strokes counted
    assert half.count("▒") == 24 * 700 // 1500 - 24 * 500 // 1500
    assert still.count("█") == 24 * 500 // 1500
    assert done.endswith("✓")
    assert half.endswith("◂")


def test_many_zones_show_those_around_the_one_at_work() -> None:
    session = view(32)
    for at in (1, 16, 31):
        session.zone = at
        lines = draw(session, 80, 20)
        assert len(lines) < 20
        assert any(line.startswith(f"zone {at} ") for line in lines)


def test_a_terminal_without_blocks_gets_plain_signs() -> None:
    session = view()
    session.trigger = True
    lines = draw(session, encoding="ascii")
    assert all(line.isascii() for line in lines)
    assert any("#" in line for line in lines)
    assert any("[x] trigger pressed" in line for line in lines)
    assert next(line for line in lines if line.startswith("forehead left")).endswith("*")


@pytest.mark.parametrize("state", MEANING)
def test_every_state_is_named_and_explained_without_colour(state: int) -> None:
    session = view(3)
    session.state = state
    told = words(session)
    assert f" {wire.STATE_NAMES[state]} " in told
    assert MEANING[state] in told
    driven = state in live.DRIVEN
    assert ("held: the pen hears this computer" in told) == driven
    assert ("none needed, the driver is off" in told) != driven


def test_both_colours_of_a_band_are_named() -> None:
    for style in live._BANDS.values():
        assert " on " in style


def test_only_a_real_terminal_gets_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Output()
    out.console = Console(force_terminal=True)
    assert not live.on_terminal(out)
    monkeypatch.setenv("TERM", "xterm")
    assert live.on_terminal(out)
    out.json_lines = True
    assert not live.on_terminal(out)


# --- how old it is ---------------------------------------------------------------------------------------------------
def test_the_age_of_the_last_word() -> None:
    session = view(3)
    assert session.heard_at is not None
    session.heard_at -= 0.9
    assert "last word 0.9 s ago" in words(session)
    assert "OLD" not in words(session)
    session.heard_at -= 1.4
    told = words(session)
    assert "RUNNING?" in told
    assert "OLD: last word 2.3 s ago. The pen was RUNNING when last heard of." in told
    assert ALONE[wire.RUNNING] in told
    assert "in danger: the pen is not heard" in told


def test_a_pen_never_heard_of_is_not_old() -> None:
    assert "OLD" not in words(SessionView("Pen", "SIM-0001"))


def test_what_is_over_does_not_age() -> None:
    session = view(3)
    assert session.heard_at is not None
    session.heard_at -= 60
    session.ended = True
    assert "OLD" not in words(session)
    assert "space/s" not in words(session)


def test_a_lost_connection_says_what_the_pen_does_by_itself() -> None:
    session = view(3)
    session.lost = True
    told = words(session)
    assert "CONNECTION LOST" in told
    assert f"The pen was RUNNING when last heard of. {ALONE[wire.RUNNING]}" in told
    assert "lease lost" in told
    assert "held" not in told
    # In the last picture it is left to what stands below.
    session.ended = True
    assert "CONNECTION LOST" in words(session)
    assert "when last heard of" not in words(session)


# --- what it holds ---------------------------------------------------------------------------------------------------
def test_a_fault_says_what_happened_and_what_to_do() -> None:
    session = view(3)
    session.state, session.fault = wire.FAULT, faults.STOP_BUTTON
    told = words(session)
    assert "STOP_BUTTON 511 The stop button on the pen was pressed. Safe? The pen has stopped" in told
    assert "To do: Release the stop button." in told


def test_a_depth_that_is_not_the_one_set_is_shouted() -> None:
    session = view(3)
    assert "ANOTHER DEPTH" not in words(session)
    session.heard(Telemetry(wire.RUNNING, 1, 600, 700, 21, 900, 100, 1100, 1000, 3400, 21_600, 1))
    assert "set 0.50 mm limit 0.70 mm pen reports 0.60 mm THE PEN WORKS AT ANOTHER DEPTH THAN IS SET" in words(session)


def test_one_stroke_is_not_strokes() -> None:
    session = SessionView("Tiny", "SIM-0001", [ZoneView("nose", 400, 500, 750, 1, left=1)])
    session.heard(Telemetry(wire.ARMED, 0, 400, 500, 1, 0, 0, 0, 1, 0, 1, 0))
    told = words(session)
    assert "0 of 1 stroke made" in told
    assert "1 stroke a second" in told
    assert "0 of 1 stroke " in told
    assert "1 strokes" not in told


def test_limits_of_a_zone_are_the_least_of_all_that_limit_it() -> None:
    setup = pen(ceiling_um=1400, calibration_um=1300, caps_um=[2500] * NOSE + [400])
    loaded = make({"session_id": 1, "serial": "", "ledger_head": "00" * 32},
                  ((CHEEK, 1, 700, 60, 20), (NOSE, 0, 300, 40, 20)), depth_um=900)  # fmt: skip
    cheek, nose = zone_views(loaded, setup.bounds)
    assert (cheek.name, cheek.set_um, cheek.limit_um, cheek.cap_um) == ("cheek left", 700, 900, 1500)
    assert (nose.name, nose.set_um, nose.limit_um, nose.cap_um) == ("nose", 300, 400, 400)
    loaded.depth_um = 2000
    assert [zone.limit_um for zone in zone_views(loaded, setup.bounds)] == [1300, 400]


def test_zones_of_a_profile_not_known_here_are_numbered() -> None:
    session = SessionView("Pen", "SIM-0001", keys=KEYS)
    session.told(Status(wire.PAUSED, 0, 7, False, 1, 0, 90, 110, (50, 40), (0, 0), (0, 110)))
    session.heard(Telemetry(wire.PAUSED, 1, 400, 700, 21, 40, 0, 50, 110, 90, 110, 0))
    told = words(session)
    assert "zone zone 1 2 of 2 depth limit 0.70 mm pen reports 0.40 mm strokes 40 of 150 strokes made" in told
    assert session.zones[0].done
    assert not session.zones[1].done


def test_a_sealed_session_stays_in_the_picture() -> None:
    session = view(3)
    session.told(Status(wire.SAFE, 0, 0, False, None, 0, 0, 0, (), (), ()))
    assert session.counted == 3400
    assert "SAFE" in words(session)


def test_the_session_may_have_less_left_than_its_zones() -> None:
    session = view(3)
    session.heard(Telemetry(wire.RUNNING, 1, 500, 700, 21, 900, 100, 1100, 1000, 3400, 700, 1))
    assert "3,400 of 6,400 strokes 700 left" in words(session)


def test_a_needle_that_can_be_asked_has_a_mark_of_its_own() -> None:
    session = view(3)
    session.needle = True
    assert next(line for line in draw(session) if line.startswith("zone 1 ")).split()[3].startswith("-/0.50")
    session.zones[1].deepest_um = 495
    assert "0.495/0.50" in next(line for line in draw(session) if line.startswith("zone 1 "))
    assert "needle reached 0.495 mm" in words(session)
    assert "the needle" in draw(session)[-2]


def test_help_takes_the_place_of_the_zones() -> None:
    session = view(3)
    session.helping = True
    told = words(session)
    assert "Finish, pressed twice" in told
    assert "zone 1" not in told.replace("RUNNING zone 1", "")
    assert "RUNNING" in told


@pytest.mark.parametrize(("height", "told"), [(20, True), (60, False)])
def test_a_picture_without_all_zones_says_so(height: int, told: bool) -> None:
    zones = [ZoneView(f"zone {index}", 500, 500, 1000, 100) for index in range(14)]
    view = SessionView("Full face", "SIM-0001", zones)
    console = Console(width=80, height=height, record=True, file=io.StringIO())
    console.print(view, height=height)
    assert ("zones " in console.export_text()) is told


@pytest.mark.parametrize("at", [0, 6, 13])
def test_which_zones_are_shown_is_told_as_people_count(at: int) -> None:
    session = view()
    session.zone = at
    lines = draw(session, 80, 24)
    rows = [line for line in lines if "/0.70" in line]
    first, last = (1 if row.startswith("forehead") else int(row.split()[1]) + 1 for row in (rows[0], rows[-1]))
    assert 1 < len(rows) == last - first + 1 < 14
    assert first <= at + 1 <= last
    assert any(line.endswith(f"zones {first} to {last} of 14") for line in lines)


# --- in a window that changes its size -------------------------------------------------------------------------------
CLEARED = "\x1b[H\x1b[2J"


def test_a_window_of_another_size_is_cleared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Output()
    terminal = io.StringIO()
    out.console = Console(file=terminal, force_terminal=True, width=80, height=24)

    def drawn() -> str:
        terminal.seek(0)
        terminal.truncate()
        out.console.print(Text("said"))
        return terminal.getvalue()

    monkeypatch.setattr(live, "_FRAMES_PER_S", 0.001)  # drawn by this thread alone
    with live.watching(out, view()) as shown:
        assert shown
        for size in ((80, 24), (50, 24), (50, 12), (120, 40)):
            cleared = size != (80, 24)
            out.console.size = ConsoleDimensions(*size)
            assert (CLEARED in drawn()) is cleared
            # What is drawn comes after it.
            assert "RUNNING" in drawn().rpartition(CLEARED)[2]
            assert CLEARED not in drawn()
