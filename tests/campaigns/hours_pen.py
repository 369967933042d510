"""A pen in use: a host that gets over what happens to its cable, a person, and the inspector. Host only.

Plays the acts of a life (`hours_people`). The inspector counts each stroke under the zone that the pen works at and the
profile that was loaded, by its digest; the limits are the test's own, from that profile. What a fault may lead to says
`hours_harm`; all else must hold, and a pen that was mended must work.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from pencore import faults as codes
from pencore import profile, wire
from pencore.faults import Refusal
from pencore.profile import Profile
from pensim import faults, supply
from pensim.bench import CannotBeDone
from pensim.clock import TICKS_PER_S
from pensim.flash import Snapshot
from pensim.oracle import COAST_LIMIT, DEPTH_LIMIT, NO_CONSENT, Violation
from tests.campaigns.hours_harm import Harm, harm_of
from tests.campaigns.hours_host import Hosted
from tests.campaigns.hours_people import Act, Do, Life, Past
from tests.support import profiles
from tests.support.bench import COAST_MOST_UM, Bench, NoAnswer, label
from tests.support.cuts import ONE_STROKE, aged

NEARLY_FULL = 62
"""Records that a pen has of the 64 it keeps unacknowledged."""
AFTER_MS = 1000
"""How long a violation may come after the fault that it is of was mended."""


_LOOKED_AFTER = (Do.LOAD, Do.REPAIR, Do.FINISH, Do.PULL)
"""After what the inspector looks over what has happened; nothing gets lost until then."""


class Broken(Exception):
    """Something happened that must not."""


@cache
def past_flash(past: Past) -> tuple[Snapshot | None, dict[str, int], dict[str, tuple[int, int]]]:
    """Return the flash of a pen with such a past, the strokes it made, and their budgets."""
    if past is Past.NEW:
        return None, {}, {}
    if past is Past.AGED:
        return aged(300), {}, {}
    pen = Bench()
    for _ in range(NEARLY_FULL):
        pen.load_new(ONE_STROKE)
        pen.finish_session()
    return pen.snapshot_flash(), pen.needle_strokes(), dict(pen.budgets)


class Used(Hosted):
    """A pen in use. `treated`, `stroking`: ticks with a session loaded or open, and those with strokes being made."""

    def __init__(self, past: Past, seed: int) -> None:
        flash, strokes, budgets = past_flash(past)
        self.treated = 0
        self.stroking = 0
        self._offered: dict[bytes, Profile] = {}
        self._at_work = ""
        self._known: Callable[[], None] | None = None
        self._windows: list[tuple[Harm, int, int]] = []
        self._open_harms: dict[str, tuple[Harm, int]] = {}
        self._spoilt_memory = False
        self._raises = 0
        self.flash_spoilt = False
        self.counts_spoilt = False
        self._judged = 0
        self._faults = 0
        self._seen_crashes = 0
        super().__init__(flash=flash, seed=seed, earlier=strokes)
        self.budgets.update(budgets)
        self.power_on()
        self.hello()

    # --- the inspector, at the pen -----------------------------------------------------------------------------------
    def _boot(self, cause: int) -> None:
        super()._boot(cause)
        self._look_over_engine()

    def _look_over_engine(self) -> None:
        """Know of each credit and homing beforehand; what is done to the ports' calls may take this away again."""
        engine = self.engine
        if "credit" in vars(engine) and engine.credit is self._known:
            return
        credit, home = engine.credit, engine.home

        def credited() -> None:
            self._allow_work()
            credit()

        def homing(*arguments: int) -> None:
            self._at_work = ""
            self.keep_inside()
            home(*arguments)

        vars(engine).update(credit=credited, home=homing)
        self._known = credited

    def strokes_made(self) -> int:
        """Return how many strokes the needle has made in this life."""
        return sum(self.needle_strokes().values()) - sum(self.earlier.values())

    def _allow_work(self) -> None:
        """Strokes are about to be made: count them under the zone at work, with the limit of the profile offered."""
        work = self.runner.session
        if work is None:
            raise Broken("strokes without a session")
        name = label(work.session, work.zone)
        if name == self._at_work:
            return
        offered = self._offered.get(work.profile.digest)
        if offered is None or offered.session_id != work.session or not 0 <= work.zone < len(offered.zones):
            raise Broken(f"strokes of zone {name} of a profile that nobody sent")
        limit_um = profiles.limit_um(self.setup, offered, work.zone)
        budget = (offered.zones[work.zone].strokes, limit_um)
        if self.budgets.setdefault(name, budget) != budget and self.needle_strokes().get(name):
            raise Broken(f"zone {name} has another budget than before")
        self.budgets[name] = budget
        self.plant.label(name)
        self.plant.set_limit_um(limit_um)
        self._at_work = name

    def _advance(self, end: int) -> None:
        begin = self.clock.now
        runner = self.runner
        working = self.powered and runner.session is not None
        stroking = working and runner.state == wire.RUNNING
        if self.powered:
            self._look_over_engine()
        super()._advance(end)
        if working:
            passed = self.clock.now - begin
            self.treated += passed
            if stroking:
                self.stroking += passed

    # --- acts --------------------------------------------------------------------------------------------------------
    def play(self, act: Act) -> None:
        """Do one act, whatever comes of it; Broken for what may not come of anything."""
        self.note(f"did: {act.do}")
        try:
            getattr(self, f"_do_{act.do.name.lower()}")(act)
        except Refusal as refusal:
            self.note(f"refused: {codes.NAMES[refusal.code]}")
        except NoAnswer:
            pass
        if act.do in _LOOKED_AFTER:
            self.inspect()

    def _do_load(self, act: Act) -> None:
        zones, later_s = act.value
        greeting = self.hello()
        if greeting["open_session"]:
            if self.loaded is not None and self.loaded.session_id == greeting["open_session"]:
                self._offer(self.loaded_data)
            return
        if greeting["state"] == wire.FAULT:
            self.ask("clear")
            greeting = self.hello()
        self.change_cartridge()
        default = profiles.make(greeting, zones)
        issued_at = max(default.issued_at, greeting["time_floor"]) + later_s + self.host.clock_off_s
        made = replace_fields(default, issued_at=min(max(issued_at, 0), 2**32 - 1))
        try:
            self._offer(profile.encode(made))
        except Refusal as refusal:
            self.note(f"refused: {codes.NAMES[refusal.code]}")
            if refusal.code == codes.RECORDS_FULL:
                self._pull(acknowledge=True)
            if self.host.clock_off_s:
                raise
            # A course of its own, at the time that the pen believes.
            greeting = self.hello()
            made = profiles.make(greeting, zones, course_id=f"H-{greeting['session_id']}", course_index=1, course_of=1)
            made.issued_at = min(max(made.issued_at, greeting["time_floor"]), greeting["time_floor"] + 40 * 86_400)
            made.issued_at = max(made.issued_at, self.setup.calibrated_at)
            self._offer(profile.encode(made))
        self.note("sessions loaded")

    def _offer(self, data: bytes) -> None:
        """Load a profile; from now on the pen may have it, answer or not."""
        offered = profile.decode(data)
        self.transfer(data)
        self._offered[offered.digest] = offered
        self.persist("load.commit")
        self.loaded = offered
        self.loaded_data = data

    def _do_arm(self, act: Act) -> None:
        self.persist("arm", zone=act.value)
        for _ in range(60):
            if self.status()["state"] != wire.HOMING:
                break
            self.live(50)
        self.live(120)

    def _do_select(self, act: Act) -> None:
        state = self.status()["state"]
        if state == wire.LOADED:
            self._do_arm(act)
        else:
            self.persist("zone.select", zone=act.value or 0)
            self.live(200)

    def _do_ready(self, act: Act) -> None:
        """Look at the pen, and do what it needs for the next burst."""
        self.release()
        status = self.status()
        if status["state"] == wire.FAULT:
            self.persist("clear")
            status = self.status()
        unspent = [zone for zone, left in enumerate(status["left"]) if left]
        if not unspent:
            return
        if status["state"] == wire.LOADED:
            self._do_arm(Act(Do.ARM, act.value if act.value in unspent else unspent[0]))
        elif status["zone"] not in unspent:
            self._do_select(Act(Do.SELECT, unspent[0]))
        self.live(120)

    def _do_press(self, act: Act) -> None:
        self.press()
        self.live(act.value)

    def _do_tap(self, act: Act) -> None:
        for _ in range(2):
            self.press()
            self.live(act.value)
            self.release()
            self.live(act.value)

    def _do_release(self, act: Act) -> None:
        self.release()
        self.live(act.value)

    def _do_pause(self, act: Act) -> None:
        self.ask("pause")

    def _do_stop(self, act: Act) -> None:
        self.send(b"\x18")
        self.live(act.value)

    def _do_button(self, act: Act) -> None:
        self.stop_button(True)
        self.live(act.value)
        self.stop_button(False)

    def _do_clear(self, act: Act) -> None:
        self.release()
        self.persist("clear")

    def _do_walk(self, act: Act) -> None:
        """Go away; the laptop's lid falls shut when it takes long."""
        self.release()
        if act.value > 900_000:
            self.live(act.value)
        else:
            self.run_ms(act.value)

    def _do_wait(self, act: Act) -> None:
        self.live(act.value)

    def _do_cartridge(self, act: Act) -> None:
        self.cartridge(False)
        self.live(act.value)
        self.cartridge(True)
        self.live(100)

    def _do_unplug(self, act: Act) -> None:
        self.plug(False)
        self.run_ms(act.value)
        self.plug(True)
        self.hello()

    def _do_restart(self, act: Act) -> None:
        """The host's program ends, and is started anew: it knows nothing but the files that it keeps."""
        self.run_ms(act.value)
        self._heard = b""
        self._nonce = ""
        self.hello()

    def _do_power(self, act: Act) -> None:
        supply.cut_power(self)
        self.run_ms(act.value)
        supply.switch_on(self)
        self.run_ms(50)
        self.hello()

    def _do_clock(self, act: Act) -> None:
        floor_s = self.hello()["time_floor"] or profiles.NOW
        time = max(floor_s + act.value, self.setup.calibrated_at)
        self.ask("clock.correct", time=time, reason="laptop was wrong", key_id=0, hmac="0" * 64)

    def _do_finish(self, act: Act) -> None:
        self.release()
        self.live(400)
        self.persist("finish")
        self.until(wire.SAFE)

    def _do_pull(self, act: Act) -> None:
        self._pull(acknowledge=act.value)

    def _pull(self, *, acknowledge: bool) -> None:
        self.pull()
        if acknowledge:
            self.acknowledge()

    # --- faults ------------------------------------------------------------------------------------------------------
    def _do_fault(self, act: Act) -> None:
        fault = act.fault
        if fault is None:
            return
        self._faults += 1
        if act.value:
            self.later(f"fault {self._faults}", act.value, lambda: self._strike(fault))
        else:
            self._strike(fault)

    def _strike(self, fault: faults.Fault) -> None:
        harm = harm_of(fault)
        try:
            if faults.needs_power(fault) and not self.powered:
                raise CannotBeDone("no power")
            self.damage.do(fault)
        except CannotBeDone:
            self.note("faults that could not be done")
            return
        self.note(f"fault: {fault.NAME}")
        self._raises += harm.raises
        self._spoilt_memory |= harm.memory
        self.flash_spoilt |= harm.flash
        self.counts_spoilt |= harm.counts
        if harm.kinds and fault.NAME not in self._open_harms:
            self._open_harms[fault.NAME] = (harm, self.clock.now)

    def _do_repair(self, _act: Act) -> None:
        """Put everything right, and see that the pen gets back to work."""
        self.note("repairs")
        for number in range(1, self._faults + 1):
            self.never(f"fault {number}")
        for done in self.damage.present():
            self.damage.mend(done.NAME)
        for what in ("power", "usb", "trigger", "stop", "cartridge", "reading"):
            self.never(what)
        self.spare_calls()
        self.release()
        self.stop_button(False)
        self.cartridge(True)
        self.host.reading = True
        if not self.usb:
            self.plug(True)
        self._on()
        if self.hung:
            self.run_ms(5000)
        if self._spoilt_memory:
            # What flipped in memory is gone with the power.
            self._do_power(Act(Do.POWER, 500))
            self._spoilt_memory = False
        self.run_ms(AFTER_MS)
        self._heard = b""
        try:
            self._in_spite_of_cuts(self._back_to_work)
        except (Refusal, NoAnswer) as error:
            if not self.flash_spoilt:
                raise Broken(f"a mended pen doesn't get back to work: {type(error).__name__} {error}") from error
            self.note("pens with spoilt flash given up")
            raise GivenUp from error
        now = self.clock.now
        self._windows += [(harm, since, now) for harm, since in self._open_harms.values()]
        self._open_harms.clear()

    def _on(self) -> None:
        """Switch the power on until it stays on: some faults cut it again soon after."""
        for _ in range(5):
            supply.switch_on(self)
            self.run_ms(AFTER_MS)
            if self.powered:
                return

    def _in_spite_of_cuts(self, act: Callable[[], None]) -> None:
        """Do something, and do it again after a cut that was waiting for one of the flash's next operations."""
        for _ in range(3):
            try:
                return act()
            except NoAnswer:
                if self.powered:
                    raise
            self._on()
            self.hello()
        return act()

    def _back_to_work(self) -> None:
        """Clear what is latched, resume or finish the session that is open, home and make a stroke."""
        self.hello()
        if self.until(wire.SAFE, wire.LOADED, wire.ARMED, wire.PAUSED, wire.FAULT) == wire.FAULT:
            self.persist("clear")
        status = self.status()
        if status["state"] == wire.SAFE:
            return
        if status["state"] == wire.LOADED and any(status["left"]):
            self.live(100)
            self.persist("arm", zone=None)
            if self.until(wire.ARMED, wire.LOADED, wire.FAULT) != wire.ARMED:
                raise NoAnswer(f"arming ends in {self.status()}")
            status = self.status()
        if (
            status["zone"] is not None
            and status["state"] in (wire.ARMED, wire.PAUSED)
            and status["left"][status["zone"]]
        ):
            self.live(200)
            before = sum(self.needle_strokes().values())
            self.press()
            self.live(1500)
            self.release()
            self.live(500)
            if sum(self.needle_strokes().values()) == before:
                raise NoAnswer(f"no stroke is made: {self.status()}")
            self.note("strokes made after a repair")

    # --- what must be so ---------------------------------------------------------------------------------------------
    def inspect(self) -> None:
        """Look over what has happened since the last time."""
        report = self.plant.report()
        for violation in report.violations[self._judged :]:
            if not self._excused(violation):
                raise Broken(str(violation))
        self._judged = len(report.violations)
        self._check_crashes()
        counts = self.needle_strokes()
        if counts.pop("", 0):
            raise Broken("strokes outside of every zone")
        for name, strokes in counts.items():
            budget, limit_um = self.budgets[name]
            if strokes > budget and not self.counts_spoilt:
                raise Broken(f"{strokes} strokes in zone {name}, which has {budget}")
            session, zone = (int(part) for part in name.split("."))
            if session in self.sealed and not self.counts_spoilt:
                self._check_account(name, self.sealed[session].zones[zone], strokes, budget, limit_um)

    def _check_account(self, name: str, account: Any, strokes: int, budget: int, limit_um: int) -> None:
        if not strokes <= account.counted() <= account.budget or account.budget != budget:
            raise Broken(f"{strokes} strokes in zone {name} of {budget}, the record tells {account.counted()}")
        if account.deepest_um > limit_um:
            raise Broken(f"the record tells of {account.deepest_um} um in zone {name}")

    def _check_crashes(self) -> None:
        for error in self.crashes[self._seen_crashes :]:
            self.note(f"resets after {type(error).__name__}")
            if isinstance(error, Broken):
                raise error
            if not self._raises and not self._spoilt_memory and not self.flash_spoilt:
                raise Broken(f"the firmware raised {type(error).__name__}: {error}") from error
        self._seen_crashes = len(self.crashes)

    def _excused(self, violation: Violation) -> bool:
        numbers = dict(violation.numbers)
        deeper_um = numbers.get("depth_um", 0.0) - numbers.get("limit_um", numbers.get("depth_um", 0.0))
        if violation.kind == COAST_LIMIT:
            return deeper_um <= COAST_MOST_UM or self._in_window(DEPTH_LIMIT, violation.at, deeper_um - COAST_MOST_UM)
        if violation.kind == NO_CONSENT and self.blipped(violation.at):
            self.note("presses after a blip")
            return True
        return self._in_window(violation.kind, violation.at, deeper_um)

    def _in_window(self, kind: str, at: int, deeper_um: float) -> bool:
        """Return whether a fault that may lead to this was there at the time."""
        present = [(harm, since, self.clock.now) for harm, since in self._open_harms.values()]
        return any(
            kind in harm.kinds and since <= at <= until and deeper_um <= harm.deeper_um
            for harm, since, until in (*present, *self._windows)
        )

    def close(self) -> None:
        """The life is over: all records are pulled, and each session is accounted for."""
        self.play(Act(Do.REPAIR))
        self.play(Act(Do.FINISH))
        try:
            self._in_spite_of_cuts(lambda: self._pull(acknowledge=True))
        except (Refusal, NoAnswer, AssertionError) as error:
            if not self.flash_spoilt:
                raise Broken(f"records can't be pulled: {type(error).__name__} {error}") from error
        self.inspect()
        if not self.flash_spoilt:
            for name, strokes in self.needle_strokes().items():
                session = int(name.partition(".")[0]) if name else 0
                if strokes and session not in self.sealed and session > NEARLY_FULL:
                    raise Broken(f"{strokes} strokes in zone {name}, and no record of them")


class GivenUp(Exception):
    """The pen's flash was spoilt by a fault, and it says so: its life is over."""


def replace_fields(made: Profile, **fields: Any) -> Profile:
    """Return a profile with fields changed."""
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def play(life: Life, seed: int) -> Used:
    """Play a whole life; Broken, or whatever else is raised, for what must not be."""
    pen = Used(life.past, seed)
    play_on(pen, life)
    return pen


def play_on(pen: Used, life: Life) -> None:
    """Play a life's acts on a pen."""
    try:
        for act in life.acts:
            pen.play(act)
        pen.close()
    except GivenUp:
        pen.inspect()


def seconds(ticks: int) -> int:
    """Return ticks as whole seconds."""
    return ticks // TICKS_PER_S


def shorter(life: Life, acts: tuple[Act, ...]) -> Life:
    """Return a life with only these of its acts."""
    return replace(life, acts=acts)
