"""What the virtual needle did: deepest points, strokes, and everything that must never happen. Host only.

The oracle is told by the plant where the needle was and by the test what was allowed; it never asks the firmware and
shares no code with it. Its own counts are the ones tests compare the firmware's records with. Allocates one tally per
label and one entry per violation; nothing per stroke.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pensim.clock import TICKS_PER_MS, TICKS_PER_S

# --- kinds of violation ----------------------------------------------------------------------------------------------
DEPTH_LIMIT = "depth_limit"
"""Driven past the limit the test had set. Numbers: depth_um, limit_um."""
COAST_LIMIT = "coast_limit"
"""Past the limit by coasting after a cut. Numbers: depth_um, limit_um. Reported apart: no guard can prevent it."""
EDGE_DISABLED = "edge_disabled"
"""A STEP edge while the driver was off. Numbers: x_steps."""
FLASH_IN_MOTION = "flash_in_motion"
"""A flash operation while the engine was busy, the carriage moved or was not at home. Numbers: block, x_steps, busy,
moving."""
NO_CONSENT = "no_consent"
"""A stroke began without a fresh press of the trigger. Numbers: released_ms (since the release; 0: it is down)."""
NO_LEASE = "no_lease"
"""A stroke began though no host had been heard for longer than the lease. Numbers: silent_ms."""
STOP_OPEN = "stop_open"
"""A stroke began while the stop line was open."""
NEEDLE_OUT = "needle_out"
"""The needles were outside the nose longer than allowed after the driver went off. Numbers: out_ms, depth_um."""
PORT_MISUSE = "port_misuse"
"""The firmware broke a precondition of the engine port. Numbers: none; `detail` says which."""

_NEVER = -(10**18)


@dataclass(frozen=True)
class Violation:
    """Something that must never happen did, at tick `at`."""

    at: int
    kind: str
    numbers: tuple[tuple[str, float], ...] = ()
    detail: str = ""

    def __str__(self) -> str:
        shown = " ".join(f"{name}={value:g}" for name, value in self.numbers)
        return f"{self.at / TICKS_PER_S:.6f} s {self.kind} {shown} {self.detail}".rstrip()


@dataclass
class Tally:
    """What the needle did under one label. Depths in um below the nose piece; 0 while the needles stayed inside."""

    begun: int = 0
    """Strokes whose extension began, deep or not."""
    crossings: int = 0
    """Times the needle went out of the nose piece."""
    strokes: int = 0
    """Times it came back in: whole strokes."""
    deepest_um: float = 0.0
    """Deepest while the motor was driven."""
    deepest_coast_um: float = 0.0
    """Deepest of all, coasting included."""

    def add(self, other: "Tally") -> None:
        """Take the counts and the deeper depths of `other` on top."""
        self.begun += other.begun
        self.crossings += other.crossings
        self.strokes += other.strokes
        self.deepest_um = max(self.deepest_um, other.deepest_um)
        self.deepest_coast_um = max(self.deepest_coast_um, other.deepest_coast_um)


@dataclass(frozen=True)
class NeedleReport:
    """The oracle's account of a stretch of time."""

    total: Tally
    labels: dict[str, Tally]
    violations: tuple[Violation, ...]
    slips: int
    """Electrical cycles of the motor lost or won."""

    def kinds(self) -> set[str]:
        """Return the kinds of violation that occurred."""
        return {violation.kind for violation in self.violations}


@dataclass(frozen=True)
class ConsentRule:
    """What makes a press of the trigger a consent, in ms; the slack covers sampling and debouncing by the firmware.

    A stroke may begin while the trigger is down, or within `grace_ms` of its release. The press must come after
    `release_ms` of release since the driver was last armed. A release shorter than `glitch_ms` is contact noise.
    """

    release_ms: float = 100.0
    slack_ms: float = 5.0
    glitch_ms: float = 30.0
    grace_ms: float = 15.0


@dataclass(frozen=True)
class LeaseRule:
    """How long strokes may begin after the host was last heard, in ms; `slack_ms` for the stroke already queued."""

    lease_ms: float = 2000.0
    slack_ms: float = 50.0


@dataclass
class _Consent:
    """The trigger as the oracle sees it."""

    down: bool = False
    given: bool = False
    armed_at: int = _NEVER
    up_at: int = _NEVER


class Oracle:
    """Keeps the tallies and the violations of one pen. `mark` starts a new stretch, `label` a new heading in it."""

    def __init__(self) -> None:
        self.tally = Tally()
        """Where the plant counts now."""
        self.limit_um: float | None = None
        self.needle_out_ms = 100.0
        """Longest the needles may stay out once the driver is off."""
        self.violations: list[Violation] = []
        self._entries: list[tuple[str, Tally]] = [("", self.tally)]
        self._mark = 0
        self._violation_mark = 0
        self._consent_rule: ConsentRule | None = None
        self._lease_rule: LeaseRule | None = None
        self._consent = _Consent()
        self._stop_open = False
        self._heard_at = _NEVER

    # --- what the test says ------------------------------------------------------------------------------------------
    def label(self, name: str) -> None:
        """Count under `name` from here on (a zone's name); a name may come back."""
        if self._entries[-1][0] != name:
            self.tally = Tally()
            self._entries.append((name, self.tally))

    def mark(self) -> None:
        """Start a new stretch for `report(since_mark=True)`."""
        name = self._entries[-1][0]
        self.tally = Tally()
        self._mark = len(self._entries)
        self._violation_mark = len(self.violations)
        self._entries.append((name, self.tally))

    def watch_consent(self, rule: ConsentRule | None) -> None:
        """Hold every beginning stroke against `rule`; None stops watching."""
        self._consent_rule = rule

    def watch_lease(self, rule: LeaseRule | None) -> None:
        """Hold every beginning stroke against `rule`; None stops watching. `host_heard` tells of the host."""
        self._lease_rule = rule

    def host_heard(self, at: int) -> None:
        """A legal line of the host reached the pen at tick `at`; the time a flash write takes may be added to it."""
        self._heard_at = max(self._heard_at, at)

    # --- what the plant and the engine's pins say --------------------------------------------------------------------
    def violate(self, kind: str, at: int, detail: str = "", **numbers: float) -> None:
        """Note a violation."""
        self.violations.append(Violation(at, kind, tuple(numbers.items()), detail))

    def armed(self, at: int) -> None:
        """The pen was homed and armed at tick `at`: presses and releases before count no more."""
        consent = self._consent
        consent.armed_at = at
        consent.given = False

    def trigger(self, down: bool, at: int) -> None:
        """The trigger changed its level."""
        consent = self._consent
        if down == consent.down:
            return
        consent.down = down
        if not down:
            consent.up_at = at
            return
        rule = self._consent_rule or ConsentRule()
        released = at - max(consent.up_at, consent.armed_at)
        if released >= (rule.release_ms - rule.slack_ms) * TICKS_PER_MS:
            consent.given = True
        elif at - consent.up_at > rule.glitch_ms * TICKS_PER_MS:
            consent.given = False

    def stop_line(self, open_: bool) -> None:
        """The stop line changed its level."""
        self._stop_open = open_

    def stroke_begun(self, at: int) -> None:
        """The first STEP edge of a stroke falls at tick `at`."""
        self.tally.begun += 1
        if self._stop_open:
            self.violate(STOP_OPEN, at)
        if self._consent_rule is not None:
            self._check_consent(self._consent_rule, at)
        if self._lease_rule is not None:
            silent_ms = (at - self._heard_at) / TICKS_PER_MS
            if silent_ms > self._lease_rule.lease_ms + self._lease_rule.slack_ms:
                self.violate(NO_LEASE, at, silent_ms=silent_ms)

    def _check_consent(self, rule: ConsentRule, at: int) -> None:
        consent = self._consent
        released_ms = 0.0 if consent.down else (at - consent.up_at) / TICKS_PER_MS
        if not consent.given or released_ms > rule.grace_ms:
            self.violate(NO_CONSENT, at, released_ms=released_ms)

    def reached(self, driven_um: float, any_um: float) -> None:
        """The needle was as deep as this: `driven_um` by the motor, `any_um` coasting included."""
        tally = self.tally
        if driven_um > tally.deepest_um:
            tally.deepest_um = driven_um
        if any_um > tally.deepest_coast_um:
            tally.deepest_coast_um = any_um

    # --- the account -------------------------------------------------------------------------------------------------
    def report(self, slips: int, since_mark: bool) -> NeedleReport:
        """Return the account from the beginning or from the last `mark`. Ask `Plant.report`, which knows of now."""
        total = Tally()
        labels: dict[str, Tally] = {}
        for name, tally in self._stretch(since_mark):
            total.add(tally)
            labels.setdefault(name, Tally()).add(tally)
        violations = self.violations[self._violation_mark :] if since_mark else self.violations
        return NeedleReport(total, labels, tuple(violations), slips)

    def _stretch(self, since_mark: bool) -> Iterator[tuple[str, Tally]]:
        yield from self._entries[self._mark if since_mark else 0 :]
