"""A short visit of one client, event by event, and what its practitioner does when something goes wrong in it.

Events: each line to the pen and from it, each change of its state, each operation of its flash, each act of the
trigger and the cartridge, each stroke's beginning, bottom and end. While the pen homes it is asked every 20 ms, so the
lines are its steps. At an event that was aimed at this process is copied for each fault: the copy does it, goes on, and
tells what that broke; the process itself goes on untouched. Host only.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from pencore import faults, wire
from pencore.faults import Refusal
from pensim.bench import CannotBeDone
from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.faults import Fault, can_mend, needs_power
from pensim.flash import Operation
from pensim.oracle import DEPTH_LIMIT, FLASH_IN_MOTION, NO_CONSENT
from tests.campaigns import forked
from tests.campaigns.events_model import After, after
from tests.campaigns.frame import Violation, told
from tests.support import profiles
from tests.support.bench import Bench, NoAnswer
from tests.support.cuts import ONE_STROKE

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, 0, 100, 3, 30),)
TROUBLE = (Refusal, NoAnswer, AssertionError)
"""What a practitioner and the tool may meet with after a fault, and must find a way out of."""
_AT_ONCE_MS = 300
_ROUNDS = 4
_ANOTHER = 6
"""After the faults of every sixth event the next client is treated, too."""
_BETWEEN_TURNS = ("watchdog-bite", "brown-out", "clock-wraps")
"""What makes the chip boot anew; the virtual one can't in the midst of a turn, so it does right after it."""

_OWN, _OTHER = "own", "other"
VOID = "void"
"""What a copy tells of a fault that could not be done."""

_TURNING = ("reached", "the trigger is pressed", "the trigger is let go", "a stroke turns", "flash program")


@dataclass(frozen=True)
class Moment:
    """An event: its number in this visit, its name, the faults that were done before; `turning`: it is the first of its
    name since the last of those, and of a kind at which the visit takes another way.
    """

    number: int
    name: str
    struck: tuple[Fault, ...]
    turning: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a fault at an event: what it broke, VOID, None, or what came of each further fault after it."""

    number: int
    fault: Fault
    verdict: "Violation | str | list[Outcome] | None"


Aimed = Callable[[Moment], Sequence[Fault]]
Tell = Callable[[Outcome], None]


class Visit(Bench):
    """The visit. `aimed` tells which faults are to be tried at an event, `tell` is given what each came to; at most
    `depth` faults come one after the other.
    """

    def __init__(self, aimed: Aimed, tell: Tell, depth: int = 1) -> None:
        self.struck: list[Fault] = []
        self.names: list[str] = []
        self._aimed = aimed
        self._tell = tell
        self._depth = depth
        self._further: list[Outcome] = []
        self._seen: set[str] = set()
        self._copy: forked.Copy | None = None
        self._shown = wire.BOOT
        self._another = False
        self._fingers: set[str] = set()
        self._hand = _OWN
        self._deaf = True
        self._blind: list[tuple[int, int]] = []
        self._struck_in_turn = False
        super().__init__(greet=False, strict=False)
        self.may_coast = True
        self._fly = self.plant.fly
        vars(self.plant)["fly"] = self._flying
        self._deaf = False

    # --- the visit ---------------------------------------------------------------------------------------------------
    def play(self) -> None:
        """Play it, and in the copies what follows on the faults."""
        try:
            self._treat()
        except TROUBLE:
            if not self.struck:
                raise
        except Exception as error:  # whatever a copy raises is its verdict
            if self._copy is None:
                raise
            self._end(Violation("", *told(error)))
        if self._copy is not None:
            self._end(self._verdict())

    def _end(self, verdict: Violation | str | None) -> NoReturn:
        """End this copy: tell its verdict, or those of the copies that it made itself."""
        assert self._copy is not None
        self._copy.tell(verdict if len(self.struck) == self._depth else self._further)

    def _treat(self) -> None:
        self.power_on()
        self.event("power-up")
        self.hello()
        self.load_new(ZONES)
        self.arm()
        self.stroke_for(50)
        self.finish_session()
        self.pull()
        self.acknowledge()
        self.run_ms(300)
        if not self.struck:
            self.check(exact=True)

    # --- events ------------------------------------------------------------------------------------------------------
    def event(self, name: str, *, in_turn: bool = False) -> None:
        """Something happens: try here what is to be tried here."""
        if self._deaf or len(self.struck) == self._depth:
            return
        number = len(self.names)
        full = f"{wire.STATE_NAMES[self._shown]} {name}"
        self.names.append(full)
        turning = name in _TURNING and full not in self._seen
        self._seen.add(full)
        for fault in self._aimed(Moment(number, full, tuple(self.struck), turning)):
            side = forked.split()
            if isinstance(side, forked.Copy):
                # It is gone before there is anything to collect.
                gc.disable()
                self._copy = side
                self._another = number % _ANOTHER == 0
                self._tell = self._further.append
                self._further.clear()
                self._strike(fault, in_turn)
                return
            try:
                self._tell(Outcome(number, fault, side.answer()))
            except forked.Lost as lost:
                self._tell(Outcome(number, fault, Violation("", *told(lost))))

    def _strike(self, fault: Fault, in_turn: bool) -> None:
        self.struck.append(fault)
        self._seen.clear()
        self.may_garble = True
        self._blind.append((self.clock.now, self.clock.now + after(fault.NAME).blind_ms * TICKS_PER_MS))
        self._struck_in_turn = in_turn
        if in_turn and fault.NAME in _BETWEEN_TURNS:
            self.later(f"fault {len(self.struck)}", 0, lambda: self._do(fault))
        else:
            self._do(fault)

    def _do(self, fault: Fault) -> None:
        if needs_power(fault) and not self.powered:
            self._end(VOID)
        try:
            self._as_other(lambda: self.damage.do(fault))
        except CannotBeDone:
            self._end(VOID)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.event("a line to the pen")
        super().send(data)

    def listen(self) -> None:
        """Take in what the pen has said."""
        before = len(self.notes), len(self._answers), len(self.echoes)
        super().listen()
        if before != (len(self.notes), len(self._answers), len(self.echoes)):
            self.event("a line from the pen")

    def press(self) -> None:
        """Press the trigger. Whoever a fault brings has a finger of its own on it, and it is down as long as one is."""
        self._fingers.add(self._hand)
        if not self.plant.trigger_down:
            super().press()
            self.event("the trigger is pressed")

    def release(self) -> None:
        """Let the trigger go."""
        self._fingers.discard(self._hand)
        if self.plant.trigger_down and not self._fingers:
            super().release()
            self.event("the trigger is let go")

    def later(self, what: str, ms: int, act: Callable[[], None]) -> None:
        """Have `act` done later: what a fault has begun."""
        super().later(what, ms, lambda: self._as_other(act))

    def _as_other(self, act: Callable[[], object]) -> None:
        """Do something with the other hand than the practitioner's."""
        before, self._hand = self._hand, _OTHER
        try:
            act()
        finally:
            self._hand = before

    def cartridge(self, closed: bool) -> None:
        """Close or open the cartridge holder."""
        super().cartridge(closed)
        self.event("the cartridge holder " + ("closes" if closed else "opens"))

    def _take_turn(self) -> None:
        super()._take_turn()
        if self._struck_in_turn:
            self._struck_in_turn = False
            since, until = self._blind[-1]
            self._blind[-1] = since, max(until, self.clock.now)
        if self.powered and self.runner.state != self._shown:
            self._shown = self.runner.state
            self.event("reached")

    def _flash_operation(self, operation: Operation) -> None:
        super()._flash_operation(operation)
        self.event(f"flash {operation.kind}", in_turn=True)

    def _flying(self, transitions: Sequence[tuple[int, bool]], at: int) -> None:
        """A stroke begins: its events fall while it is on its way."""
        self._fly(tuple(transitions), at)
        if len(self.struck) == self._depth or not transitions:
            return
        out, back = transitions[0][0], transitions[-1][0]
        for name, offset in (("begins", TICKS_PER_US), ("turns", (out + back) // 2), ("ends", back + TICKS_PER_US)):
            self.clock.schedule(max(at + offset, self.clock.now), self._stroke_event(f"a stroke {name}"))

    def _stroke_event(self, name: str) -> Callable[[], None]:
        return lambda: self.event(name)

    # --- afterwards --------------------------------------------------------------------------------------------------
    def _verdict(self) -> Violation | None:
        """Go on after the faults, as the practitioner does; return what was broken, by whomever."""
        try:
            self._aftermath()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what a campaign looks for
            return Violation("", *told(error))
        return None

    def _may(self) -> After:
        """Return what may follow on all that has been done."""
        may = After()
        for fault in self.struck:
            may = may.and_then(after(fault.NAME))
        return may

    def _aftermath(self) -> None:
        self.release()
        self.run_ms(_AT_ONCE_MS)
        went_on = self._recover()
        may = self._may()
        self._inspect(may)
        if may.goes_on and went_on is not None:
            assert any(faults.NAMES[code] in went_on for code in may.ends_with), f"no way to go on: {went_on}"
        assert may.crashes or not self.crashes, f"the firmware crashed: {self.crashes}"

    def _recover(self) -> str | None:
        """Mend, clear, and treat on, switching the pen off and on between attempts; return what stands in the way, None
        when nothing does.
        """
        trouble = ""
        for number in range(_ROUNDS * self._depth):
            self._mend()
            try:
                if number:
                    self.unpower()
                    self.run_ms(200)
                    self._mend()
                    self.restart()
                else:
                    self._join()
                self._go_on()
            except TROUBLE as error:
                trouble = told(error)[0]
                self.release()
                continue
            return None
        return trouble

    def _mend(self) -> None:
        """Put right what can be put right."""
        for fault in self.damage.present():
            if can_mend(type(fault)):
                self._as_other(partial(self.damage.mend, fault.NAME))
        self.stop_button(False)
        if not self.plant.cartridge_seated:
            self.cartridge(True)

    def _join(self) -> None:
        """Put the cable in anew, switch on a pen that is off, greet."""
        self.host.unplug()
        self.run_ms(20)
        if self.powered:
            self.host.plug()
            self._heard = b""
            self.hello()
        else:
            self.restart()

    def _go_on(self) -> None:
        """Clear what is latched, bring the session to its end, pull its record, and treat the next client."""
        had = dict(self.sealed_data)
        if self.greeting["state"] == wire.FAULT:
            self.recover_from_fault()
            self.hello()
        self._finish()
        self.hello()
        acked = self.ask("record.list", after=0)["acked"]
        self.sealed.clear()
        self.sealed_data.clear()
        self.pull()
        if self._may().keeps:
            for number in range(1, self.greeting["session_id"]):
                data = self.sealed_data.get(number)
                assert data is not None or number <= acked, f"record {number} is lost"
                assert data is None or had.get(number, data) == data, f"record {number} is another one"
        for number, data in had.items():
            self.sealed_data.setdefault(number, data)
        self.acknowledge()
        if self._another:
            self.play_session(ONE_STROKE)

    def _finish(self) -> None:
        """Bring the session to its end, if it is there."""
        if self.loaded is None:
            return
        if self.greeting["open_session"] and self.state() == wire.SAFE:
            self.load(self.loaded_data)
        elif not self.greeting["open_session"] and self.greeting["session_id"] == self.loaded.session_id:
            if self.state() == wire.SAFE:
                self.change_cartridge()
                self.load(self.loaded_data)
        else:
            return
        self.finish_session()

    def _inspect(self, may: After) -> None:
        """Fail unless the needle, the counts and the records are as they may be."""
        if not may.counts:
            # What was forgotten is allowed once more, and the record knows nothing of it.
            self.sealed.clear()
            self.budgets = {name: (2 * strokes, limit_um) for name, (strokes, limit_um) in self.budgets.items()}
        self._excuse(may)
        self.check(allow=may.allow)
        report = self.plant.report()
        if DEPTH_LIMIT in may.allow:
            limit_um = max((limit_um for _, limit_um in self.budgets.values()), default=0)
            assert report.total.deepest_um <= min(limit_um + may.deeper_um, 2600) + 1e-6, report.total

    def _excuse(self, may: After) -> None:
        """Let nothing be said of what nobody could have done otherwise: of a flash that was written while the carriage
        moved inside the nose, in a write that had begun at rest, for the CPU stands still in it, or while the fault
        can't be seen; of strokes that were credited already.
        """
        unasked = 0
        kept = []
        for each in self.oracle.violations:
            if each.kind == FLASH_IN_MOTION and any(since <= each.at <= until for since, until in self._blind):
                if dict(each.numbers)["x_steps"] <= self.plant.mechanics.nose_steps:
                    continue
            elif each.kind == NO_CONSENT and unasked < may.unasked:
                unasked += 1
                continue
            kept.append(each)
        self.oracle.violations[:] = kept
