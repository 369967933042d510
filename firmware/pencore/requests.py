"""What a host may ask, one function per method of the wire's table. Runs on the pen and in the simulator.

Each takes the runner and the checked params and returns the result, or raises a Refusal; then nothing has changed. None
of them can start a stroke. Allocates the answer; `load.begin` a buffer of the profile's size.
"""

from pencore import course, faults, profile, record, session, signals, tasks, version, wire
from pencore.compat import const
from pencore.digest import DIGEST_SIZE, ZERO_DIGEST, crc32, equal, sha256, to_hex
from pencore.faults import Refusal
from pencore.ledger import ACK, FLAG_CLEARED, INTERRUPT, NO_ZONE, Entry
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pencore.profile import Profile
    from pencore.provision import Provision
    from pencore.runner import Runner
    from pencore.session import Session

    Params = Mapping[str, Any]
    Result = dict[str, Any]

_DATA_BYTES = const(384)
_LIST_MOST = const(64)
_LOOKS = const(5)
_WAIT_MS = const(1000)
_DOUBLINGS = const(6)
_WAIT_MOST_MS = const(60_000)
_FORGET_MS = const(600_000)


class Transfer:
    """A profile on its way in: `size` and `sha256` announced, `data` received so far."""

    def __init__(self) -> None:
        self.size = 0
        self.sha256 = ""
        self.data = b""

    def begin(self, size: int, digest: str) -> None:
        """Start over."""
        self.size = size
        self.sha256 = digest
        self.data = b""


class Denials:
    """What was wrongly signed: five are looked at as they come, then each makes the next wait, 1, 2, 4 and at most 60
    s. What comes meanwhile is not looked at and prolongs nothing, so that nobody is shut out for longer. Ten minutes
    without a wrong one, or a new boot, forget all; a right one doesn't: who has recorded one has as many as he likes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._since_ms = 0

    def look(self, now_ms: int, check: "Callable[[], None]") -> None:
        """Carry out `check`, which refuses what is wrongly signed; Refusal SIGNATURE_WAIT while it isn't looked at."""
        passed_ms = ms_since(now_ms, self._since_ms)
        # What lies more than 24 days back reads as being ahead.
        if not 0 <= passed_ms < _FORGET_MS:
            self._count = 0
        if self._count >= _LOOKS:
            wait_ms = min(_WAIT_MS << min(self._count - _LOOKS, _DOUBLINGS), _WAIT_MOST_MS)
            if passed_ms < wait_ms:
                raise Refusal(faults.SIGNATURE_WAIT, "hmac", (wait_ms - passed_ms + 999) // 1000)
        try:
            check()
        except Refusal as refusal:
            if refusal.code == faults.SIGNATURE_WRONG:
                self._count += 1
                self._since_ms = now_ms
            raise


# --- small things ----------------------------------------------------------------------------------------------------
def _state(pen: "Runner") -> "Result":
    return {"state": pen.state}


def _idle(pen: "Runner") -> None:
    """Refuse while a task is in hand: it ends within a second or two, and the host asks again."""
    if pen.busy():
        raise Refusal(faults.BUSY, "state", pen.state)


def _provision(pen: "Runner") -> "Provision":
    if pen.provision is None:
        raise Refusal(faults.NOT_PROVISIONED, "provision")
    return pen.provision


def _session(pen: "Runner") -> "Session":
    if pen.session is None:
        raise Refusal(faults.NO_PROFILE, "profile")
    return pen.session


def _at_rest(pen: "Runner") -> None:
    """Refuse what needs the flash while the needle isn't home; just after a cut it only needs a moment more."""
    if pen.coasting():
        raise Refusal(faults.BUSY, "home")
    if not pen.at_rest():
        raise Refusal(faults.NOT_AT_HOME, "home")


# --- who and how -----------------------------------------------------------------------------------------------------
def hello(pen: "Runner", params: "Params") -> "Result":
    """Say who this pen is, what it allows, and what a profile for it must carry."""
    if params["protocol_major"] != version.PROTOCOL_MAJOR:
        raise Refusal(faults.WIRE_PROTOCOL, "protocol_major", params["protocol_major"], version.PROTOCOL_MAJOR)
    ledger = pen.ledger
    account = ledger.open
    result = {
        "protocol_major": version.PROTOCOL_MAJOR,
        "protocol_minor": version.PROTOCOL_MINOR,
        "firmware": version.FIRMWARE,
        "build": pen.ports.identity.build(),
        "serial": "",
        "head": profile.HEAD_PEN,
        "nonce": pen.talk.nonce,
        "request_id": pen.talk.last_id,
        "state": pen.state,
        "session_id": ledger.next_session(),
        "open_session": 0 if account is None else account.session,
        "open_digest": to_hex(ZERO_DIGEST if pen.session is None else pen.session.profile.digest),
        "ledger_head": to_hex(pen.head),
        "ceiling_um": 0,
        "calibration_um": 0,
        "calibrated_at": 0,
        "cartridge_strokes": 0,
        "interval_days": 0,
        "key_id": 0,
        "time_floor": ledger.time_floor_s,
        "records": ledger.last_session - ledger.acked,
        "zone_caps_um": [],
        "geometry": [0] * 9,
    }
    provision = pen.provision
    if provision is not None:
        bounds = provision.bounds
        result["serial"] = provision.serial
        result["head"] = bounds.head
        result["ceiling_um"] = bounds.ceiling_um
        result["calibration_um"] = bounds.calibration_um
        result["calibrated_at"] = provision.calibrated_at
        result["cartridge_strokes"] = bounds.cartridge_strokes
        result["interval_days"] = bounds.interval_days
        result["key_id"] = provision.key_id
        result["zone_caps_um"] = list(bounds.caps_um)
        result["geometry"] = bounds.geometry.as_list()
    return result


def ping(pen: "Runner", _params: "Params") -> "Result":
    """Keep the lease."""
    return {"state": pen.state, "uptime_ms": pen.now_ms}


def status(pen: "Runner", _params: "Params") -> "Result":
    """Say everything about the session."""
    work = pen.session
    zones = 0 if work is None else len(work.profile.zones)
    counted = 0 if work is None else work.total()
    return {
        "state": pen.state,
        "fault": pen.fault_code,
        "session_id": pen.session_id(),
        "resumed": 1 if work is not None and work.resumed else 0,
        "zone": None if work is None or work.zone == NO_ZONE else work.zone,
        "inputs": pen.inputs,
        "counted": counted,
        "session_left": 0 if work is None else work.profile.strokes - counted,
        "made": [] if work is None else [work.made(zone) for zone in range(zones)],
        "forfeited": [] if work is None else [work.forfeited(zone) for zone in range(zones)],
        "left": [] if work is None else [work.left(zone) for zone in range(zones)],
    }


# --- load ------------------------------------------------------------------------------------------------------------
def load_begin(pen: "Runner", params: "Params") -> "Result":
    """Begin a transfer; one that was under way is forgotten."""
    _provision(pen)
    pen.transfer.begin(params["size"], params["sha256"])
    return {"size": params["size"]}


def load_chunk(pen: "Runner", params: "Params") -> "Result":
    """Take the next piece; pieces come in order and without gaps."""
    transfer = pen.transfer
    if transfer.size == 0:
        raise Refusal(faults.LOAD_NOT_BEGUN, "offset")
    if params["offset"] != len(transfer.data):
        raise Refusal(faults.LOAD_OFFSET, "offset", params["offset"], len(transfer.data))
    if len(transfer.data) + len(params["data"]) > transfer.size:
        raise Refusal(faults.LOAD_SIZE, "data", len(transfer.data) + len(params["data"]), transfer.size)
    transfer.data += params["data"]
    return {"received": len(transfer.data)}


def load_commit(pen: "Runner", _params: "Params") -> "Result":
    """Take the transferred profile whole, or refuse it whole."""
    _idle(pen)
    transfer = pen.transfer
    if transfer.size == 0:
        raise Refusal(faults.LOAD_NOT_BEGUN, "size")
    data = transfer.data
    if len(data) != transfer.size:
        raise Refusal(faults.LOAD_SIZE, "size", len(data), transfer.size)
    if to_hex(sha256(data)) != transfer.sha256:
        raise Refusal(faults.LOAD_DIGEST, "sha256")
    accept(pen, data)
    transfer.begin(0, "")
    work = _session(pen)
    return {
        "session_id": work.session,
        "sha256": to_hex(work.profile.digest),
        "zones": len(work.profile.zones),
        "resumed": 1 if work.resumed else 0,
    }


def accept(pen: "Runner", data: bytes) -> None:
    """Make the profile in `data` the loaded one, or refuse it: form, signature, addressee, limits, memory, in this
    order.
    """
    _provision(pen)
    provision = tasks.renew(pen)
    loaded = profile.decode(data)
    pen.denials.look(pen.now_ms, lambda: profile.check_signature(data, provision.key_id, provision.key))
    if loaded.serial != provision.serial:
        raise Refusal(faults.PROFILE_SERIAL, "serial")
    account = pen.ledger.open
    if account is not None:
        # Only the very profile that was interrupted goes on; it has passed every other check when it was first loaded.
        if pen.session is None or loaded.digest != pen.session.profile.digest:
            raise Refusal(faults.SESSION_OPEN, "session_id", loaded.session_id, account.session)
        return
    if loaded.session_id != pen.ledger.next_session():
        raise Refusal(faults.PROFILE_SESSION_ID, "session_id", loaded.session_id, pen.ledger.next_session())
    if loaded.ledger_head != pen.head:
        raise Refusal(faults.PROFILE_LEDGER_HEAD, "ledger_head")
    for problem in profile.problems(loaded, provision.bounds):
        raise problem
    _check_memory(pen, loaded, provision)
    pen.session = session.Session(loaded, None, provision.bounds.cartridge_strokes)
    pen.profile_data = data
    pen.fire(session.LOAD)


def _check_memory(pen: "Runner", loaded: "Profile", provision: "Provision") -> None:
    ledger = pen.ledger
    course.check_time(loaded.issued_at, ledger.time_floor_s, provision.calibrated_at)
    last = pen.memory.course(loaded.course_id)
    course.check_course(loaded, last, ledger.corrected_session, ledger.corrected_to_s)
    course.check_cartridge(pen.memory.cartridge_session(loaded.cartridge_id), loaded.session_id)
    tasks.check_room(pen)
    check_cartridge_seated(pen)
    if not pen.cartridge.changed:
        raise Refusal(faults.CARTRIDGE_NOT_CHANGED, "cartridge")


def check_cartridge_seated(pen: "Runner") -> None:
    """Refuse while the cartridge holder is open."""
    if not pen.cartridge.closed or not pen.inputs & signals.CARTRIDGE:
        raise Refusal(faults.CARTRIDGE_OPEN, "cartridge")


# --- the session -----------------------------------------------------------------------------------------------------
def arm(pen: "Runner", params: "Params") -> "Result":
    """Begin to home for a zone (null: the first with strokes left); ARMED follows when all is ready."""
    work = _session(pen)
    _idle(pen)
    zone = params["zone"]
    if zone is None:
        zone = work.first_unspent()
        if zone == NO_ZONE:
            raise Refusal(faults.SESSION_SPENT, "zone", work.total(), work.profile.strokes)
    work.choose(zone)
    if work.resumed:
        # The pen may have been provisioned anew since this profile was accepted.
        for problem in profile.problems(work.profile, _provision(pen).bounds):
            raise problem
    check_cartridge_seated(pen)
    if not work.opened and not pen.cartridge.changed:
        raise Refusal(faults.CARTRIDGE_NOT_CHANGED, "cartridge")
    if pen.trigger.down:
        raise Refusal(faults.TRIGGER_HELD, "trigger")
    pen.fire(session.ARM)
    pen.start(tasks.arm(pen, zone))
    return _state(pen)


def zone_select(pen: "Runner", params: "Params") -> "Result":
    """Make another zone the one at work, at home."""
    _idle(pen)
    _session(pen).choose(params["zone"])
    pen.start(tasks.select(pen, params["zone"]))
    return _state(pen)


def pause(pen: "Runner", _params: "Params") -> "Result":
    """Finish the stroke in progress and wait for a fresh press."""
    if pen.state == wire.RUNNING:
        pen.end_burst(session.PAUSE, 0)
    return _state(pen)


def stop(pen: "Runner", _params: "Params") -> "Result":
    """Stop at once."""
    pen.stop(faults.OPERATOR_STOP)
    return _state(pen)


def finish(pen: "Runner", _params: "Params") -> "Result":
    """Seal the open session; a profile that made no stroke is unloaded without a record."""
    work = _session(pen)
    _idle(pen)
    if pen.motion is not None and pen.motion.queued:
        # The stroke in progress is always finished.
        raise Refusal(faults.BUSY, "state", pen.state)
    pen.cut()
    if work.opened:
        pen.fire(session.FINISH)
        pen.start(tasks.seal(pen, record.END_FINISHED))
    else:
        pen.session = None
        pen.fire(session.DISCARD)
    return _state(pen)


def clear(pen: "Runner", _params: "Params") -> "Result":
    """Leave FAULT when its cause is gone; motion needs a new homing all the same."""
    if pen.inputs & signals.STOP:
        raise Refusal(faults.STOP_STILL_PRESSED, "stop")
    if pen.talk.stop_behind():
        # It came after this request, however late this is looked at: a stop is the last word.
        raise Refusal(faults.BUSY, "stop")
    _at_rest(pen)
    if not pen.sound:
        pen.recall()
    _idle(pen)
    if pen.must_seal:
        raise Refusal(faults.BUSY, "state", pen.state)
    if pen.ledger.latched:
        pen.append([Entry(INTERRUPT, 0, aux=pen.fault_code, flags=FLAG_CLEARED)])
    pen.clear_fault()
    return _state(pen)


def clock_correct(pen: "Runner", params: "Params") -> "Result":
    """Move the time floor, signed for this very request when there is a clinic key, with a reason; logged."""
    provision = _provision(pen)
    _idle(pen)
    _at_rest(pen)
    if pen.session is not None and not pen.session.opened:
        # Its time was checked against the floor that this would move.
        raise Refusal(faults.STATE_FORBIDS, "state", pen.state)
    pen.denials.look(pen.now_ms, lambda: _check_correction(pen, params))
    if params["time"] < provision.calibrated_at:
        raise Refusal(faults.TIME_BACK, "time", params["time"], provision.calibrated_at)
    pen.append([pen.ledger.correction(params["time"], crc32(params["reason"].encode()))])
    return {"time_floor": pen.ledger.time_floor_s}


def _check_correction(pen: "Runner", params: "Params") -> None:
    """Refuse a correction that isn't signed as this pen demands."""
    provision = _provision(pen)
    signature = course.correction_hmac(
        provision.key,
        provision.serial,
        pen.talk.nonce,
        pen.talk.request_id,
        params["time"],
        params["reason"],
    )
    if params["key_id"] != provision.key_id:
        raise Refusal(faults.KEY_UNKNOWN if params["key_id"] else faults.SIGNATURE_MISSING, "key_id")
    expected = to_hex(signature if provision.key_id else ZERO_DIGEST)
    if not equal(expected.encode(), params["hmac"].encode()):
        raise Refusal(faults.SIGNATURE_WRONG, "hmac")


# --- records ---------------------------------------------------------------------------------------------------------
def record_list(pen: "Runner", params: "Params") -> "Result":
    """Return the ids of up to 64 records after `after` that are still on the pen."""
    ledger = pen.ledger
    sessions: "list[int]" = []
    first = max(params["after"] + 1, tasks.oldest_kept(pen.ledger))
    for session_id in range(first, ledger.last_session + 1):
        if len(sessions) == _LIST_MOST:
            break
        if pen.ports.store.size(tasks.record_name(session_id)) > 0:
            sessions.append(session_id)
    return {"sessions": sessions, "acked": ledger.acked}


def record_read(pen: "Runner", params: "Params") -> "Result":
    """Return a piece of a record."""
    store = pen.ports.store
    name = tasks.record_name(params["session"])
    size = store.size(name) if 0 < params["session"] <= pen.ledger.last_session else -1
    if size <= 0:
        raise Refusal(faults.RECORD_UNKNOWN, "session", params["session"], pen.ledger.last_session)
    if params["offset"] > size:
        raise Refusal(faults.WIRE_BAD_PARAM, "offset", params["offset"], size)
    return {"size": size, "offset": params["offset"], "data": store.read(name, params["offset"], _DATA_BYTES)}


def record_ack(pen: "Runner", params: "Params") -> "Result":
    """Take the host's word that it holds a record: the oldest one first, proved by its digest. Then it may go."""
    _idle(pen)
    _at_rest(pen)
    ledger = pen.ledger
    wanted = params["session"]
    if wanted != ledger.acked + 1 or wanted > ledger.last_session:
        raise Refusal(faults.RECORD_ACK_ORDER, "session", wanted, ledger.acked + 1)
    data = tasks.read_record(pen.ports.store, wanted)
    if params["sha256"] != to_hex(data[-DIGEST_SIZE:]):
        raise Refusal(faults.RECORD_DIGEST, "sha256")
    pen.append([Entry(ACK, wanted)])
    pen.start(tasks.drop_record(pen, wanted - 1))
    return {"acked": ledger.acked}


HANDLERS: "dict[str, Callable[[Runner, Params], Result]]" = {
    "hello": hello,
    "ping": ping,
    "status": status,
    "load.begin": load_begin,
    "load.chunk": load_chunk,
    "load.commit": load_commit,
    "arm": arm,
    "zone.select": zone_select,
    "pause": pause,
    "stop": stop,
    "finish": finish,
    "clear": clear,
    "clock.correct": clock_correct,
    "record.list": record_list,
    "record.read": record_read,
    "record.ack": record_ack,
}
"""Method -> what carries it out; a test holds it equal to the wire's table."""
