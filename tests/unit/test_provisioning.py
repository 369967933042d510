"""A board made a pen: what is written, in what order, what is refused, and that any interruption is finished."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pencore import faults, ledger, limits, provision
from pencore.provision import Provision
from pensim.flash import FlashDevice, FlashImage, SimStore
from pensim.world import World, default_provision, write_provision
from pinprick import errors, provisioning
from pinprick.board import service
from pinprick.board.build import MANIFEST, Build, build
from pinprick.board.repl import ReplBoard
from pinprick.errors import PinprickError
from pinprick.keys import ClinicKey, KeyStore
from pinprick.provisioning import BACKOFF, GEOMETRY, Found, Wishes, look, planned, with_key, written
from pinprick.told import PenInfo
from tests.support.bench import Bench
from tests.support.cli import Run, settle_terminal
from tests.support.fake_board import FakeBoard, Unplugged
from tests.support.fake_repl import FakeRepl

KEY = ClinicKey(7, bytes(range(1, 33)))
OTHER = ClinicKey(8, bytes(range(33, 65)))
CALIBRATED = 1_750_000_000
DAY_S = 86_400


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settle_terminal(monkeypatch, 200)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    quick = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 20))
    monkeypatch.setattr("mpremote.transport_serial.time", quick)


def provisioned(board: FakeBoard, key: ClinicKey | None = KEY, **wishes: Any) -> Provision:
    """Provision a board as the command does; return what it is provisioned with."""
    found = look(board)
    made = planned(found, Wishes("PP-1", **wishes))
    if key is not None or found.present is None:
        made = with_key(found, made, key)
    written(board, found, made)
    return made


def code_of(board: FakeBoard, key: ClinicKey | None = None, **wishes: Any) -> tuple[int, str]:
    """Return code and field of how wishes are refused; nothing on the board may have changed."""
    before = dict(board.content)
    with pytest.raises(PinprickError) as caught:
        provisioned(board, key, **wishes)
    assert board.content == before
    return caught.value.code, caught.value.field


def files_of(setup: Provision) -> dict[str, bytes]:
    """Return the files of a new simulated pen."""
    image = FlashImage()
    write_provision(image, setup)
    store = SimStore(FlashDevice(image))
    names = [*store.names(), ledger.WITNESS]
    files = {name: store.read(name, 0, store.size(name)) for name in names}
    store.close()
    return files


def image_of(content: dict[str, bytes]) -> FlashImage:
    """Return a flash with these files."""
    image = FlashImage()
    store = SimStore(FlashDevice(image))
    for name, data in content.items():
        store.append(name, data)
    store.close()
    return image


# --- a new pen -------------------------------------------------------------------------------------------------------
def test_a_new_board_gets_what_a_simulated_pen_is_made_with() -> None:
    board = FakeBoard({"main.py": b"whatever"})
    made = provisioned(board)
    expected = default_provision("PP-1")
    expected.calibrated_at = 0
    expected.key_id, expected.key = KEY.key_id, KEY.key
    assert board.content == {"main.py": b"whatever", **files_of(expected)}
    assert provision.encode(made) == board.content[provision.FILE]


def test_the_witness_is_written_as_often_as_the_pen_s_own_code_does_it() -> None:
    """Twenty writes bring both metadata blocks of its folder into use."""
    board = FakeBoard()
    provisioned(board)
    assert [path for what, path in board.done if what == "append"].count(ledger.WITNESS) == 20
    assert [path for what, path in board.done if what in ("append", "rename")][-2:] == ["prov.bin.new", "prov.bin"]


def test_a_pen_made_so_takes_a_session_signed_with_its_key() -> None:
    from pencore import profile
    from tests.support import profiles

    board = FakeBoard()
    made = provisioned(board, ceiling_um=1200, calibrated_at=CALIBRATED)
    pen = Bench(flash=image_of(board.content), setup=made)
    pen.change_cartridge()
    said = pen.hello()
    assert (said["serial"], said["ceiling_um"], said["key_id"]) == ("PP-1", 1200, 7)
    pen.load(profile.encode(profiles.make(said), KEY.key_id, KEY.key))
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


def test_every_wish_arrives() -> None:
    board = FakeBoard()
    wishes: dict[str, Any] = {
        "ceiling_um": 2000,
        "calibration_um": 1900,
        "calibrated_at": CALIBRATED,
        "cartridge_strokes": 30_000,
        "interval_days": 28,
        "caps_um": {0: 600, 4: 1200},
        "geometry": {"retract_offset_um": 520, "stop_um": 2550, "v_max_um_s": 90_000, BACKOFF: 250},
    }
    made = provisioned(board, **wishes)
    read = provision.decode(board.content[provision.FILE])
    bounds = read.bounds
    assert (bounds.ceiling_um, bounds.calibration_um, read.calibrated_at) == (2000, 1900, CALIBRATED)
    assert (bounds.cartridge_strokes, bounds.interval_days, read.backoff_um) == (30_000, 28, 250)
    assert [bounds.zone_cap_um(area) for area in (0, 1, 4)] == [600, limits.AREAS[1][2], 1200]
    numbers = dict(zip(GEOMETRY, bounds.geometry.as_list(), strict=True))
    assert (numbers["retract_offset_um"], numbers["stop_um"], numbers["v_max_um_s"]) == (520, 2550, 90_000)
    assert provision.encode(made) == provision.encode(read)


def test_a_lower_ceiling_lowers_what_nobody_measured() -> None:
    made = provisioned(FakeBoard(), ceiling_um=1500)
    assert made.bounds.calibration_um == 1500


@pytest.mark.parametrize(
    ("wishes", "option"),
    [
        ({"ceiling_um": 2501}, "--ceiling-mm"),
        ({"ceiling_um": 99}, "--ceiling-mm"),
        ({"ceiling_um": 2000, "calibration_um": 2001}, "--calibration-mm"),
        ({"cartridge_strokes": 200_001}, "--cartridge-strokes"),
        ({"interval_days": 3}, "--interval-days"),
        ({"interval_days": 366}, "--interval-days"),
        ({"caps_um": {2: 501}}, "--cap"),
        ({"caps_um": {2: 99}}, "--cap"),
        ({"geometry": {"microsteps": 7}}, "--geometry"),
        ({"geometry": {BACKOFF: 451}}, "--geometry"),
        ({"geometry": {"stop_um": 2400}}, "--ceiling-mm"),
        ({"geometry": {"lead_um": 0}}, "--geometry"),
    ],
)
def test_nothing_is_clamped(wishes: dict[str, Any], option: str) -> None:
    assert code_of(FakeBoard(), KEY, **wishes) == (faults.PROVISION_CORRUPT, option)


@pytest.mark.parametrize(
    ("wishes", "given", "bound", "name"),
    [
        ({"ceiling_um": 2501}, "2.501 mm", "2.50 mm", "the ceiling"),
        ({"ceiling_um": 2000, "calibration_um": 2001}, "2.001 mm", "2.00 mm", "the calibrated depth"),
        ({"caps_um": {2: 501}}, "0.501 mm", "0.50 mm", "the cap of periorbital"),
        ({"geometry": {BACKOFF: 451}}, 451, 450, BACKOFF),
        ({"interval_days": 3}, 3, 4, "interval_days"),
    ],
)
def test_a_value_is_told_in_the_unit_that_it_was_given_in(
    wishes: dict[str, Any], given: object, bound: object, name: str
) -> None:
    with pytest.raises(PinprickError) as caught:
        planned(Found(None), Wishes("PP-1", **wishes))
    error = caught.value
    assert (error.given, error.limit) == (given, bound)
    assert f"{name} is {given}, and the bound is {bound}." in error.message


def test_a_serial_number_that_is_none() -> None:
    for serial in ("", 'a"b', "seventeen letters", "ä"):
        with pytest.raises(PinprickError) as caught:
            planned(Found(None), Wishes(serial))
        assert (caught.value.code, caught.value.field) == (faults.PROFILE_TEXT, "--serial")


def test_a_calibration_in_the_future_would_shut_the_clinic_out() -> None:
    tomorrow = int(time.time()) + DAY_S
    assert code_of(FakeBoard(), KEY, calibrated_at=tomorrow) == (errors.USAGE, "--calibrated-at")


# --- a pen that has a memory -----------------------------------------------------------------------------------------
@pytest.fixture
def pen() -> FakeBoard:
    """Return the board of a pen that has been used: journal and records are there."""
    board = FakeBoard()
    provisioned(
        board,
        ceiling_um=2000,
        calibrated_at=CALIBRATED,
        interval_days=28,
        cartridge_strokes=30_000,
        caps_um={4: 1200},
    )
    board.content["ledger.bin"] += bytes(640)
    board.content.update({"rec00000001.bin": b"record", "cart.bin": b"c", "course.bin": b"k", "session.bin": b"s"})
    return board


@pytest.mark.parametrize(
    ("wishes", "option"),
    [
        ({"ceiling_um": 2001}, "--ceiling-mm"),
        ({"calibration_um": 2000, "ceiling_um": 2000}, ""),
        ({"calibrated_at": CALIBRATED - 1}, "--calibrated-at"),
        ({"interval_days": 27}, "--interval-days"),
        ({"cartridge_strokes": 30_001}, "--cartridge-strokes"),
        ({"caps_um": {4: 1201}}, "--cap"),
        ({"caps_um": {1: 1000}}, ""),
        ({"geometry": {"retract_offset_um": 501}}, "--geometry"),
        ({"geometry": {"microsteps": 16}}, "--geometry"),
        ({"geometry": {"lead_um": 3999}}, "--geometry"),
        ({"geometry": {"dwell_us": 199}}, "--geometry"),
        ({"geometry": {"v_max_um_s": 100_001}}, "--geometry"),
        ({"geometry": {BACKOFF: 301}}, "--geometry"),
    ],
)
def test_a_pen_with_a_memory_is_only_tightened(pen: FakeBoard, wishes: dict[str, Any], option: str) -> None:
    if option:
        assert code_of(pen, **wishes) == (errors.PROVISION_LOOSER, option)
    else:
        provisioned(pen, None, **wishes)


@pytest.mark.parametrize(
    "wishes",
    [
        {"ceiling_um": 1999},
        {"calibration_um": 1500},
        {"interval_days": 29, "cartridge_strokes": 1},
        {"caps_um": {4: 1199, 0: 100}},
        {"geometry": {"retract_offset_um": 499, "v_max_um_s": 50_000, BACKOFF: 200}},
        {"geometry": {"retract_offset_um": 530}, "calibrated_at": CALIBRATED + 1},
        {},
    ],
)
def test_what_is_tighter_is_written_and_nothing_else_is_touched(pen: FakeBoard, wishes: dict[str, Any]) -> None:
    before = dict(pen.content)
    pen.done.clear()
    made = provisioned(pen, None, **wishes)
    assert provision.encode(made) == pen.content[provision.FILE]
    assert {name: data for name, data in pen.content.items() if before[name] != data}.keys() <= {provision.FILE}
    assert pen.content.keys() == before.keys()
    touched = {path for what, path in pen.done if what not in ("read", "files", "folders")}
    assert touched <= {"prov.bin", "prov.bin.new"}
    assert bool(touched) == bool(wishes)


def test_a_calibration_dated_by_a_computer_years_ahead_shuts_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pen takes no profile and no correction before its date."""
    board = FakeBoard()
    with monkeypatch.context() as ahead:
        ahead.setattr(provisioning, "now_s", lambda: CALIBRATED + 3652 * DAY_S)
        provisioned(board, KEY, calibrated_at=CALIBRATED + 3652 * DAY_S)
    monkeypatch.setattr(provisioning, "now_s", lambda: CALIBRATED)
    assert provisioned(board, None, calibrated_at=CALIBRATED).calibrated_at == CALIBRATED
    assert code_of(board, calibrated_at=CALIBRATED - 1) == (errors.PROVISION_LOOSER, "--calibrated-at")


def test_a_later_calibration_measures_within_the_ceiling_only(pen: FakeBoard) -> None:
    provisioned(pen, None, calibration_um=1000)
    assert code_of(pen, calibration_um=1800) == (errors.PROVISION_LOOSER, "--calibration-mm")
    assert provisioned(pen, None, calibration_um=1800, calibrated_at=CALIBRATED + DAY_S).bounds.calibration_um == 1800
    later: dict[str, Any] = {"calibration_um": 2001, "calibrated_at": CALIBRATED + 2 * DAY_S}
    assert code_of(pen, **later) == (faults.PROVISION_CORRUPT, "--calibration-mm")


def test_a_pen_keeps_its_serial_number(pen: FakeBoard) -> None:
    with pytest.raises(PinprickError) as caught:
        planned(look(pen), Wishes("PP-2"))
    assert (caught.value.code, caught.value.limit) == (errors.PROVISION_OTHER_PEN, "PP-1")


def test_a_key_may_take_another_s_place_and_none_may_not(pen: FakeBoard) -> None:
    assert provisioned(pen, OTHER).key == OTHER.key
    found = look(pen)
    with pytest.raises(PinprickError) as caught:
        with_key(found, planned(found, Wishes("PP-1")), None)
    assert (caught.value.code, caught.value.field) == (errors.PROVISION_LOOSER, "--key")


@pytest.mark.parametrize("lost", [["ledger.bin"], ["witness/seq.bin"], ["prov.bin"], ["prov.bin", "ledger.bin"]])
def test_what_a_pen_lost_is_never_made_up_for(pen: FakeBoard, lost: list[str]) -> None:
    for name in lost:
        del pen.content[name]
    assert code_of(pen, KEY)[0] == errors.PEN_MEMORY_BROKEN


def test_a_journal_that_knows_something_is_no_unfinished_one() -> None:
    board = FakeBoard()
    provisioned(board)
    del board.content["prov.bin"]
    assert look(board) == Found(None, begun=True)
    for name, more in (("ledger.bin", bytes(64)), ("witness/seq.bin", bytes(8))):
        spoilt = FakeBoard({**board.content, name: board.content[name] + more})
        assert code_of(spoilt, KEY) == (errors.PEN_MEMORY_BROKEN, "prov.bin")


def test_a_damaged_provisioning_is_said_and_shows_no_key(pen: FakeBoard) -> None:
    data = bytearray(pen.content["prov.bin"])
    data[20] ^= 1
    pen.content["prov.bin"] = bytes(data)
    assert code_of(pen, KEY) == (errors.PEN_MEMORY_BROKEN, "prov.bin")


# --- interrupted -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("used", [False, True])
def test_cut_off_anywhere_doing_it_again_finishes(used: bool, late: bool) -> None:
    """The pen that is switched on in between takes no profile, or is the one or the other."""
    start = FakeBoard()
    if used:
        provisioned(start, OTHER)
        start.content["rec00000001.bin"] = b"record"
    whole = FakeBoard(dict(start.content))
    expected = provision.encode(provisioned(whole, KEY, ceiling_um=1000))
    operations = len(whole.done)
    assert operations > (5 if used else 25)
    for at in range(operations):
        board = FakeBoard(dict(start.content))
        board.cut_at, board.late = at, late
        with pytest.raises(Unplugged):
            provisioned(board, KEY, ceiling_um=1000)
        there = board.content.get("prov.bin")
        assert there in (expected, start.content.get("prov.bin"))
        if there is None and at % 5 == 0:
            between = World(flash=image_of(board.content))
            between.power_on()
            between.run_ms(100)
            assert between.runner.provision is None
        board.plug_in()
        provisioned(board, KEY, ceiling_um=1000)
        left = {name: data for name, data in board.content.items() if not name.endswith(".new")}
        assert left == whole.content


def test_a_flash_that_gives_back_something_else_is_told() -> None:
    for name in ("prov.bin", "ledger.bin", "witness/seq.bin"):
        board = FakeBoard()
        board.spoilt.add(name)
        with pytest.raises(PinprickError) as caught:
            provisioned(board)
        assert (caught.value.code, caught.value.exit_code) == (errors.BOARD_DIFFERS, 4)
        assert "prov.bin" not in board.content


# --- the command -----------------------------------------------------------------------------------------------------
@pytest.fixture
def firmware() -> Build:
    """Return a small firmware."""
    return build({"pen/boot.py": b"X = 1\n", "pen/main.py": b"Y = 2\n"})


@pytest.fixture
def repl(firmware: Build) -> Iterator[FakeRepl]:
    """Return a board at a port, with the firmware and without a memory."""
    with FakeRepl(FakeBoard({**firmware.files, MANIFEST: firmware.manifest})) as found:
        yield found


@pytest.fixture(autouse=True)
def _says(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Have the pen that was started say what is on its board."""
    if "repl" not in request.fixturenames:
        return
    repl: FakeRepl = request.getfixturevalue("repl")
    firmware: Build = request.getfixturevalue("firmware")

    def said(_port: str) -> PenInfo | None:
        if not repl.resets:
            return None
        setup = provision.decode(repl.board.content["prov.bin"])
        fields: dict[str, Any] = dict.fromkeys(PenInfo.__dataclass_fields__, 0)
        bounds = setup.bounds
        fields |= {name: getattr(bounds, name) for name in ("ceiling_um", "calibration_um", "cartridge_strokes")}
        fields |= {"interval_days": bounds.interval_days, "zone_caps_um": tuple(bounds.caps_um)}
        fields |= {"calibrated_at": setup.calibrated_at, "geometry": tuple(bounds.geometry.as_list())}
        return PenInfo(**{**fields, "build": firmware.identity, "serial": setup.serial, "key_id": setup.key_id})

    monkeypatch.setattr(service, "answering", said)


def command(repl: FakeRepl, *more: str) -> tuple[str, ...]:
    """Return the command line for a board."""
    return ("board", "provision", "--port", repl.port, "--serial", "PP-1", *more)


@pytest.mark.slow
def test_a_board_becomes_a_pen_with_a_new_key(capsys: pytest.CaptureFixture[str], repl: FakeRepl) -> None:
    run = Run(capsys, *command(repl, "--key", "new", "--ceiling-mm", "1.5", "--cap", "cheek=1.2", "--json"))
    result = run.result
    assert (result["ok"], result["new"], result["changed"], result["verified"]) == (True, True, True, True)
    setup = provision.decode(repl.board.content["prov.bin"])
    (key,) = [event for event in run.lines if event["event"] == "key"]
    kept = KeyStore().find(key["key_id"])
    assert (setup.key_id, setup.key) == (kept.key_id, kept.key)
    assert (key["fingerprint"], key["kept"]) == (kept.fingerprint, "file")
    assert (setup.bounds.ceiling_um, setup.bounds.zone_cap_um(4)) == (1500, 1200)
    assert result["geometry"][BACKOFF] == setup.backoff_um
    for secret in (setup.key.hex(), repr(setup.key)):
        assert secret not in run.out
    again = Run(capsys, *command(repl, "--key", str(kept.key_id), "--json")).result
    assert (again["changed"], again["new"]) == (False, False)
    words = Run(capsys, *command(repl, "--ceiling-mm", "1.4")).text
    assert "provisioned anew; journal and records are as they were" in words
    assert "Pen PP-1 runs and says the same." in words


@pytest.mark.slow
def test_the_key_is_kept_here_before_it_is_on_the_pen(capsys: pytest.CaptureFixture[str], repl: FakeRepl) -> None:
    """Whenever the connection breaks off, what is on the pen can be signed for."""
    for after in range(3, 60, 11):
        repl.board.content.pop("prov.bin", None)
        repl.lose_after = after
        run = Run(capsys, *command(repl, "--key", "new", "--json"))
        repl.lose_after = None
        data = repl.board.content.get("prov.bin") or repl.board.content.get("prov.bin.new") or b""
        if len(data) > provision.HEADER_SIZE:
            setup = provision.decode(data)
            assert KeyStore().find(setup.key_id).key == setup.key
        if run.exit and any(event["event"] == "key" for event in run.lines):
            assert "--key " in run.result["error"]["hint"]


def test_a_board_that_is_lost_after_its_key_was_written_gets_no_second_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl
) -> None:
    def lost(_board: ReplBoard) -> None:
        raise errors.NoDevice(errors.BOARD_LOST, "gone")

    monkeypatch.setattr(ReplBoard, "reset", lost)
    result = Run(capsys, *command(repl, "--key", "new", "--json")).result
    (number,) = KeyStore().numbers()
    assert (result["exit"], result["key_id"]) == (3, number)
    assert f"--key {number}:" in result["error"]["hint"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ((), "--key"),
        (("--key", "00" * 32), "--key"),
        (("--key", "0"), "--key"),
        (("--key", "99"), "key_id"),
        (("--key", "none", "--ceiling-mm", "1.00005"), "--ceiling-mm"),
        (("--key", "none", "--ceiling-mm", "deep"), "--ceiling-mm"),
        (("--key", "none", "--ceiling-mm", "nan"), "--ceiling-mm"),
        (("--key", "none", "--ceiling-mm", "2.6"), "--ceiling-mm"),
        (("--key", "none", "--cap", "knee=1"), "--cap"),
        (("--key", "none", "--cap", "cheek=1", "--cap", "cheek=1"), "--cap"),
        (("--key", "none", "--geometry", "lead_um=4.5"), "--geometry"),
        (("--key", "none", "--calibrated-at", "yesterday"), "--calibrated-at"),
        (("--key", "none", "--calibrated-at", "2026-01-01T12:00:00"), "--calibrated-at"),
        (("--key", "none", "--calibrated-at", "2999-01-01"), "--calibrated-at"),
        (("--key", "none", "--serial", "P\udce9"), "--serial"),
        (("--key", "none", "--serial", ""), "--serial"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], repl: FakeRepl, more: tuple[str, ...], field: str
) -> None:
    before = dict(repl.board.content)
    result = Run(capsys, *command(repl, *more, "--json")).result
    assert (result["exit"], result["error"]["field"]) == (2, field)
    assert result["error"]["hint"]
    assert "00" * 16 not in str(result)
    assert repl.board.content == before
    assert KeyStore().numbers() == set()


def test_a_key_that_is_not_here_is_told_with_what_this_command_takes(
    capsys: pytest.CaptureFixture[str], repl: FakeRepl
) -> None:
    error = Run(capsys, *command(repl, "--key", "555", "--json")).result["error"]
    assert error["name"] == "KEY_MISSING"
    assert "`pinprick key list`" in error["hint"]
    assert "with --key" not in error["hint"]


def test_what_holds_an_area_is_told_beside_its_cap(capsys: pytest.CaptureFixture[str], repl: FakeRepl) -> None:
    repl.board.content.pop(MANIFEST)
    words = " ".join(Run(capsys, *command(repl, "--key", "none", "--ceiling-mm", "1.5")).text.split())
    assert "abdomen 1.50 mm (cap 2.00 mm, held to the ceiling)" in words
    assert "scalp 1.50 mm, " in words
    words = " ".join(Run(capsys, *command(repl, "--calibration-mm", "0.9")).text.split())
    assert "abdomen 0.90 mm (cap 2.00 mm, held to the measured depth)" in words
    assert "nose 0.75 mm, " in words


@pytest.mark.slow
def test_a_pen_that_says_something_else_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl
) -> None:
    said = service.answering
    fields = PenInfo.__dataclass_fields__

    def other(port: str) -> PenInfo | None:
        info = said(port)
        if info is None:
            return None
        return PenInfo(**{name: getattr(info, name) for name in fields} | {"ceiling_um": 2499})

    monkeypatch.setattr(service, "answering", other)
    result = Run(capsys, *command(repl, "--key", "none", "--json")).result
    assert (result["exit"], result["error"]["name"], result["error"]["field"]) == (4, "BOARD_DIFFERS", "ceiling_um")


@pytest.mark.slow
def test_a_board_without_firmware_is_a_pen_once_it_is_installed(
    capsys: pytest.CaptureFixture[str], repl: FakeRepl
) -> None:
    repl.board.content.clear()
    words = Run(capsys, *command(repl, "--key", "none")).text
    assert "`pinprick board install` comes next" in words
    assert "whoever is connected can load it" in words
    assert repl.resets == 0


def test_what_a_board_prints_instead_of_its_provisioning_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    board = FakeBoard()
    provisioned(board)

    def garbled(_path: str) -> bytes:
        raise PinprickError(errors.BOARD_FAILED, KEY.key.hex(), given=KEY.key.hex())

    monkeypatch.setattr(board, "read", garbled)
    with pytest.raises(PinprickError) as caught:
        look(board)
    assert KEY.key.hex() not in f"{caught.value.message}{caught.value.given}{caught.value.hint}"


def test_what_a_board_says_of_a_key_that_it_does_not_take_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be what it was sent: a terminal's echo."""
    board = FakeBoard()

    def echoes(path: str, data: bytes) -> None:
        raise PinprickError(errors.BOARD_FAILED, data.hex(), given=data.hex())

    provisioned(board, OTHER)
    monkeypatch.setattr(board, "append", echoes)
    with pytest.raises(PinprickError) as caught:
        provisioned(board, KEY)
    assert (caught.value.code, caught.value.field) == (errors.BOARD_FAILED, "prov.bin.new")
    assert KEY.key.hex() not in f"{caught.value.message}{caught.value.given}{caught.value.hint}"
