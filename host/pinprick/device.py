"""A pen as the rest of the host knows it: typed operations, typed results. Host only.

    with discovery.find() as pen:       # or Pen.open("/dev/ttyACM0")
        pen.load(load_profile(path), records=RecordStore(), sent=SentProfiles())
        pen.arm()                       # returns when the pen is armed; only its own trigger starts strokes
        for update in pen.updates():
            ...
        pen.finish()
        pen.pull_records(RecordStore())

Refusals of the pen come as PenRefused, its faults as PenFault, a lost or silent pen as NoDevice. While a session is
armed a thread of the pen's Link keeps the lease.
"""

import queue
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pencore import course, faults, provision, wire
from pencore import profile as core
from pencore.digest import ZERO_DIGEST, sha256
from pinprick import simulated, wording
from pinprick.clock import now_s
from pinprick.errors import (
    NOT_A_PEN,
    NOT_DONE,
    PEN_SILENT,
    RECORD_MISMATCH,
    SESSION_ELSEWHERE,
    Mismatch,
    NoDevice,
    PinprickError,
    ValidationFailed,
)
from pinprick.keys import ClinicKey
from pinprick.link import Link, Params, PenRefused
from pinprick.profiles import ProfileFile, check, placeholder_problems, to_core
from pinprick.records import Pulled, RecordStore, SavedRecord, check_continues, pull_records
from pinprick.sent import SentProfiles
from pinprick.told import FaultNotice, Loaded, PenInfo, StateChange, Status, Telemetry, Update
from pinprick.transport import SerialTransport, Transport

__all__ = [
    "BUSY_S",
    "WAIT_S",
    "ClinicKey",
    "FaultNotice",
    "Loaded",
    "Pen",
    "PenFault",
    "PenInfo",
    "PenRefused",
    "StateChange",
    "Status",
    "Telemetry",
    "Update",
]

BUSY_S = 5.0
"""How long a request that the pen is too busy for is made again: what a pen does on its own takes a second or two."""
WAIT_S = 30.0
"""How long it is waited, unless told otherwise, for what the pen does on its own: homing, changing zone, sealing."""
_BUSY_FIRST_S = 0.005
_BUSY_MOST_S = 0.2
_ASK_S = 0.5
_STOP_SEEN_S = 0.5
_CHUNK = wire.BASE64_MAX * 3 // 4
_QUEUE_MOST = 1000
_BACKOFF_UM = 50
"""Homing's back-off that every provision may have; a pen doesn't tell its own."""


class PenFault(PinprickError):
    """The pen stopped with a fault while it was waited for."""

    def __init__(self, code: int) -> None:
        super().__init__(code, wording.of(code).what)


class Pen:
    """A connected pen. Made by `open`, by `pinprick.discovery.find`, or from a Transport; `hello` is said at once.

    `wait_s` is how long it is waited for what the pen does on its own: homing, changing the zone, sealing. All waits
    are as much longer at a simulated pen as that says it is slower. One thread at a time makes requests, except `stop`,
    which any thread may make at any time.
    """

    def __init__(self, transport: Transport, *, wait_s: float = WAIT_S) -> None:
        self._listeners: list[Callable[[Update], None]] = []
        self._patience = simulated.patience(transport.name)
        self._wait_s = wait_s * self._patience
        self._link = Link(transport, self._hear, patience=self._patience)
        try:
            self.info = self.hello()
        except BaseException:
            self._link.close()
            raise

    @classmethod
    def open(cls, port: str, *, wait_s: float = WAIT_S) -> Self:
        """Return the pen at `port` (`/dev/...`, `COMn`, `socket://host:port`); NoDevice or PenRefused when there is
        none.
        """
        return cls(SerialTransport(port), wait_s=wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the pen. If it was armed, it finishes its stroke and pauses within two seconds."""
        self._link.close()

    @property
    def port(self) -> str:
        """What the pen is connected to."""
        return self._link.name

    def hold_while_asked(self, lease_s: float) -> None:
        """Keep the lease from now on only for `lease_s` after the last request.

        For a program whose main thread asks again and again: once that is stuck, the pen pauses by itself.
        """
        self._link.lease_s = lease_s

    @property
    def state(self) -> int:
        """The pen's state as last heard, a code of `pencore.wire`."""
        return self._link.state

    # --- who and how -------------------------------------------------------------------------------------------------
    def hello(self) -> PenInfo:
        """Begin (anew, after the pen was reset), and return what the pen says of itself; kept as `info`.

        Raises as `Link.hello` does, and NOT_A_PEN for bounds that no pen can have.
        """
        fields = self._link.hello()
        fields.pop("request_id")
        fields["open_digest"] = bytes.fromhex(fields["open_digest"])
        fields["ledger_head"] = bytes.fromhex(fields["ledger_head"])
        fields["zone_caps_um"] = tuple(fields["zone_caps_um"])
        fields["geometry"] = tuple(fields["geometry"])
        info = PenInfo(**fields)
        if info.serial:
            self._check_bounds(info)
        self.info = info
        return info

    def _check_bounds(self, info: PenInfo) -> None:
        """Refuse what `pencore.provision` refuses: profiles are checked by dividing by these numbers."""
        claimed = provision.Provision(info.serial, info.bounds())
        claimed.backoff_um = _BACKOFF_UM
        try:
            provision.check(claimed)
        except faults.Refusal as refusal:
            raise NoDevice(
                NOT_A_PEN,
                f"What is connected to {self.port} gives bounds that no pen has ({refusal.field}).",
                field=refusal.field,
                given=refusal.given,
                limit=refusal.limit,
            ) from None

    def status(self) -> Status:
        """Return how far the session is."""
        fields = self._ask("status")
        fields["resumed"] = fields["resumed"] == 1
        for name in ("made", "forfeited", "left"):
            fields[name] = tuple(fields[name])
        return Status(**fields)

    def ping(self) -> int:
        """Keep the lease (done by itself while a session is armed); return the pen's milliseconds since power-up."""
        return int(self._ask("ping")["uptime_ms"])

    # --- the session -------------------------------------------------------------------------------------------------
    def load(
        self,
        source: ProfileFile | core.Profile,
        *,
        key: ClinicKey | None = None,
        records: RecordStore | None = None,
        sent: SentProfiles | None = None,
        issued_at: int | None = None,
    ) -> Loaded:
        """Fill `source` in for this pen and its next session, sign it with `key`, and have the pen accept it.

        `issued_at` (seconds since 1970) is now when left out. With `records`, the pen's memory is compared first with
        the records kept here. With `sent`, what is sent is kept, and `source` goes on with an open session that it
        began. Raises ValidationFailed (a file) or PinprickError (a Profile) for what this pen would not carry out,
        Mismatch RECORDS_AHEAD, RECORDS_FORK, RECORD_MISMATCH or LOAD_DIGEST, InputError CLOCK_WRONG or FILE_*,
        PenRefused, with SESSION_OPEN also when a session of another profile is open, and PinprickError
        SESSION_ELSEWHERE when it was begun from another computer.
        """
        info = self.hello()
        if records is not None:
            self.check_records(records)
        if sent is not None and info.open_session:
            return self._resume(info, sent, source)
        issued_at = now_s() if issued_at is None else issued_at
        data = _encoded(self._filled(source, info, issued_at), key)
        if sent is None:
            return self.load_bytes(data)
        new = sent.keep(info.serial, info.session_id, data)
        try:
            loaded = self.load_bytes(data)
        except PenRefused:
            # What was here before is the very profile that the pen has loaded, sent a moment ago.
            if new:
                sent.drop(info.serial, info.session_id, data)
            raise
        sent.settle(info.serial, info.session_id, data)
        return loaded

    def resume(self, sent: SentProfiles) -> Loaded:
        """Have the pen go on with its open session; raises as `load`, and PenRefused NO_PROFILE when none is open."""
        info = self.hello()
        if not info.open_session:
            raise PenRefused(faults.Refusal(faults.NO_PROFILE), hint="No session is open: load its profile.")
        return self._resume(info, sent, None)

    def _resume(self, info: PenInfo, sent: SentProfiles, source: ProfileFile | core.Profile | None) -> Loaded:
        """Send once more what opened the session, unless `source` is something else."""
        data = sent.get(info.serial, info.open_session, info.open_digest)
        if data is None:
            message = f"Session {info.open_session} of pen {info.serial} is open, and its profile is not kept here."
            raise PinprickError(SESSION_ELSEWHERE, message, field="open_session", given=info.open_session)
        began = core.decode(data)
        if source is not None:
            # Filled in like the one that was sent, it has the same digest if and only if it says the same.
            again = _fill_in(source, began.serial, began.session_id, began.ledger_head, began.issued_at)
            _encoded(again, None)
            if again.digest != began.digest:
                refusal = faults.Refusal(faults.SESSION_OPEN, "session_id", info.session_id, info.open_session)
                hint = f"Load the profile that began it ({began.name}), or seal it with `pinprick finish`."
                raise PenRefused(refusal, hint)
        # The pen calls resumed only what a cut or a reset has interrupted.
        return replace(self.load_bytes(data), resumed=True)

    def _filled(self, source: ProfileFile | core.Profile, info: PenInfo, issued_at: int) -> core.Profile:
        """Return `source` filled in for this pen; raises what is wrong with it before the pen gets to see it."""
        bounds = info.bounds()
        if isinstance(source, ProfileFile) and info.serial:
            found = check(source, bounds, issued_at) + placeholder_problems(source)
            if found:
                raise ValidationFailed(found)
        filled = _fill_in(source, info.serial or "-", info.session_id, info.ledger_head, issued_at)
        if not isinstance(source, ProfileFile) and info.serial:
            for problem in core.problems(filled, bounds):
                raise PenRefused(problem)
        return filled

    def load_bytes(self, data: bytes) -> Loaded:
        """Have the pen accept a profile in its binary form, as it is, unchecked by the host; PenRefused when it
        doesn't.
        """
        self._ask("load.begin", size=len(data), sha256=sha256(data).hex())
        for offset in range(0, len(data), _CHUNK):
            self._ask("load.chunk", offset=offset, data=data[offset : offset + _CHUNK])
        fields = self._ask("load.commit")
        digest = data[-core.TRAILER_SIZE :][:32]
        if fields["sha256"] != digest.hex():
            message = "The pen names another profile than the one that was sent to it."
            raise Mismatch(faults.LOAD_DIGEST, message, field="sha256")
        return Loaded(fields["session_id"], digest, fields["zones"], fields["resumed"] == 1, data)

    def arm(self, zone: int | None = None, *, wait: bool = True) -> None:
        """Have the pen home and make `zone` ready (the first with strokes left, when left out).

        Returns when it is ARMED; at once, while it homes, without `wait`. Raises PenRefused, with TRIGGER_HELD also
        when the trigger goes down meanwhile, and PenFault.
        """
        with self._following() as heard:
            self._ask("arm", zone=zone)
            if wait:
                ready = (wire.ARMED, wire.PAUSED, wire.RUNNING)
                self._wait(heard, ready, (wire.HOMING,), lambda _: True)

    def zone_select(self, zone: int, *, wait: bool = True) -> None:
        """Make `zone` the one at work, at home; returns when it is ready, at once without `wait`."""
        with self._following() as heard:
            self._ask("zone.select", zone=zone)
            if wait:
                self._wait(heard, (wire.ARMED, wire.PAUSED), (), lambda status: status.zone == zone)

    def pause(self) -> None:
        """Have the pen finish the stroke in progress and wait for a fresh press."""
        self._expect("pause", self._ask("pause"), (wire.PAUSED,))

    def stop(self) -> None:
        """Stop the pen at once, from any thread, whatever else is being asked; returns when the pen says it has
        stopped.

        The stop byte goes out before anything else and waits for nothing. Raises NoDevice when no answer comes: the pen
        may have stopped all the same, and pauses by itself within two seconds. Raises PinprickError NOT_DONE when the
        pen answers that it has not stopped.
        """
        self.begin_stop()()

    def send_stop(self) -> None:
        """Send the stop byte, from any thread, and wait for nothing; NoDevice."""
        self._link.send_stop()

    def begin_stop(self) -> Callable[[], None]:
        """Send the stop byte now; return what waits until the pen says it has stopped, to be called once, as `stop`."""
        with ExitStack() as stack:
            heard = stack.enter_context(self._following())
            self._link.send_stop()
            following = stack.pop_all()

        def confirm() -> None:
            with following:
                self._confirm_stop(heard)

        return confirm

    def _confirm_stop(self, heard: "queue.Queue[Update]") -> None:
        deadline = time.monotonic() + _STOP_SEEN_S * self._patience
        while time.monotonic() < deadline:
            try:
                update = heard.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(update, StateChange) and update.state == wire.FAULT:
                return
        # Not told: the pen had stopped before, or the byte got lost. The request says which.
        self._expect("stop", self._link.request("stop"), (wire.FAULT,))

    def finish(self, *, wait: bool = True) -> None:
        """Have the pen seal the session (or unload a profile that made no stroke); returns when it is SAFE."""
        with self._following() as heard:
            state = self._expect("finish", self._ask("finish"), (wire.SEALING, wire.SAFE))
            if state == wire.SEALING and wait:
                self._wait(heard, (wire.SAFE,), (wire.SEALING,), lambda _: True)

    def clear(self) -> None:
        """Leave FAULT; PenRefused as long as its cause is there."""
        self._expect("clear", self._ask("clear"), (wire.SAFE, wire.LOADED))

    def clock_correct(self, time_s: int, reason: str, key: ClinicKey | None = None) -> int:
        """Move the pen's time to `time_s` (seconds since 1970) for `reason` (1..64 characters), signed with `key`;
        return its new time floor.
        """
        info = self.info
        params = {"time": time_s, "reason": reason}

        def signed(request_id: int) -> dict[str, Any]:
            """Sign for this one request: the next, when the pen is busy, wants a signature of its own."""
            if key is None:
                return {**params, "key_id": 0, "hmac": ZERO_DIGEST.hex()}
            hmac = course.correction_hmac(key.key, info.serial, info.nonce, request_id, time_s, reason)
            return {**params, "key_id": key.key_id, "hmac": hmac.hex()}

        return int(self._insist("clock.correct", signed)["time_floor"])

    def send_damaged(self, method: str, at: int = 30, mask: int = 0x01, **params: Any) -> PenRefused:
        """Send a request as if byte `at` of its line had been changed on the way, and return what the pen says of it.

        For demonstrations and tests. `at` and `mask` (1..255) must not make a newline or a stop byte. Raises NoDevice
        PEN_SILENT when the pen says nothing.
        """
        return self._link.send_damaged(method, params, at, mask)

    # --- records -----------------------------------------------------------------------------------------------------
    def record_list(self) -> tuple[list[int], int]:
        """Return the ids of the sessions whose records are on the pen, and up to which they are acknowledged.

        Mismatch RECORD_MISMATCH when they do not ascend.
        """
        sessions: list[int] = []
        while True:
            last = sessions[-1] if sessions else 0
            fields = self._ask("record.list", after=last)
            if not fields["sessions"]:
                return sessions, int(fields["acked"])
            for session in fields["sessions"]:
                if session <= last:
                    message = "The pen's list of records does not go on."
                    raise Mismatch(RECORD_MISMATCH, message, field="sessions", given=session, limit=last + 1)
                sessions.append(session)
                last = session

    def record_read(self, session: int) -> bytes:
        """Return the bytes of a record; Mismatch when its pieces don't make a whole."""
        data = b""
        while True:
            fields = self._ask("record.read", session=session, offset=len(data))
            piece: bytes = fields["data"]
            if fields["offset"] != len(data) or len(data) + len(piece) > fields["size"]:
                raise Mismatch(RECORD_MISMATCH, f"The pieces of record {session} do not fit together.", field="offset")
            data += piece
            if len(data) == fields["size"]:
                return data
            if not piece:
                raise Mismatch(RECORD_MISMATCH, f"Record {session} ends before its end.", field="size")

    def record_ack(self, session: int, digest: bytes) -> None:
        """Tell the pen that the record with this digest is kept here; the oldest comes first. Then the pen may drop
        it. Mismatch RECORD_MISMATCH when the pen takes it for another.
        """
        acked = self._ask("record.ack", session=session, sha256=digest.hex())["acked"]
        if acked != session:
            message = f"Record {session} was acknowledged, but the pen takes it for record {acked}."
            raise Mismatch(RECORD_MISMATCH, message, field="acked", given=acked, limit=session)

    def check_records(self, records: RecordStore) -> None:
        """Refuse a pen whose records, by its latest hello, don't continue those kept here: Mismatch RECORDS_AHEAD,
        RECORDS_FORK or RECORD_MISMATCH.
        """
        check_continues(self, records, self.info)

    def pull_records(
        self, store: RecordStore, *, acknowledge: bool = True, heard: Callable[[Pulled], None] | None = None
    ) -> list[SavedRecord]:
        """Save every record of the pen in `store`, verified, then acknowledge those that were not yet; oldest first.

        See `pinprick.records.pull_records`, also for what it raises.
        """
        return pull_records(self, store, acknowledge=acknowledge, heard=heard)

    # --- what the pen says by itself ---------------------------------------------------------------------------------
    def listen(self, callback: Callable[[Update], None]) -> Callable[[], None]:
        """Have `callback` called with every update, in the reading thread: it returns soon and makes no request.

        Returns a function that ends it.
        """
        self._listeners.append(callback)

        def end() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return end

    def updates(self, timeout_s: float | None = None) -> Iterator[Update]:
        """Yield updates as they come, until none has come for `timeout_s`; NoDevice when the pen is lost.

        Whoever takes too long loses the oldest.
        """
        with self._following() as heard:
            deadline = None if timeout_s is None else time.monotonic() + timeout_s
            while True:
                if self._link.lost is not None:
                    raise self._link.lost
                wait_s = _ASK_S if deadline is None else min(_ASK_S, deadline - time.monotonic())
                try:
                    update = heard.get(timeout=max(0.0, wait_s))
                except queue.Empty:
                    if deadline is not None and time.monotonic() >= deadline:
                        return
                    continue
                yield update
                deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def wait_for(self, *states: int, timeout_s: float | None = None) -> int:
        """Return the pen's state once it is one of `states`; PenFault in FAULT (unless that is one), NoDevice in
        time.
        """
        with self._following() as heard:
            state = self.status().state
            return state if state in states else self._wait(heard, states, range(wire.FAULT), None, timeout_s)

    # --- within ------------------------------------------------------------------------------------------------------
    def _expect(self, method: str, answer: Mapping[str, Any], wanted: tuple[int, ...]) -> int:
        """Return the state in the answer to `method`; PinprickError NOT_DONE unless it is `wanted`.

        A pen that was asked to stop and goes on must not look like one that has stopped.
        """
        state = int(answer["state"])
        if state not in wanted:
            raise PinprickError(
                NOT_DONE,
                f"The pen took the request {method}, but did not do it: it says that it is {wire.STATE_NAMES[state]}.",
                field="state",
                given=wire.STATE_NAMES[state],
                hint="Lift the pen off the skin and take its power away.",
            )
        return state

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Make a request; see `_insist`."""
        return self._insist(method, params)

    def _insist(self, method: str, params: Params) -> dict[str, Any]:
        """Make a request; make it again, for a while, when the pen is busy."""
        deadline = time.monotonic() + BUSY_S * self._patience
        pause_s = _BUSY_FIRST_S
        while True:
            try:
                return self._link.request(method, params)
            except PenRefused as refused:
                if refused.code != faults.BUSY or time.monotonic() + pause_s > deadline:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _BUSY_MOST_S)

    @contextmanager
    def _following(self) -> "Iterator[queue.Queue[Update]]":
        """Collect updates in a queue; when it is full the oldest one goes."""
        heard: queue.Queue[Update] = queue.Queue(_QUEUE_MOST)

        def put(update: Update) -> None:
            while True:
                try:
                    heard.put_nowait(update)
                    return
                except queue.Full:
                    try:
                        heard.get_nowait()
                    except queue.Empty:
                        continue

        end = self.listen(put)
        try:
            yield heard
        finally:
            end()

    def _wait(
        self,
        heard: "queue.Queue[Update]",
        wanted: "tuple[int, ...]",
        on_the_way: "tuple[int, ...] | range",
        confirmed: Callable[[Status], bool] | None,
        timeout_s: float | None = None,
    ) -> int:
        """Return the first state of `wanted` that the pen tells of; raise when it goes neither there nor `on_the_way`.

        With `confirmed` a notice is only a reason to ask: it may be older than the request that is waited for. Now and
        then the pen is asked anyway, as it drops notices for a host that doesn't read.
        """
        timeout_s = self._wait_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        ask_at = time.monotonic() + _ASK_S
        code = 0
        while time.monotonic() < deadline:
            try:
                update = heard.get(timeout=max(0.0, ask_at - time.monotonic()))
            except queue.Empty:
                update = None
            if isinstance(update, Telemetry):
                continue
            ask_at = time.monotonic() + _ASK_S
            if isinstance(update, StateChange | FaultNotice):
                code = update.code or code
            if isinstance(update, StateChange) and confirmed is None and update.state in wanted:
                return update.state
            status = self.status()
            if status.state in wanted and (confirmed is None or confirmed(status)):
                return status.state
            if status.state == wire.FAULT:
                raise PenFault(status.fault or code)
            if status.state not in wanted and status.state not in on_the_way:
                raise PenRefused(faults.Refusal(code or faults.STATE_FORBIDS))
        raise NoDevice(PEN_SILENT, f"The pen at {self.port} did not get ready in {timeout_s:g} s.", field="--port")

    def _hear(self, message: wire.Message) -> None:
        update: Update
        if message.name == "telemetry":
            update = Telemetry(**message.values)
        elif message.name == "state":
            update = StateChange(**message.values)
        else:
            update = FaultNotice(message.values["code"], message.values["aux"])
        for callback in tuple(self._listeners):
            callback(update)


def _fill_in(
    source: ProfileFile | core.Profile, serial: str, session_id: int, ledger_head: bytes, issued_at: int
) -> core.Profile:
    """Return `source` with what the host adds to it; unchecked."""
    if isinstance(source, ProfileFile):
        return to_core(source, serial, session_id, ledger_head, issued_at)
    filled = copy(source)
    filled.serial = serial
    filled.session_id = session_id
    filled.ledger_head = ledger_head
    filled.issued_at = issued_at
    return filled


def _encoded(profile: core.Profile, key: ClinicKey | None) -> bytes:
    """Return `profile` in its binary form, signed with `key`; PenRefused for what has none."""
    try:
        return core.encode(profile, *((0, b"") if key is None else (key.key_id, key.key)))
    except faults.Refusal as refusal:
        raise PenRefused(refusal) from None
