"""Makes a board this pen: serial number, limits, calibration, clinic key, and the first files of its memory. Host only.

On a board that was never provisioned the pen's memory is made first, by the pen's own code, and `prov.bin` comes last:
until then it takes no profile. What an interrupted attempt left is told from a pen's memory by knowing of nothing, and
is made anew. On a pen that has a journal only `prov.bin` is written, beside and renamed, and only to be tighter:
neither journal nor records are touched, and what is missing of them is never made up for.

A measurement is no limit that somebody chose: with a later date of calibration its depth and the offset of home may
move either way, the depth below the ceiling. One key may take another's place; no key may not.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pencore import faults, ledger, limits, provision
from pencore.faults import Fault, Refusal
from pencore.provision import KEY_SIZE, Provision
from pencore.units import Geometry
from pinprick.clock import now_s
from pinprick.errors import (
    BOARD_DIFFERS,
    PEN_MEMORY_BROKEN,
    PROVISION_LOOSER,
    PROVISION_OTHER_PEN,
    USAGE,
    InputError,
    Mismatch,
    PinprickError,
)
from pinprick.keys import ClinicKey
from pinprick.profiles.units import mm

GEOMETRY = (
    "full_steps",
    "microsteps",
    "lead_um",
    "v_max_um_s",
    "a_max_mm_s2",
    "retract_offset_um",
    "home_margin_steps",
    "stop_um",
    "dwell_us",
)
"""The mechanics of a pen, by the names that `--geometry` knows them by; `backoff_um` comes in addition."""
BACKOFF = "backoff_um"
_FASTER = ("v_max_um_s", "a_max_mm_s2", "stop_um")
"""Those that are tighter when they are less."""
_MEASURED = "retract_offset_um"
_MEMORY = ".bin"
_OPTIONS = {
    "ceiling_um": "--ceiling-mm",
    "calibration_um": "--calibration-mm",
    "calibrated_at": "--calibrated-at",
    "cartridge_strokes": "--cartridge-strokes",
    "interval_days": "--interval-days",
    "zone_caps_um": "--cap",
    "serial": "--serial",
    "backoff_um": "--geometry",
}
"""Field of a provisioning -> the option that gives it; those of the geometry come by `--geometry`."""
_DEPTHS = {"ceiling_um": "the ceiling", "calibration_um": "the calibrated depth", "zone_caps_um": "a cap"}
"""Those that options give in mm, in words."""


class Board(Protocol):
    """A board with MicroPython and its file system, as `pinprick.board.install.Board`, and with appending."""

    def files(self) -> list[str]:
        """Return the paths of all files."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""

    def append(self, path: str, data: bytes) -> None:
        """Append to a file in one write; makes the file."""

    def folders(self) -> list[str]:
        """Return the paths of all folders."""

    def make_folder(self, path: str) -> None:
        """Make a folder."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that had it; cut off, it is done or not done."""

    def remove(self, path: str) -> None:
        """Remove a file."""


@dataclass(frozen=True)
class Wishes:
    """What somebody wants of a pen; None leaves it as it is, on a new pen as the reference pen has it.

    `caps_um` by area code; `geometry` by the names of GEOMETRY and BACKOFF. The key is `written`'s matter.
    """

    serial: str
    ceiling_um: int | None = None
    calibration_um: int | None = None
    calibrated_at: int | None = None
    cartridge_strokes: int | None = None
    interval_days: int | None = None
    caps_um: Mapping[int, int] = field(default_factory=dict)
    geometry: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a board was found to be: a pen with `present`, or none yet (None); `begun` when its memory is half made."""

    present: Provision | None
    begun: bool = False


def look(board: Board) -> Found:
    """Return what `board` is; changes nothing. PinprickError PEN_MEMORY_BROKEN for a pen that lost a part of its memory
    or its provisioning.
    """
    store = _BoardStore(board)
    files = set(store.names())
    if provision.FILE in files:
        present = _decoded(store)
        lost = [name for name in (ledger.FILE, ledger.WITNESS) if name not in files]
        if lost:
            raise _broken(f"Pen {present.serial} has lost its file {lost[0]}.", lost[0])
        return Found(present)
    first = _first_files()
    known = {*first, *(name + ledger.NEW_SUFFIX for name in (provision.FILE, *first))}
    memory = sorted(name for name in files if name.endswith(_MEMORY) and name not in known)
    if memory:
        raise _broken(f"The board has the memory of a pen ({memory[0]}), but no provisioning.", provision.FILE)
    for name in files.intersection(first):
        if not first[name].startswith(store.whole(name)):
            raise _broken(f"The board has the memory of a pen ({name}), but no provisioning.", provision.FILE)
    return Found(None, bool(files & known))


def planned(found: Found, wishes: Wishes) -> Provision:
    """Return the provisioning that `wishes` come to on that board, with the key that is there; nothing is clamped.

    Raises InputError with the pen's own code for a value out of range, PROVISION_OTHER_PEN, PROVISION_LOOSER, and USAGE
    for a calibration in the future: the pen would take no profile until then.
    """
    present = found.present
    if present is not None and present.serial != wishes.serial:
        message = f"The board is pen {present.serial}, not {wishes.serial}."
        raise InputError(PROVISION_OTHER_PEN, message, field="--serial", given=wishes.serial, limit=present.serial)
    made = _merged(present or Provision(wishes.serial, limits.Bounds(Geometry())), wishes)
    if wishes.calibrated_at is not None and wishes.calibrated_at > now_s():
        message = "The calibration can't have been made in the future: the pen would take no profile until then."
        raise InputError(
            USAGE, message, field="--calibrated-at", given=wishes.calibrated_at, limit=now_s(), hint="Give its date."
        )
    try:
        provision.check(made)
    except Refusal as refusal:
        raise _out_of_range(refusal) from None
    if present is not None:
        for option, name, given, bound in _looser(present, made):
            message = f"Pen {present.serial} is provisioned with {name} {bound}; {given} would loosen it."
            raise InputError(PROVISION_LOOSER, message, field=option, given=given, limit=bound)
    return made


def with_key(found: Found, made: Provision, key: ClinicKey | None) -> Provision:
    """Give `made` this key, or none; InputError PROVISION_LOOSER for none on a pen that has one."""
    if key is None and found.present is not None and found.present.key_id:
        message = f"Pen {made.serial} has key {found.present.key_id}; without one anybody could load it."
        hint = "Give it another key: --key new, or the number of one that `pinprick key list` shows."
        raise InputError(PROVISION_LOOSER, message, field="--key", given="none", limit=found.present.key_id, hint=hint)
    made.key_id, made.key = (0, bytes(KEY_SIZE)) if key is None else (key.key_id, key.key)
    return made


def written(board: Board, found: Found, made: Provision) -> bool:
    """Write `made`, and on a new board the first files of its memory before it; return whether anything was to be done.

    All is read back; Mismatch BOARD_DIFFERS when the flash gives back something else. Cut off anywhere, it is done by
    doing it all again, `look` first.
    """
    store = _BoardStore(board)
    data = provision.encode(made)
    try:
        if found.present is None:
            _make_memory(store)
        elif provision.encode(found.present) == data:
            return False
        ledger.write_new(store, provision.FILE, data)
    except Fault as fault:
        message = "The board's flash does not give back what was written to it."
        raise Mismatch(BOARD_DIFFERS, message, field=provision.FILE, given=faults.NAMES[fault.code]) from None
    return True


def _make_memory(store: "_BoardStore") -> None:
    """Make the journal of a pen that knows nothing yet, unless it is there whole."""
    first = _first_files()
    if all(store.whole(name) == data for name, data in first.items()):
        return
    for name in (ledger.FILE, ledger.WITNESS):
        if store.size(name) >= 0:
            store.remove(name)
    ledger.create(store)
    if any(store.whole(name) != data for name, data in first.items()):
        raise Fault(faults.LEDGER_READ_BACK)


def _first_files() -> dict[str, bytes]:
    """Return the files of a pen that knows nothing yet, as the pen's own code makes them."""
    made = _Files()
    ledger.create(_BoardStore(made))
    return made.content


def _merged(base: Provision, wishes: Wishes) -> Provision:
    """Return `base` with the wishes in it; unchecked."""
    bounds = base.bounds
    numbers = dict(zip(GEOMETRY, bounds.geometry.as_list(), strict=True))
    numbers.update({name: value for name, value in wishes.geometry.items() if name != BACKOFF})
    caps = list(bounds.caps_um)
    if wishes.caps_um:
        caps = [bounds.zone_cap_um(area) for area in range(len(limits.AREAS))] + caps[len(limits.AREAS) :]
        for area, cap_um in wishes.caps_um.items():
            caps[area] = cap_um
    ceiling_um = _or(wishes.ceiling_um, bounds.ceiling_um)
    # What nobody measured follows the ceiling.
    calibration_um = _or(wishes.calibration_um, min(bounds.calibration_um, ceiling_um))
    made = Provision(
        base.serial,
        limits.Bounds(
            Geometry(**numbers),
            bounds.head,
            ceiling_um,
            calibration_um,
            tuple(caps),
            _or(wishes.cartridge_strokes, bounds.cartridge_strokes),
            _or(wishes.interval_days, bounds.interval_days),
        ),
    )
    made.backoff_um = wishes.geometry.get(BACKOFF, base.backoff_um)
    made.calibrated_at = _or(wishes.calibrated_at, base.calibrated_at)
    made.key_id, made.key = base.key_id, base.key
    return made


def _or(wish: int | None, present: int) -> int:
    return present if wish is None else wish


def _looser(old: Provision, new: Provision) -> Iterator[tuple[str, str, int | str, int | str]]:
    """Yield (option, name, given, bound) of each value that allows more than before."""
    was, now = old.bounds, new.bounds
    measured = new.calibrated_at > old.calibrated_at
    if now.ceiling_um > was.ceiling_um:
        yield "--ceiling-mm", _DEPTHS["ceiling_um"], mm(now.ceiling_um), mm(was.ceiling_um)
    if now.calibration_um > was.calibration_um and not measured:
        yield "--calibration-mm", _DEPTHS["calibration_um"], mm(now.calibration_um), mm(was.calibration_um)
    # A date that has yet to come, by a computer that was ahead, would shut the clinic out until then.
    if new.calibrated_at < old.calibrated_at <= now_s():
        yield "--calibrated-at", "a calibration of the time", new.calibrated_at, old.calibrated_at
    if now.cartridge_strokes > was.cartridge_strokes:
        yield "--cartridge-strokes", "the strokes of a cartridge", now.cartridge_strokes, was.cartridge_strokes
    if now.interval_days < was.interval_days:
        yield "--interval-days", "the days between sessions", now.interval_days, was.interval_days
    for area in range(len(limits.AREAS)):
        if now.zone_cap_um(area) > was.zone_cap_um(area):
            name = f"the cap of {limits.area_name(area)}"
            yield "--cap", name, mm(now.zone_cap_um(area)), mm(was.zone_cap_um(area))
    pairs = zip(GEOMETRY, now.geometry.as_list(), was.geometry.as_list(), strict=True)
    for name, given, bound in (*pairs, (BACKOFF, new.backoff_um, old.backoff_um)):
        tighter = given < bound and name in (*_FASTER, _MEASURED, BACKOFF)
        if given != bound and not tighter and not (name == _MEASURED and measured):
            yield "--geometry", name, given, bound


def _out_of_range(refusal: Refusal) -> InputError:
    """Return what to say of a value that no pen is provisioned with."""
    name = refusal.field.removeprefix("geometry.")
    option = _OPTIONS.get(name, "--geometry")
    given: int | str | None = refusal.given
    bound: int | str | None = refusal.limit
    if name in _DEPTHS and refusal.given is not None and refusal.limit is not None:
        given, bound = mm(refusal.given), mm(refusal.limit)
        name = _DEPTHS[name] if refusal.zone is None else f"the cap of {limits.area_name(refusal.zone)}"
    message = f"No pen is provisioned so: {name} is {given}, and the bound is {bound}."
    return InputError(refusal.code, message, field=option, given=given, limit=bound, hint="Give a value within it.")


def _decoded(store: "_BoardStore") -> Provision:
    try:
        return provision.decode(store.whole(provision.FILE))
    except Refusal:
        raise _broken("The provisioning on the board is damaged.", provision.FILE) from None


def _broken(message: str, name: str) -> PinprickError:
    return PinprickError(PEN_MEMORY_BROKEN, message, field=name)


class _BoardStore:
    """A board's flash as `pencore.ledger` knows the pen's; nothing of what is in a file gets into an error."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._has_folder: set[str] = set()

    def names(self) -> list[str]:
        """Return the paths of all files."""
        return self._board.files()

    def size(self, name: str) -> int:
        """Return a file's size; -1 for none."""
        return len(self.whole(name)) if name in self.names() else -1

    def whole(self, name: str) -> bytes:
        """Return a file's bytes; b"" for none."""
        if name not in self.names():
            return b""
        with _unsaid("read from", name):
            return self._board.read(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of a file."""
        return self.whole(name)[offset : offset + length]

    def append(self, name: str, data: bytes) -> None:
        """Append in one write; makes the file, and its folder."""
        folder = name.rpartition("/")[0]
        if folder not in ("", *self._has_folder):
            if folder not in self._board.folders():
                self._board.make_folder(folder)
            self._has_folder.add(folder)
        with _unsaid("written to", name):
            self._board.append(name, data)

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name."""
        self._board.rename(name, new_name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._board.remove(name)


@contextlib.contextmanager
def _unsaid(what: str, name: str) -> Iterator[None]:
    """Keep to ourselves what the board said instead: a piece of a key may be in it."""
    try:
        yield
    except PinprickError as error:
        raise type(error)(error.code, f"{name} can't be {what} the board.", field=name) from None


class _Files:
    """A board in memory, as far as the making of first files needs one."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def files(self) -> list[str]:
        return list(self.content)

    def folders(self) -> list[str]:
        return []

    def make_folder(self, path: str) -> None:
        """Know every folder."""

    def read(self, path: str) -> bytes:
        return self.content[path]

    def append(self, path: str, data: bytes) -> None:
        self.content[path] = self.content.get(path, b"") + data

    def rename(self, old: str, new: str) -> None:
        self.content[new] = self.content.pop(old)

    def remove(self, path: str) -> None:
        del self.content[path]
