"""The pen's loop: one `step` reads every port once, lets one thing happen, and says when it wants to be called again.

Runs on the pen and in the simulator. Joins conversation, consent, session, ledger and motion; what a request does is in
`pencore.requests`, what takes several steps (arming, sealing, a fault's log) in `pencore.tasks`. A step makes at most
one flash write, works off at most one line and a bounded piece of planning. No stroke allocates.

Order within a step: stops and trips first, then evidence, then people, then the task in hand, then credits, then the
host.
"""

from pencore import faults, profile, provision, session, signals, tasks, wire
from pencore.compat import const
from pencore.consent import CartridgeSwitch, Trigger
from pencore.conversation import Conversation
from pencore.course import Memory
from pencore.digest import ZERO_DIGEST
from pencore.faults import Fault, Refusal
from pencore.ledger import NO_ZONE, Entry, Ledger
from pencore.lines import STOP_BYTE
from pencore.motion import trip_code
from pencore.requests import HANDLERS, Denials, Transfer
from pencore.units import ms_add, ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Optional

    from pencore.motion import Motion
    from pencore.ports import Ports
    from pencore.provision import Provision

LEASE_MS = const(2000)
"""Without a legal line for this long the host counts as gone."""
IDLE_MS = const(900_000)
"""Without a stroke for this long an armed pen goes back to LOADED."""
TELEMETRY_MS = const(100)
COAST_MS = const(50)
"""How long after a cut the spring may take to bring the carriage home; the virtual pen's needs at most 35 ms."""
_WAIT_MAX_MS = const(1000)
_WAIT_BUSY_MS = const(1)
_WAIT_OUT_MS = const(10)
_PIECE_LARGE = const(32)
"""Bytes whose reading takes the CPU so long that a turn has done enough."""
_POWER_ON = const(1)


class Runner:
    """One pen. Construct, `boot`, then `step` for ever; only the composition root calls these three.

    The attributes are the pen's working parts; `requests` and `tasks` use them, nobody else.
    """

    def __init__(self, ports: "Ports") -> None:
        self.ports = ports
        self.state = wire.BOOT
        self.fault_code = 0
        self.provision: "Optional[Provision]" = None
        self.ledger = Ledger(ports.store)
        self.memory = Memory(ports.store)
        self.head = ZERO_DIGEST
        self.session: "Optional[session.Session]" = None
        self.profile_data = b""
        self.motion: "Optional[Motion]" = None
        self.trigger = Trigger()
        self.cartridge = CartridgeSwitch()
        self.transfer = Transfer()
        self.denials = Denials()
        self.talk = Conversation(ports.link, ports.identity.nonce(), self._answer)
        self.now_ms = 0
        self.inputs = 0
        self.engine_bits = 0
        self.sound = False
        self.must_seal = False
        self.recovery: "list[Entry]" = []
        self.unlogged: "list[int]" = []
        self.untidy = False
        self._task: "Optional[Iterator[None]]" = None
        self._idle_ms = 0
        self._telemetry_ms = 0
        self._elapsed_ms = 0
        self._shown = -1
        self._coasting = False
        self._cut_ms = 0
        self._full = False
        self._stopped = False
        self._stencil = wire.telemetry_stencil()
        self._values: "list[Optional[int]]" = [0] * len(wire.NOTIFICATIONS["telemetry"])

    # --- boot --------------------------------------------------------------------------------------------------------
    def boot(self, now_ms: int) -> None:
        """Read what the flash holds and enter SAFE, LOADED (a session is open) or FAULT. Writes nothing."""
        self.now_ms = now_ms
        self.talk.heard_ms = now_ms
        try:
            self.recall()
        except Fault as fault:
            self.fail(fault.code, fault.aux)
            return
        except OSError as error:
            self.fail(tasks.store_code(error), 0)
            return
        if self.ledger.latched:
            self._latch(self.ledger.latched)
        else:
            code = faults.LEDGER_ONE_COPY if self.ledger.single_copies else 0
            self.fire(session.RESUMED if self.session is not None else session.BOOTED, code)

    def recall(self) -> None:
        """Read provisioning, ledger, memory and the last record; Fault when any is missing or not whole.

        A pen that was never provisioned has neither file and is SAFE, but takes no profile. Of an open session all that
        was reserved and not confirmed is forfeited before anything else is done with it (`recovery`).
        """
        store = self.ports.store
        self.sound = False
        self.session = None
        self.untidy = True
        self.provision = None
        if store.size(provision.FILE) < 0 and not self.ledger.exists():
            return
        bounds = tasks.renew(self).bounds
        self.ledger.replay()
        self.memory.check(self.ledger.courses, self.ledger.cartridges)
        self.head = tasks.read_head(store, self.ledger)
        account = self.ledger.open
        if account is not None:
            self.profile_data = tasks.read_session(store, account)
            try:
                loaded = profile.decode(self.profile_data)
            except Refusal:
                raise Fault(faults.LEDGER_CORRUPT, account.session) from None
            self.session = session.Session(loaded, account, bounds.cartridge_strokes)
            self._elapsed_ms = account.elapsed_s * 1000
            # The account keeps its first faults only, the latch the last one.
            opened = self.ledger.latched == faults.CARTRIDGE_OPENED
            self.must_seal = self.must_seal or opened or account.has_interruption(faults.CARTRIDGE_OPENED)
            self.recovery = session.recovery_entries(account, self._cut_code())
        else:
            self.must_seal = False
        self.sound = True

    def _cut_code(self) -> int:
        """Return why an open session was interrupted: the fault at hand, or what the boot says of the power."""
        if self.fault_code:
            return self.fault_code
        return faults.POWER_LOST if self.ports.identity.reset_cause() == _POWER_ON else faults.WATCHDOG_RESET

    # --- the loop ----------------------------------------------------------------------------------------------------
    def step(self, now_ms: int) -> int:
        """Do one turn at `now_ms` (uint32); return in how many ms (0..1,000) the next is due at the latest.

        An arriving byte, a changed input or a finished stroke may call for the next one earlier. Raises nothing of its
        own: faults end in FAULT; what else a port raises is for the root, which de-energises and resets.
        """
        session_now = self.session
        if session_now is not None and session_now.opened:
            self._elapsed_ms += max(0, ms_since(now_ms, self.now_ms))
        self.now_ms = now_ms
        self._full = False
        self._read_ports()
        try:
            self._watch_stops()
            self._take_evidence()
            self._look_ahead()
            self._watch_people()
            self._work()
            # A write in this turn may have taken a second, in which somebody asked for a stop.
            self._look_ahead()
            self._drive()
            self._look_ahead()
        except Fault as fault:
            self.fail(fault.code, fault.aux)
        except OSError as error:
            self.fail(tasks.store_code(error), 0)
        try:
            self._listen()
            self._look_ahead()
            self._tell()
            self._look_ahead()
            return self._wait_ms()
        except Fault as fault:
            # A counter was found flipped only now.
            self.fail(fault.code, fault.aux)
            return _WAIT_BUSY_MS

    def _read_ports(self) -> None:
        before = self.inputs
        # In this order: what the stop button does to the guards between the two looks is told as the button's.
        self.engine_bits = self.ports.engine.poll()
        self.inputs = self.ports.inputs.read()
        if self.inputs & ~before & signals.HOME and not self.engine_bits & signals.ENABLED:
            # The spring, or somebody's hand, has only now brought the carriage home, and it may still move.
            self._coasting = True
            self._cut_ms = self.now_ms

    def _watch_stops(self) -> None:
        """Let stop line, engine trips and late strokes end everything; nothing else is looked at before."""
        if (self.inputs & signals.STOP or self._stopped) and self.state != wire.FAULT:
            raise Fault(faults.STOP_BUTTON)
        self._stopped = False
        motion = self.motion
        # Until homing has begun, the engine still shows what tripped it before.
        if motion is not None and motion.live and session.is_in(self.state, session.DRIVEN):
            code = trip_code(self.engine_bits)
            if code:
                raise Fault(code)
            if not self.engine_bits & signals.ENABLED and self.state != wire.HOMING:
                raise Fault(faults.DRIVER_FAULT)
            motion.check_progress(self.now_ms)

    def _take_evidence(self) -> None:
        motion = self.motion
        work = self.session
        if motion is None or work is None or not motion.queued:
            return
        while motion.queued and motion.collect(self.now_ms):
            work.made_one()
            self._idle_ms = self.now_ms
            self._full = True

    def _watch_people(self) -> None:
        """Sample trigger and cartridge; end a burst on release; start one on a fresh press with a live lease."""
        self.trigger.sample(self.inputs & signals.TRIGGER != 0, self.now_ms)
        self.cartridge.sample(self.inputs & signals.CARTRIDGE != 0, self.now_ms)
        work = self.session
        # What can't be trusted may be an open session's, too.
        opened = work.opened if work is not None else not self.sound and self.provision is not None
        at_stake = opened or (work is not None and session.is_in(self.state, session.DRIVEN))
        if at_stake and not self.cartridge.closed and not self.must_seal and self.state != wire.SEALING:
            # With a stroke reserved it ends the session; before that it only ends the arming.
            self.must_seal = opened
            raise Fault(faults.CARTRIDGE_OPENED)
        state = self.state
        if state == wire.RUNNING:
            if not self.trigger.down:
                self.end_burst(session.RELEASE, 0)
            elif not self.leased():
                self.end_burst(session.RELEASE, faults.LEASE_EXPIRED)
        elif state == wire.HOMING:
            if self.trigger.down and self.inputs & signals.TRIGGER:
                self.abandon(faults.TRIGGER_HELD)
        elif state == wire.ARMED or state == wire.PAUSED:
            self._watch_armed()

    def _watch_armed(self) -> None:
        work = self.session
        if work is None or self._task is not None or not self.engine_bits & signals.IDLE:
            return
        if not self.leased():
            self._lapse(faults.LEASE_EXPIRED)
        elif ms_since(self.now_ms, self._idle_ms) >= IDLE_MS:
            self._lapse(faults.IDLE_TIMEOUT)
        elif self.trigger.wants() and work.zone != NO_ZONE and not self.unsettled() and work.left(work.zone) > 0:
            self.trigger.disarm()
            self.fire(session.PRESS)

    def _lapse(self, code: int) -> None:
        """Go back to LOADED with the driver off; what is unsettled is settled by the task begun in `_work`."""
        self.cut()
        self.fire(session.LAPSE, code)

    def end_burst(self, event: int, code: int) -> None:
        """Withdraw the stroke that hasn't begun and leave RUNNING; the one in progress is finished."""
        if self.motion is not None:
            self.motion.withdraw()
        self.fire(event, code)

    def abandon(self, code: int) -> None:
        """Give up an arming: driver off, back to LOADED."""
        self._task = None
        self.cut()
        self.fire(session.ABANDON, code)

    def cut(self) -> None:
        """Driver off; strokes that may have begun unjudged are forfeited."""
        if self.motion is not None:
            lost = self.motion.cut()
        else:
            lost = 0
            self.ports.engine.disarm()
        self._coasting = True
        self._cut_ms = self.now_ms
        if self.session is not None:
            self.session.forfeit(lost)

    # --- tasks -------------------------------------------------------------------------------------------------------
    def start(self, task: "Iterator[None]") -> None:
        """Make `task` the one in hand; the one before must have ended."""
        if self._task is not None:
            raise Fault(faults.INTERNAL)
        self._task = task

    def busy(self) -> bool:
        """Return whether a task is in hand, or one is owed before the host's next wish."""
        return self._task is not None or bool(self.recovery) or bool(self.unlogged)

    def _work(self) -> None:
        """Take the task in hand one step further, or begin the one that the state calls for."""
        if self._task is None:
            self._choose_task()
        task = self._task
        if task is not None:
            try:
                next(task)
            except StopIteration:
                if self._task is task:
                    self._task = None

    def _choose_task(self) -> None:
        """Begin what the pen owes its ledger, the oldest debt first; only at rest, only while the ledger can be
        trusted.
        """
        owes_seal = self.must_seal and self.session is not None and self.state != wire.SEALING
        owes_settlement = self.state != wire.RUNNING and self.unsettled()
        crowded = self.ledger.crowded() and not session.is_in(self.state, session.DRIVEN)
        if not (self.recovery or self.unlogged or owes_seal or owes_settlement or crowded or self.untidy):
            return
        if not self.sound or not self.at_rest():
            return
        if self.recovery:
            self._task = tasks.recover(self)
        elif self.unlogged:
            self._task = tasks.log_faults(self)
        elif owes_seal:
            self._task = tasks.seal_opened(self)
        elif owes_settlement:
            self._task = tasks.settle(self)
        elif crowded:
            self._task = tasks.compact(self)
        else:
            self._task = tasks.tidy(self)

    def unsettled(self) -> bool:
        """Return whether the ledger has yet to hear what became of the last block."""
        work = self.session
        in_motion = self.motion is not None and self.motion.queued > 0
        return work is not None and (in_motion or work.settle_entry(self.elapsed_s()) is not None)

    def at_rest(self) -> bool:
        """Return whether flash may be written: at home, engine idle, nothing queued, nothing coasting after a cut."""
        if self._coasting:
            # Just after a cut the carriage may still be on its way out though the sensor sees it.
            self._coasting = self.coasting()
        return (
            not self._coasting
            and bool(self.ports.inputs.read() & signals.HOME)
            and bool(self.ports.engine.poll() & signals.IDLE)
        )

    def coasting(self) -> bool:
        """Return whether the carriage may still move: it was cut off, or came home undriven, so short a time ago."""
        return self._coasting and 0 <= ms_since(self.now_ms, self._cut_ms) < COAST_MS

    def write(self, act: "Callable[[], object]") -> None:
        """Carry out a flash write; the time it takes doesn't count against the host's lease.

        Fault FLASH_IN_MOTION unless the pen is at rest: no caller may get here otherwise.
        """
        if not self.at_rest():
            raise Fault(faults.FLASH_IN_MOTION)
        begin_ms = self.ports.clock.now_ms()
        inputs = self.ports.inputs
        inputs.moved()
        act()
        # What follows in this turn happens after the write, not at the turn's beginning.
        self.now_ms = self.ports.clock.now_ms()
        # Nobody can look at the switches during a write: the port remembers.
        moved = inputs.moved()
        if moved & signals.TRIGGER:
            self.trigger.missed(self.now_ms)
        if moved & signals.CARTRIDGE:
            self.cartridge.missed()
        self._stopped = self._stopped or moved & signals.STOP != 0
        spent_ms = max(0, ms_since(self.now_ms, begin_ms))
        self.talk.heard_ms = ms_add(self.talk.heard_ms, spent_ms)
        if self.session is not None and self.session.opened:
            self._elapsed_ms += spent_ms

    def append(self, entries: "list[Entry]") -> None:
        """Append to the ledger under the rules of `write`."""
        self.write(lambda: self.ledger.append(entries))

    # --- strokes -----------------------------------------------------------------------------------------------------
    def _drive(self) -> None:
        """In RUNNING: keep strokes credited while they are reserved; at a block's end reserve the next or stop."""
        work = self.session
        motion = self.motion
        if self.state != wire.RUNNING or self._task is not None or work is None or motion is None:
            return
        outstanding = work.outstanding()
        if outstanding:
            # One a turn: each has its table's check behind it, which takes this CPU some milliseconds.
            most = min(outstanding, motion.queued + 1)
            # A write in this turn may have taken a second, in which hands moved: the next turn says what comes of it.
            switches = self.trigger.down and self.cartridge.closed and not self._stopped
            if motion.owed(most) and switches and self.ports.inputs.read() & signals.TRIGGER:
                motion.credit(most, work.limit_steps())
                self._full = True
        elif motion.queued == 0 and self.engine_bits & signals.IDLE:
            if work.left(work.zone) > 0:
                self._task = tasks.reserve(self)
            else:
                self.end_burst(session.SPENT, faults.ZONE_SPENT)

    # --- states ------------------------------------------------------------------------------------------------------
    def fire(self, event: int, code: int = 0) -> None:
        """Take the transition of `event`; Refusal STATE_FORBIDS where it is refused. `code` tells the host why."""
        target = session.next_state(self.state, event)
        if target == session.REFUSED:
            raise Refusal(faults.STATE_FORBIDS, "state", self.state)
        if target == session.IGNORED:
            return
        self.state = target
        self._idle_ms = self.now_ms
        if target == wire.ARMED or target == wire.PAUSED:
            self.trigger.rearm(self.now_ms)
        else:
            self.trigger.disarm()
        self._show(code)
        self.talk.notify("state", {"state": target, "code": code, "session_id": self.session_id()})
        if target == wire.SEALING:
            # What the last strokes came to, while the session is still there to tell of.
            self._send_telemetry()

    def fail(self, code: int, aux: int) -> None:
        """End everything: driver off, FAULT, latched, to be logged as soon as the pen is at rest."""
        self._task = None
        try:
            self.cut()
        except Fault as fault:
            # The driver is off; the counters are found flipped only now.
            code = fault.code
            aux = fault.aux
        if code == faults.MEMORY_CORRUPT:
            # These counters lie; those in flash don't.
            self.session = None
        if faults.LEDGER_MISSING <= code <= faults.PROVISION_CORRUPT or code == faults.MEMORY_CORRUPT:
            # What can't be trusted is not written on before a clear has read all of it anew (`recall`), which forfeits
            # whatever is reserved.
            self.sound = False
            self.unlogged = []
        # The first fault is the one shown; of the later ones only an opened cartridge changes what must be done.
        first = self.state != wire.FAULT
        if self.sound and (first or code == faults.CARTRIDGE_OPENED):
            self.unlogged.append(code)
        if not first:
            return
        self._latch(code)
        self.talk.notify("fault", {"code": code, "aux": aux, "state": wire.FAULT})

    def _latch(self, code: int) -> None:
        self.fault_code = code
        self.fire(session.STOP, code)

    def clear_fault(self) -> None:
        """Leave FAULT; the caller has made sure that nothing is in hand and the ledger holds the clear."""
        self.fault_code = 0
        work = self.session
        if work is not None and work.opened:
            self.fire(session.CLEAR_OPEN)
        else:
            self.session = None
            self.fire(session.CLEAR_SHUT)

    def _show(self, code: int) -> None:
        shown = self.state * 1000 + code
        if shown != self._shown:
            self._shown = shown
            self.ports.indicator.show(self.state, code)

    # --- the host ----------------------------------------------------------------------------------------------------
    def _look_ahead(self) -> None:
        """Take what has arrived; a stop byte anywhere in it stops before anything is parsed, and before any credit.

        Asked between all parts of a turn that take their time, for nothing else may keep a stop waiting.
        """
        piece = self.talk.take_in()
        if piece:
            self._full = self._full or len(piece) >= _PIECE_LARGE
            if STOP_BYTE in piece:
                self.stop(faults.OPERATOR_STOP)

    def _listen(self) -> None:
        """Work off what has arrived, at most one line; while strokes are made not in a turn that has done enough."""
        talk = self.talk
        if self._full and self.state == wire.RUNNING:
            talk.flush()
            return
        self._full = talk.unheard() or self._full
        # By the clock and not by the turn's beginning: a write in this turn may have taken longer than the lease.
        talk.work(self.ports.clock.now_ms())

    def _answer(self, request: wire.Request) -> "Mapping[str, Any]":
        if not wire.allowed(request.method, self.state):
            raise Refusal(faults.STATE_FORBIDS, "state", self.state)
        try:
            return HANDLERS[request.method](self, request.params)
        except Fault as fault:
            self.fail(fault.code, fault.aux)
            raise Refusal(fault.code, "fault") from None
        except OSError as error:
            code = tasks.store_code(error)
            self.fail(code, 0)
            raise Refusal(code, "store") from None

    def stop(self, code: int) -> None:
        """Stop for an operator: as a fault, in every state; in FAULT, whose tasks move nothing, they go on."""
        if self.state == wire.FAULT:
            self.ports.engine.disarm()
        else:
            self.fail(code, 0)

    def leased(self) -> bool:
        """Return whether the host has been heard within the lease."""
        return ms_since(self.now_ms, self.talk.heard_ms) < LEASE_MS

    def _tell(self) -> None:
        """Send telemetry when it is due and the host reads; a turn that has done enough leaves it to a later one."""
        # What lies more than 24 days back reads as being ahead.
        due = not 0 <= ms_since(self.now_ms, self._telemetry_ms) < (2 * TELEMETRY_MS if self._full else TELEMETRY_MS)
        if due and session.is_in(self.state, session.DRIVEN):
            self._send_telemetry()

    def _send_telemetry(self) -> None:
        self._telemetry_ms = self.now_ms
        self.talk.offer(self._stencil.fill(self._telemetry()))

    def _telemetry(self) -> "list[Optional[int]]":
        """Return telemetry's values in the table's order, in a list that is used again."""
        work = self.session
        values = self._values
        for index in range(1, len(values)):
            values[index] = 0
        values[0] = self.state
        values[1] = None
        values[11] = self.now_ms
        if work is not None and self.provision is not None:
            work.tell(values, self.provision.bounds)
        return values

    # --- small questions ---------------------------------------------------------------------------------------------
    def session_id(self) -> int:
        """Return the id of the loaded session, or 0."""
        return 0 if self.session is None else self.session.session

    def elapsed_s(self) -> int:
        """Return the seconds that the open session has been under power."""
        return self._elapsed_ms // 1000

    def sealed(self, digest: bytes) -> None:
        """The open session is sealed in flash: its record is the chain's head, its cartridge is used."""
        self.head = digest
        self.cartridge.used()
        self.must_seal = False
        self.session = None
        self.profile_data = b""

    def opened_session(self) -> None:
        """The session id was consumed: its time under power starts."""
        self._elapsed_ms = 0

    def _wait_ms(self) -> int:
        if self._task is not None or self.talk.unheard():
            return _WAIT_BUSY_MS
        wait_ms = _WAIT_MAX_MS
        if self.talk.waiting():
            wait_ms = _WAIT_OUT_MS
        wait_ms = min(wait_ms, self.trigger.wait_ms(self.now_ms), self.cartridge.wait_ms(self.now_ms))
        if session.is_in(self.state, session.DRIVEN):
            wait_ms = min(wait_ms, TELEMETRY_MS - ms_since(self.now_ms, self._telemetry_ms))
            motion = self.motion
            if motion is not None:
                wait_ms = min(wait_ms, motion.overdue_wait_ms(self.now_ms))
                if self.state == wire.RUNNING and self.session is not None and motion.owed(self.session.outstanding()):
                    wait_ms = _WAIT_BUSY_MS
            if session.is_in(self.state, session.LEASED):
                wait_ms = min(wait_ms, LEASE_MS - ms_since(self.now_ms, self.talk.heard_ms))
        elif self.recovery or self.unlogged or self.must_seal or self.unsettled():
            wait_ms = min(wait_ms, _WAIT_OUT_MS)
        return wait_ms if wait_ms > _WAIT_BUSY_MS else _WAIT_BUSY_MS
