"""Plays a scenario: acts one after the other, faults and timed expectations beside them, the rest at the end.

Host only. Single-threaded: one turn hears the pen, does what is due beside, keeps the lease, and lets a little time
pass. Against the virtual pen in this process the same file and seed make the same events, to the last byte.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pencore import faults, record, wire
from pencore.faults import Refusal
from pencore.record import Record
from pensim.faults import classes
from pensim.faults.wire import Unplugged
from pensim.hands import BadCommand
from pensim.scenario import checks
from pensim.scenario.acts import HANDS, HANDS_ACTS, HOST, MEND, NO_ANSWER, ORACLE
from pensim.scenario.client import Client, Params, hello_params
from pensim.scenario.conditions import NEEDLE, NONE, PINS, Condition
from pensim.scenario.doing import HostActs
from pensim.scenario.form import Path
from pensim.scenario.knowing import Knowledge, shown_answer
from pensim.scenario.model import FACTS, Act, Expectation, Scenario, Timing
from pensim.scenario.targets import CHANGE_MS, Lacks, Target, needed

_ASK_MS = 50
"""How often the pen is asked for its status while a condition waits for it."""
_AFTERWARDS_MS = 60
"""How long a broken run goes on, so that it can be seen what followed."""
_FINAL_MS = 1000
LASTS_MOST_MS = 4 * 3_600_000
"""Longest run: what a file may wait for by itself, and as much again for what it waits for."""
_MOVING = (wire.STATE_NAMES[wire.HOMING], wire.STATE_NAMES[wire.RUNNING])
_READABLE = tuple(wire.STATE_NAMES[state] for state in (wire.SAFE, wire.LOADED, wire.FAULT))
_CUTS_A_LINE = (*(kind.NAME for kind in classes()["power"]), Unplugged.NAME)
_BUSY_MS = 50
_REPEAT_MS = 1000


@dataclass(frozen=True)
class Event:
    """Something that happened, so many ms after the start: who (host, pen, hands, fault, needle, check), and what."""

    at_ms: int
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_ms:>9,} ms  {self.who:<6}  {self.what}"


class Broken(Exception):
    """What was expected did not come; `path` is its place in the file, () for what no file has to say."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.path = path
        self.expected = expected
        self.found = found


@dataclass
class Outcome:
    """How a scenario went; `broken` is the first thing that did not come as expected, `broken_at` its event's index."""

    scenario: Scenario
    target: str
    seed: int
    events: list[Event] = field(default_factory=list)
    broken: Broken | None = None
    broken_at: int = 0
    motion_ms: int = 0
    strokes: int | None = None
    deepest_um: float | None = None
    expected: int = 0
    violations: set[str] = field(default_factory=set)
    """Kinds of what must never happen and did, allowed or not."""
    seen: set[str] = field(default_factory=set)
    """Names of every state and code that came up: said by the pen, or on record."""

    @property
    def ok(self) -> bool:
        """Whether everything came as expected."""
        return self.broken is None

    def log(self) -> str:
        """Return all events, a line each."""
        return "".join(f"{event}\n" for event in self.events)


def play(scenario: Scenario, target: Target, seed: int | None = None) -> Outcome:
    """Play `scenario` against `target`, once. Raises Lacks before the first act when the target isn't made for it."""
    needed(scenario, target)
    player = Player(scenario, target, scenario.pen.get("seed", 0) if seed is None else seed)
    return player.play()


class Player:
    """One run. What the acts of the host need is public; `now_ms` counts from the start."""

    def __init__(self, scenario: Scenario, target: Target, seed: int) -> None:
        self.scenario = scenario
        self.target = target
        self.outcome = Outcome(scenario, target.name, seed)
        self._start_ms = target.now_ms()
        self.client = Client(target, self.log, self._start_ms, self._look)
        self.records: list[Record] = []
        self.refusal: Refusal | None = None
        self.refusals: list[str] = []
        self.answer: dict[str, Any] = {}
        self.same: bool | None = None
        self.plugged = True
        self.first_session = 0
        self.session = 0
        self.budgets: dict[str, tuple[int, int]] = {}
        """Label of each zone that was ever loaded -> (strokes, limit in um)."""
        self.outside = "outside"
        self._host = HostActs(self)
        self._faults = list(scenario.faults)
        self._expects = [expect for expect in scenario.expects if expect.timing.given]
        self._held: dict[Path, int] = {}
        self._waiting: Condition | None = None
        self._beside_now = False
        self._told = (0, 0)
        self._asked_ms = 0
        self.knowledge = Knowledge(self)
        self.known = self.knowledge.ask

    # --- the run -----------------------------------------------------------------------------------------------------
    def play(self) -> Outcome:
        """Play it; return how it went."""
        # Nothing is due before the start.
        self._beside_now = True
        self._prepare()
        self._beside_now = False
        try:
            for act in self.scenario.acts:
                self._carry_out(act)
            self._finish()
        except Broken as broken:
            self._break(broken)
        if ORACLE in self.target.offers:
            total = self.knowledge.total()
            self.outcome.strokes = total["strokes"]
            self.outcome.deepest_um = total["deepest_um"]
            self.outcome.violations = {checks.kind_of(violation) for violation in self.knowledge.violations()}
        self.outcome.seen = self._came_up()
        return self.outcome

    def _came_up(self) -> set[str]:
        client = self.client
        names = {client.state, *client.states, *client.codes, *client.faults, *self.known("refusals")}
        for sealed in self.records:
            names |= {faults.NAMES.get(code, str(code)) for code, _, _ in sealed.faults}
        return names

    def _prepare(self) -> None:
        if HANDS in self.target.offers and self.scenario.pen.get("new_cartridge", True):
            self.target.do({"do": "cartridge", "closed": False})
            self._pass(CHANGE_MS)
            self.target.do({"do": "cartridge", "closed": True})
            self._pass(100)
        if self.scenario.greet:
            self._first_hello()
            self._compare_pen()
        self._start_ms = self.target.now_ms()
        self.client.begin(self._start_ms)
        self.outcome.events.clear()
        self.outcome.motion_ms = 0
        if ORACLE in self.target.offers:
            self.knowledge.begin()
            self.keep_inside()

    def _first_hello(self) -> None:
        number = self.client.request("hello", hello_params())
        if not self._wait(lambda: number in self.client.answers, 5000):
            raise Lacks("a pen that answers", "hello")
        refusal = self.client.answers[number].refusal
        if refusal is not None:
            raise Lacks("a pen of this protocol", faults.NAMES.get(refusal.code, str(refusal.code)))

    def _compare_pen(self) -> None:
        """Raise Lacks unless the pen is as `[pen]` wants it, as far as its hello tells, and has nothing open."""
        hello = self.client.hello
        for name in FACTS:
            wanted = self.scenario.pen.get(name)
            if wanted is not None and wanted != hello[name] and hello["serial"]:
                raise Lacks(f"[pen] {name} = {wanted}", f"this pen has {hello[name]}")
        self.outside = f"outside {hello['session_id']}"
        if not self.target.fresh:
            if (self.scenario.pen.get("provisioned") is False) == bool(hello["serial"]):
                raise Lacks("[pen] provisioned", f"this pen is {'' if hello['serial'] else 'not '}provisioned")
            if self.client.state != wire.STATE_NAMES[wire.SAFE] or hello["open_session"]:
                raise Lacks("a pen that is SAFE, with no open session", f"this one is {self.client.state}")

    def _finish(self) -> None:
        """Let what is still due beside come, then hold everything else that was expected against what is known."""
        limit_ms = max((timing.within_ms + timing.after_ms for timing in self._timings()), default=0)
        latest = max([0, *(timing.at_ms or 0 for timing in self._timings())])
        limit_ms += max(0, latest - self.now_ms())
        self._wait(lambda: not self._faults and not self._expects, limit_ms)
        for act in self._faults:
            raise Broken(act.path, f"{act} {act.timing}", "its time never came")
        for expect in self._expects:
            raise Broken(expect.path, f"{expect.test} {expect.timing}", "its time never came")
        self._gather()
        for expect in self.scenario.expects:
            if not expect.timing.given:
                self._hold(expect)
        self._check()

    def _gather(self) -> None:
        """Learn what only a question brings: status and records, from a pen that answers."""
        if not self.client.greeted or not self.plugged or not self.target.reading:
            return
        if self.quiet("status") and self.client.state in _READABLE:
            try:
                self.pull(_FINAL_MS)
            except (Refusal, TimeoutError) as error:
                self.log("check", f"the records can't be read: {error}")

    def quiet(self, method: str, params: Mapping[str, Any] | None = None) -> bool:
        """Ask for something without telling the log; return whether it was answered."""
        number = self.client.request(method, params or {}, quiet=True)
        self._wait(lambda: number in self.client.answers, _FINAL_MS)
        message = self.client.answers.get(number)
        return message is not None and message.refusal is None

    def _check(self) -> None:
        outcome = self.outcome
        limit_ms = int(self.scenario.motion_s * 1000)
        if outcome.motion_ms > limit_ms:
            raise Broken(("motion_s",), f"motion for at most {limit_ms} ms", f"{outcome.motion_ms} ms")
        needle = None
        if ORACLE in self.target.offers:
            needle = checks.Needle(self.knowledge.labels(), self.outside, tuple(self.knowledge.violations()))
        status = self.client.status if self.client.state in _READABLE else {}
        open_counts = {
            f"{status['session_id']}.{zone}": made + forfeited
            for zone, (made, forfeited) in enumerate(
                zip(status.get("made", ()), status.get("forfeited", ()), strict=True)
            )
        }
        for problem in checks.problems(needle, self.budgets, self.records, self.scenario.allow, open_counts):
            raise Broken((), problem.expected, problem.found)

    def _break(self, broken: Broken) -> None:
        self.log("check", f"here it broke: {broken.expected}")
        self.outcome.broken = broken
        self.outcome.broken_at = len(self.outcome.events) - 1
        self._faults.clear()
        self._expects.clear()
        self._pass(_AFTERWARDS_MS)

    # --- acts --------------------------------------------------------------------------------------------------------
    def _carry_out(self, act: Act) -> None:
        self._await(act.timing, act.path)
        refusal = self._do(act)
        self.knowledge.forget()
        # What an act brings may be over before any time passes.
        self._beside()
        found = NONE if refusal is None else refusal
        if found != (act.refused or NONE):
            expected = f"{act.do} refused with {act.refused}" if act.refused else f"{act.do} done"
            raise Broken(act.path, expected, "done" if refusal is None else f"refused with {refusal}")

    def _do(self, act: Act) -> str | None:
        """Do an act; return the name of the code with which it was refused, NO_ANSWER, or None when it was done."""
        if act.do not in HOST:
            self.hands(act.do, act.keys, act.path)
            return None
        self.refusal = None
        try:
            self._host.do(act)
        except Refusal as refusal:
            self.refusal = refusal
            name = faults.NAMES.get(refusal.code, str(refusal.code))
            self.refusals.append(name)
            return name
        except TimeoutError:
            return NO_ANSWER
        except ValueError as error:
            raise Broken(act.path, act.do, str(error)) from None
        return None

    def hands(self, do: str, keys: Mapping[str, Any], path: Path) -> None:
        """Have hands do something."""
        told = "".join(f" {name}={str(value).lower()}" for name, value in keys.items())
        self.log("hands", do + told)
        self._command({"do": do, **keys}, path)
        if do in ("power_cut", "power_on", "usb"):
            self.client.forget_line()

    def _command(self, command: Mapping[str, Any], path: Path) -> None:
        try:
            self.target.do(command)
        except BadCommand as problem:
            raise Broken(path, str(command["do"]), str(problem)) from None
        self.knowledge.forget()

    def _disturb(self, act: Act) -> None:
        """Do a fault."""
        self.log("fault", str(act))
        if act.do == MEND:
            self._command({"do": MEND, **act.keys}, act.path)
        elif act.do in HANDS_ACTS:
            self.hands(act.do, act.keys, act.path)
        else:
            self._command({"do": "fault", "name": act.do, "parameters": dict(act.keys)}, act.path)
            if act.do in _CUTS_A_LINE:
                self.client.forget_line()

    # --- requests, for the acts --------------------------------------------------------------------------------------
    def ask(
        self, method: str, params: Params, within_ms: int, *, insist: bool = True, quiet: bool = False
    ) -> dict[str, Any]:
        """Make a request and return its answer's fields, again and again while the pen is BUSY unless not `insist`.

        `quiet`: it is no act's, so log and `answer` don't hear of it.
        Raises the pen's Refusal, TimeoutError when there is no answer, ValueError for what has no form on the wire.
        """
        deadline = self.now_ms() + within_ms
        while True:
            try:
                number = self.client.request(method, params, quiet)
            except Refusal as refusal:
                raise ValueError(f"{refusal}") from None
            message = self._insisted(number, self.client.sent, deadline)
            if message.refusal is None:
                if not quiet:
                    state = message.values.get("state")
                    named = {} if state is None else {"state": wire.STATE_NAMES[state]}
                    self.answer = {**message.values, **named}
                return message.values
            if message.refusal.code != faults.BUSY or not insist or self.now_ms() + _BUSY_MS > deadline:
                raise message.refusal
            self._pass(_BUSY_MS)

    def _insisted(self, number: int, line: bytes, deadline: int) -> wire.Message:
        """Return the answer under `number`; the same line is sent again and again until there is one.

        A pen whose host did not read for a while drops answers, and gives them to whoever asks the same once more.
        """
        while True:
            left_ms = deadline - self.now_ms()
            try:
                return self.answered(number, min(left_ms, _REPEAT_MS))
            except TimeoutError:
                if left_ms <= _REPEAT_MS:
                    raise
            self.client.send(line)

    def answered(self, number: int, within_ms: int) -> wire.Message:
        """Return the answer under `number` once it is there; TimeoutError."""
        if not self._wait(lambda: number in self.client.answers, within_ms):
            raise TimeoutError(f"no answer in {within_ms} ms")
        return self.client.answers[number]

    def wait_for(self, condition: Callable[[], bool], within_ms: int) -> bool:
        """Let the run go on until `condition` holds, at most `within_ms`; return whether it does."""
        return self._wait(condition, within_ms)

    def pull(self, within_ms: int) -> None:
        """Read the records of this scenario's sessions that are not read yet."""
        read = {sealed.session for sealed in self.records}
        after = max([0, self.first_session - 1, *read])
        for session in self.ask("record.list", {"after": after}, within_ms, quiet=True)["sessions"]:
            data = b""
            while True:
                params = {"session": session, "offset": len(data)}
                piece = self.ask("record.read", params, within_ms, quiet=True)
                data += piece["data"]
                if len(data) >= piece["size"] or not piece["data"]:
                    break
            self.records.append(record.decode(data))
            self.log("host", f"has read record {session}: {self.records[-1].counted()} strokes")

    # --- what the oracle is told -------------------------------------------------------------------------------------
    def label(self, zone: int) -> str:
        """Return the heading under which the oracle counts a zone of the loaded profile."""
        return f"{self.session}.{zone}"

    def keep_inside(self) -> None:
        """Have the needle counted under no zone, and mind any protrusion."""
        if ORACLE in self.target.offers:
            self.target.do({"do": "zone", "label": self.outside, "limit_um": 0})

    def allow_zone(self, zone: int) -> None:
        """Have it counted under `zone`, and mind that zone's limit."""
        label = self.label(zone)
        if ORACLE in self.target.offers and label in self.budgets:
            self.target.do({"do": "zone", "label": label, "limit_um": self.budgets[label][1]})

    # --- time --------------------------------------------------------------------------------------------------------
    def now_ms(self) -> int:
        """Return the time since the start."""
        return self.target.now_ms() - self._start_ms

    def log(self, who: str, what: str) -> None:
        """Note an event."""
        self.outcome.events.append(Event(self.now_ms(), who, what))

    def _pass(self, ms: int) -> None:
        """Let `ms` pass."""
        end = self.now_ms() + ms
        while self.now_ms() < end:
            self._turn(end - self.now_ms())

    def _wait(self, condition: Callable[[], bool], within_ms: int) -> bool:
        end = self.now_ms() + within_ms
        self.client.hear()
        while not condition():
            if self.now_ms() >= end:
                return False
            self._turn(end - self.now_ms())
        return True

    def _await(self, timing: Timing, path: Path) -> None:
        """Wait until an act is due."""
        if timing.at_ms is not None and timing.at_ms > self.now_ms():
            self._pass(timing.at_ms - self.now_ms())
        condition = timing.condition
        if condition is not None:
            self._waiting = condition
            held = self._wait(lambda: condition.holds(self.known), timing.within_ms)
            self._waiting = None
            if not held:
                found = ", ".join(f"{part.what} {shown_answer(self.known(part.what))}" for part in condition.parts)
                raise Broken((*path, "when"), f"{condition.text} within {timing.within_ms} ms", found)
        self._pass(timing.after_ms)

    def _turn(self, most_ms: int) -> None:
        """Hear, do what is due beside, keep the lease, and let up to `most_ms` pass."""
        if self.now_ms() > LASTS_MOST_MS and self.outcome.broken is None:
            raise Broken((), f"an end within {LASTS_MOST_MS:,} ms", "none")
        self.client.hear()
        self._beside()
        self.client.keep()
        ms = min(most_ms, max(1, self.client.ping_in_ms()), self._next_ms())
        before = self.target.now_ms()
        says_so = self.client.state in _MOVING
        self.target.advance(max(1, ms))
        if self.target.moves(says_so):
            self.outcome.motion_ms += self.target.now_ms() - before
        self.knowledge.forget()
        self.client.hear()

    def _timings(self) -> list[Timing]:
        """Return when what is still to come beside is due."""
        return [*(act.timing for act in self._faults), *(expect.timing for expect in self._expects)]

    def _conditions(self) -> list[Condition]:
        awaited = [timing.condition for timing in self._timings()]
        return [condition for condition in (self._waiting, *awaited) if condition is not None]

    def _next_ms(self) -> int:
        """Return in how many ms something may be due beside."""
        parts = [part for condition in self._conditions() for part in condition.parts]
        looked_at = any(part.source in (NEEDLE, PINS) or part.what.startswith("status.") for part in parts)
        now = self.now_ms()
        dues = [timing.at_ms for timing in self._timings() if timing.at_ms is not None]
        dues += list(self._held.values())
        waits = [due - now for due in dues if due > now]
        return min([self.target.grain_ms if looked_at else 10 * self.target.grain_ms, *waits])

    # --- beside ------------------------------------------------------------------------------------------------------
    def _beside(self) -> None:
        """Do the faults and hold the expectations that are due; ask for the status that a condition waits for."""
        if self._beside_now:
            return
        self._beside_now = True
        try:
            self._ask_status()
            for act in [act for act in self._faults if self._due(act.timing, act.path)]:
                self._faults.remove(act)
                self._disturb(act)
            for expect in [expect for expect in self._expects if self._due(expect.timing, expect.path)]:
                self._expects.remove(expect)
                if expect.test.what.startswith("status."):
                    self.quiet("status")
                elif expect.test.what.startswith("record"):
                    self.pull(_FINAL_MS)
                self._hold(expect)
        finally:
            self._beside_now = False

    def _ask_status(self) -> None:
        wanted = any(part.what.startswith("status.") for condition in self._conditions() for part in condition.parts)
        if wanted and self.client.greeted and self.now_ms() - self._asked_ms >= _ASK_MS:
            self._asked_ms = self.now_ms()
            self.client.request("status", {}, quiet=True)

    def _due(self, timing: Timing, path: Path) -> bool:
        now = self.now_ms()
        if path not in self._held:
            if timing.at_ms is not None and now < timing.at_ms:
                return False
            if timing.condition is not None and not timing.condition.holds(self.known):
                return False
            self._held[path] = now + timing.after_ms
        if now < self._held[path]:
            return False
        del self._held[path]
        return True

    def _hold(self, expect: Expectation) -> None:
        found = self.known(expect.test.what)
        if not expect.test.holds(found):
            raise Broken(expect.path, str(expect.test), shown_answer(found))
        self.outcome.expected += 1
        self.log("check", f"{expect.test}: {shown_answer(found)}")

    # --- what the needle did ----------------------------------------------------------------------------------------
    def _look(self) -> None:
        """The pen has told of something: note what the needle did up to now, if that is news."""
        if ORACLE not in self.target.offers:
            return
        self.knowledge.forget()
        total = self.knowledge.total()
        found = len(self.knowledge.violations())
        if (total["begun"], found) != self._told:
            self._told = (total["begun"], found)
            broken = f", {self.knowledge.violations()[-1]}" if found else ""
            self.log("needle", f"{total['strokes']} strokes, deepest {total['deepest_um']:.1f} um{broken}")
