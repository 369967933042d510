"""Five things that must not happen, tried on a virtual pen: each is refused with its code, and the needle stays put.

Host only. Every trial makes all else right, so that the one wrong thing alone can be the reason; every trial ends with
a squeeze of the trigger. What counts is not what the pen says of itself but what the plant saw: no stroke begun, the
needles never out of the nose, beyond what the trial allows.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass

from pencore import faults, limits, wire
from pencore import profile as core
from pencore.profile import Profile, Zone
from pinprick.cli.virtual_pen import Needle, Operator
from pinprick.device import Loaded, Pen, PenInfo, StateChange, Update
from pinprick.link import PenRefused
from pinprick.profiles.units import mm
from pinprick.records import RecordStore

_TOO_DEEP_UM = limits.DEPTH_CEILING_UM + 1
_STROKES = 60
_DEPTH_UM = 300
_RATE_PER_S = 20
_HELD_MS = 5000
_REST = Needle(0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """How one trial went: `key` as in the result, `what` for people, the `wanted` code, the `code` that came (None: it
    was not refused), what the needle was allowed to do and what it did.
    """

    key: str
    what: str
    wanted: int
    code: int | None
    allowed: Needle
    needle: Needle

    @property
    def moved(self) -> bool:
        """Whether the needle did anything it was not allowed to."""
        return self.needle != self.allowed

    @property
    def held(self) -> bool:
        """Whether the pen refused it with the right code and kept the needle still."""
        return self.code == self.wanted and not self.moved


@dataclass
class Bench:
    """What a trial works with: the pen (a new one after a power cut), who holds it, and the session that was made."""

    pen: Pen
    reconnect: Callable[[], Pen]
    operator: Operator
    store: RecordStore
    made: Loaded
    profile: Profile


def trials(bench: Bench) -> Iterator[Trial]:
    """Try the five things, one after the other."""
    for key, what, wanted, act in _TRIALS:
        bench.operator.new_cartridge()
        bench.operator.count_under(f"trial {key}", 0)
        allowed = _REST
        code: int | None = None
        try:
            code, allowed = act(bench)
        except PenRefused as refused:
            code = refused.code
        bench.operator.squeeze()
        needle = bench.operator.needle().labels[f"trial {key}"]
        yield Trial(key, what, wanted, code, allowed, needle)


_Outcome = tuple[int | None, Needle]


def _new_profile(bench: Bench, course_id: str, cartridge_id: str, depth_um: int = _DEPTH_UM) -> Profile:
    """Return a small profile that the pen would accept, of a course and a cartridge of its own."""
    made = bench.profile
    profile = copy(made)
    profile.name = "Trial"
    profile.course_id = course_id
    profile.course_index = 1
    profile.course_of = 1
    profile.cartridge_id = cartridge_id
    profile.depth_um = depth_um
    profile.strokes = _STROKES
    profile.zones = [Zone(made.zones[0].area, made.zones[0].side, depth_um, _STROKES, _RATE_PER_S)]
    return profile


def _encoded(profile: Profile, info: PenInfo) -> bytes:
    """Return `profile` in binary, filled in for the pen and its next session: nothing is checked, as a rogue host
    would.
    """
    profile.serial = info.serial
    profile.session_id = info.session_id
    profile.ledger_head = info.ledger_head
    return core.encode(profile)


def _too_deep(bench: Bench) -> _Outcome:
    profile = _new_profile(bench, "trial-deep", "TRIAL-DEEP", _TOO_DEEP_UM)
    bench.pen.load_bytes(_encoded(profile, bench.pen.hello()))
    return None, _REST


def _held_past_budget(bench: Bench) -> _Outcome:
    """Make a session of 60 strokes with the trigger held down for good; everything after the 60th would be too much."""
    pen, operator = bench.pen, bench.operator
    codes: list[int] = []

    def note(update: Update) -> None:
        if isinstance(update, StateChange) and update.state == wire.PAUSED:
            codes.append(update.code)

    end = pen.listen(note)
    try:
        pen.load(
            _new_profile(bench, "trial-held", "TRIAL-HELD"), records=bench.store, issued_at=bench.profile.issued_at
        )
        pen.arm()
        operator.count_under("trial stroke_over_budget", _DEPTH_UM)
        operator.begin("release")
        operator.begin("press", 200)
        operator.do("wait", 1000 * _STROKES // _RATE_PER_S + _HELD_MS)
        pen.wait_for(wire.SAFE)
        pen.pull_records(bench.store)
    finally:
        end()
    needle = operator.needle().labels["trial stroke_over_budget"]
    allowed = Needle(_STROKES, _STROKES, _STROKES, min(needle.deepest_um, _DEPTH_UM))
    return (codes[-1] if codes else None), allowed


def _replayed(bench: Bench) -> _Outcome:
    bench.pen.load_bytes(bench.made.data)
    return None, _REST


def _used_cartridge(bench: Bench) -> _Outcome:
    bench.operator.power_cycle()
    bench.pen.close()
    bench.pen = bench.reconnect()
    # The switch opens and closes, powered: as far as the pen can see, the cartridge was changed.
    bench.operator.new_cartridge()
    profile = _new_profile(bench, "trial-used", bench.profile.cartridge_id)
    bench.pen.load_bytes(_encoded(profile, bench.pen.info))
    return None, _REST


def _corrupted(bench: Bench) -> _Outcome:
    """Load something that may be loaded, then damage the request to arm it: not even homing may begin."""
    bench.pen.load(
        _new_profile(bench, "trial-wire", "TRIAL-WIRE"), records=bench.store, issued_at=bench.profile.issued_at
    )
    code = bench.pen.send_damaged("arm", zone=None).code
    quiet = bench.pen.status().state == wire.LOADED and not bench.operator.needle().driver_on
    bench.operator.squeeze()
    bench.pen.finish()
    return (code if quiet else None), _REST


_TRIALS: tuple[tuple[str, str, int, Callable[[Bench], _Outcome]], ...] = (
    (
        "depth_above_ceiling",
        f"A depth of {mm(_TOO_DEEP_UM)}, above the ceiling of {mm(limits.DEPTH_CEILING_UM)}",
        faults.DEPTH_ABOVE_CEILING,
        _too_deep,
    ),
    (
        "stroke_over_budget",
        "The trigger held on after the last stroke of the budget",
        faults.ZONE_SPENT,
        _held_past_budget,
    ),
    ("session_replayed", "The same session once more, byte for byte", faults.PROFILE_SESSION_ID, _replayed),
    (
        "cartridge_used",
        "The used cartridge in a new session, after a power cut",
        faults.CARTRIDGE_USED,
        _used_cartridge,
    ),
    ("wire_corrupted", "A byte changed on the wire", faults.WIRE_BAD_CRC, _corrupted),
)
