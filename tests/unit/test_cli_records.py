"""`pinprick records ...`: what people and programs read of it, with records of a real firmware in a virtual pen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pencore import faults
from pinprick import errors
from pinprick.cli import records as commands
from pinprick.cli.record_pictures import sessions as in_words
from pinprick.device import Pen
from pinprick.errors import InputError, NoDevice
from pinprick.records import RecordStore, describe, parse
from pinprick.records import store as stores
from pinprick.transport import Transport
from tests.support.cli import Run, settle_terminal
from tests.support.records import SERIAL, keep, make, make_session
from tests.support.served import Served, Tampered, served


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep everything in folders of the test's own."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("PINPRICK_PORT", "PINPRICK_SERIAL_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(_places: None) -> RecordStore:
    """Return the user's own store, empty."""
    return RecordStore()


@pytest.fixture
def served_pen() -> Iterator[Served]:
    """Return a pen at a TCP port."""
    with served("tcp") as pen:
        yield pen


def with_sessions(served_pen: Served, count: int) -> str:
    """Make sessions on a pen; return its port."""
    with Pen(served_pen.connect()) as pen:
        for number in range(1, count + 1):
            make_session(served_pen, pen, number)
    return served_pen.where


def acknowledged(served_pen: Served) -> tuple[list[int], int]:
    """Return what records the pen has, and how far they are acknowledged."""
    with Pen(served_pen.connect()) as pen:
        return pen.record_list()


# --- pull ------------------------------------------------------------------------------------------------------------
def test_pull_saves_verifies_and_acknowledges(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    port = with_sessions(served_pen, 3)
    run = Run(capsys, "records", "pull", "--port", port)
    assert run.exit == 0
    assert "session 2" in run.text
    assert "3 records saved and verified in" in run.text
    assert "Acknowledged to the pen: sessions 1 to 3." in run.text
    assert acknowledged(served_pen) == ([3], 3)
    assert store.inspect(SERIAL).count == 3
    again = Run(capsys, "records", "pull", "--port", port)
    assert again.exit == 0
    assert "Nothing new: session 3 is kept here already." in again.text


def test_pull_tells_programs_each_step(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    run = Run(capsys, "records", "pull", "--json", "--port", with_sessions(served_pen, 2))
    assert [(line["event"], line.get("session")) for line in run.lines[:-1]] == [
        ("record", 1),
        ("record", 2),
        ("acknowledged", 1),
        ("acknowledged", 2),
    ]
    assert run.lines[0]["file"] == str(store.path(SERIAL, 1))
    assert run.lines[0]["sha256"] == store.load(SERIAL, 1).record.digest.hex()
    expected = {"serial": SERIAL, "new": [1, 2], "kept": [], "acknowledged": [1, 2], "gaps": []}
    assert {name: run.result[name] for name in expected} == expected


def test_nothing_to_pull_is_a_success(capsys: pytest.CaptureFixture[str], served_pen: Served) -> None:
    run = Run(capsys, "records", "pull", "--port", served_pen.where)
    assert (run.exit, run.text) == (0, f"Nothing to pull: pen {SERIAL} has no records.")


def test_pull_without_acknowledgement_only_looks(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    run = Run(capsys, "records", "pull", "--no-ack", "--port", with_sessions(served_pen, 2))
    assert run.exit == 0
    assert "Nothing was acknowledged; the pen has its records still." in run.text
    assert acknowledged(served_pen) == ([1, 2], 0)
    assert store.sessions(SERIAL) == [1, 2]


def test_a_full_disk_acknowledges_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    port = with_sessions(served_pen, 2)
    write = stores.RecordStore.save

    def full_at_two(self: RecordStore, data: bytes, serial: str, session: int) -> Any:
        if session == 2:
            raise InputError(errors.FILE_UNWRITABLE, "The record cannot be written: No space left on device.")
        return write(self, data, serial, session)

    with monkeypatch.context() as broken:
        broken.setattr(RecordStore, "save", full_at_two)
        run = Run(capsys, "records", "pull", "--json", "--port", port)
    assert run.exit == 2
    assert run.result["error"]["name"] == "FILE_UNWRITABLE"
    assert (run.result["new"], run.result["acknowledged"]) == ([1], [])
    assert acknowledged(served_pen) == ([1, 2], 0)
    assert Run(capsys, "records", "pull", "--port", port).exit == 0
    assert acknowledged(served_pen) == ([2], 2)


def test_all_is_saved_before_the_first_acknowledgement(served_pen: Served, store: RecordStore) -> None:
    with_sessions(served_pen, 2)
    seen: list[list[int]] = []

    class Watching(Tampered):
        def write(self, data: bytes) -> None:
            if b"record.ack" in data:
                seen.append(store.sessions(SERIAL))
            super().write(data)

    transport: Transport = Watching(served_pen.connect())
    with Pen(transport) as pen:
        pen.pull_records(store)
    assert seen == [[1, 2], [1, 2]]


class Cut(Tampered):
    """A cable that is pulled at line `at`: before it is through, or (`after`) before the answer is."""

    def __init__(self, under: Transport, at: int, after: bool) -> None:
        super().__init__(under)
        self.left = at
        self.after = after

    def write(self, data: bytes) -> None:
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.after):
            raise NoDevice(errors.LINK_LOST, "The cable was pulled.")
        super().write(data)

    def read(self, timeout_s: float) -> bytes:
        heard = super().read(timeout_s)
        if self.left <= 0:
            raise NoDevice(errors.LINK_LOST, "The cable was pulled.")
        return heard


@pytest.mark.parametrize("after", [False, True])
def test_a_cable_pulled_at_any_line_loses_no_record(served_pen: Served, store: RecordStore, after: bool) -> None:
    with_sessions(served_pen, 2)
    cuts = 0
    lost = True
    while lost:
        cuts += 1
        lost = False
        try:
            with Pen(Cut(served_pen.connect(), cuts, after)) as pen:
                pen.pull_records(store)
        except NoDevice:
            lost = True
        assert cuts < 50
        assert store.inspect(SERIAL).good
        assert acknowledged(served_pen)[1] in (0, *store.sessions(SERIAL))
    assert cuts >= 8
    assert store.inspect(SERIAL).count == 2
    assert acknowledged(served_pen) == ([2], 2)


def test_many_records_are_pulled_under_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], served_pen: Served
) -> None:
    monkeypatch.setattr(commands, "_BAR_FROM", 2)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run = Run(capsys, "records", "pull", "--port", with_sessions(served_pen, 2))
    assert run.exit == 0
    assert "2/2" in run.out
    assert "saving" in run.out
    assert "2 records saved and verified" in run.out


def test_records_that_another_computer_took_are_gaps(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore, tmp_path: Path
) -> None:
    with_sessions(served_pen, 2)
    with Pen(served_pen.connect()) as pen:
        pen.pull_records(RecordStore(tmp_path / "another"))
    run = Run(capsys, "records", "pull", "--port", served_pen.where)
    assert run.exit == 0
    assert "Not kept here: session 1; acknowledged before," in run.text
    assert store.inspect(SERIAL).good


def test_a_pen_with_another_history_is_not_mixed_in(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    store.save(make(1), SERIAL, 1)
    run = Run(capsys, "records", "pull", "--json", "--port", with_sessions(served_pen, 2))
    assert (run.exit, run.result["error"]["name"]) == (4, "RECORDS_FORK")
    assert (store.sessions(SERIAL), store.load(SERIAL, 1).data) == ([1], make(1))
    assert acknowledged(served_pen) == ([1, 2], 0)


def test_a_pen_whose_memory_was_set_back_is_reported(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    keep(store, 3)
    run = Run(capsys, "records", "pull", "--json", "--port", with_sessions(served_pen, 1))
    assert (run.exit, run.result["error"]["name"]) == (4, "RECORDS_AHEAD")
    assert (run.result["error"]["given"], run.result["error"]["limit"]) == (1, 3)
    assert acknowledged(served_pen) == ([1], 0)


def test_a_pen_that_lost_a_record_is_found_out(served_pen: Served, store: RecordStore) -> None:
    with_sessions(served_pen, 2)
    with Pen(served_pen.connect()) as pen:
        listed = pen.record_list
        pen.record_list = lambda: (listed()[0][1:], 0)  # type: ignore[method-assign]  # a pen that forgot session 1
        with pytest.raises(errors.Mismatch) as caught:
            pen.pull_records(store)
    assert (caught.value.code, caught.value.given) == (errors.RECORD_MISMATCH, 1)
    assert acknowledged(served_pen) == ([1, 2], 0)


def test_a_pen_in_a_fault_gives_its_records_and_takes_no_acknowledgement(
    capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore
) -> None:
    port = with_sessions(served_pen, 1)
    with Pen(served_pen.connect()) as pen:
        pen.stop()
    run = Run(capsys, "records", "pull", "--json", "--port", port)
    assert (run.exit, run.result["error"]["code"]) == (1, faults.STATE_FORBIDS)
    assert (run.result["new"], run.result["acknowledged"]) == ([1], [])
    assert store.sessions(SERIAL) == [1]


# --- list ------------------------------------------------------------------------------------------------------------
LISTED = """\
Pen PP-2: 1 record
session        date  profile                 strokes    mm  ended     faults
      1  2027-01-15  Cheeks, session 2 of 6  170/300  0.75  finished       2

Pen SIM-0001: 2 records
session        date  profile                 strokes    mm  ended     faults
      1  2027-01-15  Cheeks, session 2 of 6  170/300  0.75  finished       2
      3  2027-01-15  Cheeks, session 2 of 6  170/300  0.75  finished       2

strokes: counted/allowed. mm: deepest protrusion commanded. Dates are UTC."""


def test_list_shows_all_pens(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 3, without=(2,))
    keep(store, 1, "PP-2")
    run = Run(capsys, "records", "list")
    assert (run.exit, run.text) == (0, LISTED)
    one = Run(capsys, "records", "list", "PP-2", "--json")
    assert one.result["serials"] == ["PP-2"]
    (event, _) = one.lines
    assert (event["serial"], event["session"], event["counted"], event["deepest_commanded_um"]) == ("PP-2", 1, 170, 750)
    assert event["file"] == str(store.path("PP-2", 1))


@pytest.mark.parametrize("command", ["list", "verify"])
def test_an_empty_store_is_no_error(capsys: pytest.CaptureFixture[str], command: str) -> None:
    run = Run(capsys, "records", command)
    assert run.exit == 0
    assert "No records are kept here yet." in run.text


@pytest.mark.parametrize("command", ["list", "verify", "export"])
def test_a_pen_that_nothing_is_kept_of(capsys: pytest.CaptureFixture[str], store: RecordStore, command: str) -> None:
    keep(store, 1)
    run = Run(capsys, "records", command, "PP-9", "--json")
    assert (run.exit, run.result["error"]["given"]) == (2, "PP-9")
    assert SERIAL in run.result["error"]["hint"]


def test_list_shows_a_record_that_is_not_whole_in_its_place(
    capsys: pytest.CaptureFixture[str], store: RecordStore
) -> None:
    keep(store, 3)
    store.path(SERIAL, 2).write_bytes(b"PPR1")
    run = Run(capsys, "records", "list")
    assert run.exit == 4
    assert "      2   NOT WHOLE" in run.text
    assert run.text.count("2027-01-15") == 2
    assert "1 record cannot be read whole." in run.text
    assert "is not whole" in Run(capsys, "records", "list", "--json").lines[1]["problem"]


def test_list_asks_the_pen(capsys: pytest.CaptureFixture[str], served_pen: Served, store: RecordStore) -> None:
    port = with_sessions(served_pen, 2)
    with Pen(served_pen.connect()) as pen:
        store.save(pen.record_read(1), SERIAL, 1)
    ask = ("records", "list", "--on-pen", "--port", port)
    run = Run(capsys, *ask, "--json")
    assert [(line["session"], line["acknowledged"], line["kept"]) for line in run.lines[:-1]] == [
        (1, False, True),
        (2, False, False),
    ]
    assert run.result["acknowledged"] == 0
    assert Run(capsys, "records", "pull", "--port", port).exit == 0
    assert (
        Run(capsys, *ask).text
        == """\
On pen SIM-0001: 1 record
session  acknowledged  kept here
      2  yes           yes"""
    )
    wrong = Run(capsys, "records", "list", "PP-9", "--on-pen", "--port", port, "--json")
    assert (wrong.exit, wrong.result["error"]["name"]) == (3, "WRONG_PEN")


def test_options_of_a_pen_without_a_pen_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--port", "--serial-number"):
        run = Run(capsys, "records", "list", option, "x", "--json")
        assert (run.exit, run.result["error"]["field"]) == (2, option)
    monkeypatch.setenv("PINPRICK_PORT", "x")
    assert Run(capsys, "records", "list").exit == 0


# --- show ------------------------------------------------------------------------------------------------------------
SHOWN = """\
Cheeks, session 2 of 6
Pen        SIM-0001, session 2
When       2027-01-15 08:00 UTC, 1:30 min with power on
Ended      finished
Course     course-7, session 2 of 6
Cartridge  A-1234, lot LOT-17, expiry 2030-03-27
Limits     0.75 mm, 300 strokes
Counted    170 strokes: 150 made, 20 forfeited
Firmware   build 00112233445566ff; calibrated less than an hour before; profile
           unsigned

zone        depth             mm  strokes        made  forfeited  budget  rate
cheek left  #########  0.75/0.75  #########++..   150         20     200    21
nose        ....       0.00/0.40  .............     0          0     100    20
all zones                                         150         20     300
## commanded / made   ++ forfeited   .. set / left of the budget
mm: deepest protrusion commanded/depth set.
Forfeited: reserved when something interrupted the pen; they count as made.

Interruptions and faults, minutes since the start:
  0:31  POWER_LOST 615 in cheek left
  0:44  STOP_BUTTON 511

Record   {digest}
Follows  session 1, kept here, with this digest
         {previous}
Profile  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"""

SHOWN_NARROW = """\
zone               mm  made  forfeited
cheek left  0.75/0.75   150         20
nose        0.00/0.40     0          0
all zones               150         20
mm: deepest protrusion commanded/depth set."""


def plain(run: Run) -> str:
    """Return what was said, its bars drawn with plain signs."""
    return run.text.translate(str.maketrans("█▒░", "#+."))


def test_show_draws_a_record(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    made = keep(store, 2)
    run = Run(capsys, "records", "show", "2")
    assert run.exit == 0
    assert plain(run) == SHOWN.format(digest=made[1][-32:].hex(), previous=made[0][-32:].hex())


@pytest.mark.parametrize("columns", [120, 80, 44])
@pytest.mark.parametrize("command", [["show", "2"], ["list"], ["verify"]])
def test_nothing_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    store: RecordStore,
    columns: int,
    command: list[str],
) -> None:
    settle_terminal(monkeypatch, columns)
    keep(store, 4, without=(3,))
    run = Run(capsys, "records", *command)
    assert run.exit == 0
    assert max(map(len, run.text.splitlines())) <= columns
    if command[0] == "show":
        assert (SHOWN_NARROW in plain(run)) == (columns == 44)


def test_show_gives_programs_the_whole_record(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    made = keep(store, 1)
    result = Run(capsys, "records", "show", "1", "--json").result
    assert result["record"] == json.loads(json.dumps(describe(parse(made[0]))))
    assert result["file"] == str(store.path(SERIAL, 1))
    assert result["follows"] == "nothing: this is the pen's first session"


def test_show_says_what_is_known_of_the_record_before(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 3, without=(1,))
    assert "session 1, which is not kept here" in Run(capsys, "records", "show", "2").text
    store.path(SERIAL, 2).write_bytes(make(2, b"\x01" * 32))
    assert "NOT the record of session 2 that is kept here" in Run(capsys, "records", "show", "3").text


def test_show_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "copy.ppr"
    path.write_bytes(make(7, b"\x01" * 32, faults=[], zones=parse(make()).zones[1:], more_faults=0))
    run = Run(capsys, "records", "show", str(path))
    assert run.exit == 0
    assert "SIM-0001, session 7" in run.text
    assert "orfeited:" not in run.text
    assert "Interruptions" not in run.text
    path.write_bytes(make()[:-1])
    assert Run(capsys, "records", "show", str(path)).exit == 4
    assert Run(capsys, "records", "show", str(tmp_path / "no.ppr")).exit == 2


def test_show_never_chooses_between_pens(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 2)
    keep(store, 1, "PP-2")
    run = Run(capsys, "records", "show", "1", "--json")
    assert (run.exit, run.result["error"]["field"]) == (2, "--serial-number")
    assert "PP-2, SIM-0001" in run.result["error"]["message"]
    named = Run(capsys, "records", "show", "1", "--serial-number", "PP-2", "--json")
    assert named.result["record"]["serial"] == "PP-2"
    assert Run(capsys, "records", "show", "2", "--json").result["record"]["serial"] == SERIAL
    absent = Run(capsys, "records", "show", "9", "--serial-number", SERIAL, "--json")
    assert (absent.exit, absent.result["error"]["hint"]) == (2, "Kept here: sessions 1 to 2.")


def test_more_faults_than_a_record_has_room_for(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    store.save(make(more_faults=5), SERIAL, 1)
    assert "and 5 more, which the record has no room for" in Run(capsys, "records", "show", "1").text


# --- verify ----------------------------------------------------------------------------------------------------------
def test_verify_of_whole_chains_with_a_gap(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 5, without=(2, 3))
    keep(store, 1, "PP-2")
    run = Run(capsys, "records", "verify")
    assert run.exit == 0
    assert (
        run.text
        == """\
ok   PP-2  1 record verified
ok   SIM-0001  3 records verified
     Not here  sessions 2 to 3: never pulled to this computer, or taken away"""
    )


def test_verify_names_the_first_bad_link(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: RecordStore
) -> None:
    settle_terminal(monkeypatch, 250)
    made = keep(store, 6)
    other = make(3, made[1][-32:], start_s=5)
    store.path(SERIAL, 3).write_bytes(other)
    store.path(SERIAL, 3).with_suffix(".json").unlink()
    run = Run(capsys, "records", "verify")
    assert run.exit == 4
    assert run.out == (
        "BAD  SIM-0001  3 records verified\n"
        f"     First bad  session 4  {store.path(SERIAL, 4)}\n"
        "                The record of session 4 of pen SIM-0001 does not follow the record of session 3.\n"
        f"     Expected   {other[-32:].hex()}\n"
        f"     Found      {made[2][-32:].hex()}\n"
        "     After it   sessions 5 to 6: unverified, nothing can be said behind a bad link\n"
    )
    assert "RECORD_MISMATCH 1304  The record of session 4 of pen SIM-0001 does not follow" in run.err
    (event, result) = Run(capsys, "records", "verify", SERIAL, "--json").lines
    assert event["first_bad"]["session"] == 4
    assert event["first_bad"]["expected"] == other[-32:].hex() == result["error"]["limit"]
    assert (event["good"], event["count"], event["unverified"]) == (False, 3, [5, 6])


def test_verify_goes_on_with_the_other_pens(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 2)
    keep(store, 2, "PP-2")
    keep(store, 1, "PP-3")
    store.path(SERIAL, 1).write_bytes(b"")
    store.path("PP-2", 1).with_suffix(".json").write_text("{}")
    run = Run(capsys, "records", "verify", "--json")
    assert [(line["serial"], line["good"]) for line in run.lines[:-1]] == [
        ("PP-2", False),
        ("PP-3", True),
        (SERIAL, False),
    ]
    message = run.result["error"]["message"]
    assert str(store.path(SERIAL, 1)) in message  # a broken chain weighs more than an edited copy
    assert "(and 1 pen more)" in message


def test_verify_finds_an_edited_copy(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 2)
    path = store.path(SERIAL, 1).with_suffix(".json")
    path.write_text(path.read_text().replace('"made": 150', '"made": 15'))
    run = Run(capsys, "records", "verify", "--json")
    assert (run.exit, run.result["error"]["field"]) == (4, "made")
    assert run.lines[0]["edited"] == [{"session": 1, "file": str(path), "field": "made"}]
    assert "the record counts" in " ".join(Run(capsys, "records", "verify").text.split())


def test_verify_tells_of_a_copy_without_its_record(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 2)
    store.path(SERIAL, 2).unlink()
    run = Run(capsys, "records", "verify", "--json")
    assert (run.exit, run.lines[0]["first_bad"]["kind"], run.lines[0]["orphans"]) == (4, "gone", [2])
    assert "only its JSON copy is left." in " ".join(Run(capsys, "records", "verify").text.split())


# --- export and import -----------------------------------------------------------------------------------------------
def test_export_to_a_file(capsys: pytest.CaptureFixture[str], store: RecordStore, tmp_path: Path) -> None:
    keep(store, 4)
    path = tmp_path / "out.csv"
    command = ("records", "export", "--format", "csv", "--out", str(path), "--from", "2", "--to", "3")
    run = Run(capsys, *command)
    assert run.exit == 0
    assert f"Wrote 2 records to {path}." in " ".join(run.text.split())
    assert len(path.read_bytes().split(b"\r\n")) == 1 + 2 * 2 + 1
    again = Run(capsys, *command, "--json")
    assert (again.exit, again.result["error"]["name"]) == (2, "FILE_EXISTS")
    assert Run(capsys, *command, "--force", "--json").result["records"] == 2


def test_export_to_the_screen_is_the_export_alone(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    keep(store, 1)
    run = Run(capsys, "records", "export")
    assert [said["session"] for said in json.loads(run.out)["records"]] == [1]
    assert run.err == ""
    csv_text = Run(capsys, "records", "export", "--format", "csv", "--out", "-").out
    result = Run(capsys, "records", "export", "--format", "csv", "--json").result
    assert (result["text"], result["file"], result["format"]) == (csv_text, None, "csv")


def test_export_of_a_record_that_is_not_whole_writes_nothing(
    capsys: pytest.CaptureFixture[str], store: RecordStore, tmp_path: Path
) -> None:
    keep(store, 2)
    store.path(SERIAL, 2).write_bytes(b"")
    assert Run(capsys, "records", "export", "--out", str(tmp_path / "out")).exit == 4
    assert not (tmp_path / "out").exists()


def test_export_of_no_sessions_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "records", "export", "--from", "3", "--to", "2").exit == 2
    assert Run(capsys, "records", "export", "--from", "0").exit == 2


def test_what_is_exported_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: RecordStore, tmp_path: Path
) -> None:
    made = keep(store, 3)
    path = tmp_path / "out.json"
    assert Run(capsys, "records", "export", "--out", str(path)).exit == 0
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "other"))
    RecordStore().save(made[0], SERIAL, 1)
    run = Run(capsys, "records", "import", str(path), "--json")
    assert run.result["new"] == [{"serial": SERIAL, "session": 2}, {"serial": SERIAL, "session": 3}]
    assert run.result["kept"] == [{"serial": SERIAL, "session": 1}]
    assert RecordStore().load(SERIAL, 3).data == made[2]
    assert Run(capsys, "records", "import", str(path)).text == "0 records imported; 3 kept here already."
    assert Run(capsys, "records", "import", str(store.path(SERIAL, 1))).exit == 2


# --- words -----------------------------------------------------------------------------------------------------------
def test_sessions_in_words() -> None:
    assert in_words([4]) == "session 4"
    assert in_words([1, 2, 3, 5, 7, 8]) == "sessions 1 to 3, 5, 7 to 8"


def test_every_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pull", "list", "show", "verify", "export", "import"):
        run = Run(capsys, "records", command, "--help")
        assert run.exit == 0
        assert "--json" in run.out
    assert "deepest_commanded_um" in Run(capsys, "records", "export", "--help").out
