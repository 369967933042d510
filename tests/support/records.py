"""Records for tests: made up byte by byte, or made by a virtual pen."""

from pencore import faults, record, wire
from pencore.digest import ZERO_DIGEST
from pencore.profile import Profile
from pencore.record import Record, RecordZone
from pinprick.device import Pen
from pinprick.records import RecordStore
from tests.support.profiles import CHEEK, PERIORBITAL
from tests.support.served import Served, load, small

SERIAL = "SIM-0001"


def make(
    session: int = 1,
    previous: bytes = ZERO_DIGEST,
    serial: str = SERIAL,
    start_s: int = 1_800_000_000,
    **fields: object,
) -> bytes:
    """Return the bytes of a record; `fields` change what they name."""
    sealed = Record()
    sealed.previous = previous
    sealed.profile_digest = bytes(range(32))
    sealed.serial = serial
    sealed.session = session
    sealed.profile_name = "Cheeks, session 2 of 6"
    sealed.course_id, sealed.course_index, sealed.course_of = "course-7", 2, 6
    sealed.cartridge_id, sealed.cartridge_lot, sealed.expires_day = "A-1234", "LOT-17", 22_000
    sealed.build = "00112233445566ff"
    sealed.start_s, sealed.end_s = start_s, start_s + 90
    sealed.calibration_s = 1000
    sealed.session_depth_um, sealed.session_strokes = 750, 300
    sealed.zones = [RecordZone(4, 1, 750, 200, 150, 20, 750, 21), RecordZone(3, 0, 400, 100, 0, 0, 0, 20)]
    sealed.faults = [(faults.POWER_LOST, 0, 31), (faults.STOP_BUTTON, 255, 44)]
    for name, value in fields.items():
        if not hasattr(sealed, name):
            raise AttributeError(name)
        setattr(sealed, name, value)
    return record.encode(sealed)


def chain(length: int, serial: str = SERIAL) -> list[bytes]:
    """Return the records of sessions 1, 2 ... each naming the one before."""
    made: list[bytes] = []
    for session in range(1, length + 1):
        made.append(make(session, made[-1][-32:] if made else ZERO_DIGEST, serial))
    return made


def keep(store: RecordStore, length: int, serial: str = SERIAL, without: tuple[int, ...] = ()) -> list[bytes]:
    """Keep the records of sessions 1 to `length`, but for some; return all of them."""
    made = chain(length, serial)
    for session, data in enumerate(made, 1):
        if session not in without:
            store.save(data, serial, session)
    return made


def make_session(bench: Served, pen: Pen, number: int, **options: object) -> Profile:
    """Make the first zone of a small session and seal it; `options` are those of `load`."""
    source = small(((PERIORBITAL, 1, 200, 30, 20), (CHEEK, 2, 400, 30, 20)), session=number)
    bench.operator.new_cartridge()
    load(pen, source, **options)
    pen.arm()
    bench.press()
    pen.wait_for(wire.PAUSED)
    bench.operator.do("release")
    pen.finish()
    return source
