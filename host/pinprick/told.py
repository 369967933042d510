"""What a pen tells, as types: who it is, how far a session is, what it says by itself. Host only; values only.

`pinprick.device` makes them of the wire's messages and offers them under its own name.
"""

from dataclasses import dataclass, field

from pencore import limits
from pencore.units import Geometry


@dataclass(frozen=True, slots=True)
class PenInfo:
    """Who a pen is and what it allows, from its `hello`. Depths in um, digests as 32 bytes, times in seconds since
    1970.

    `open_digest` names the profile that is loaded, its session open yet or not; zeros for none.
    `session_id` is the id that the next profile must carry, or that of the open session; `open_session` is 0 when none
    is open; `records` counts the sealed ones that no host has acknowledged; `serial` is empty before provisioning.
    """

    protocol_major: int
    protocol_minor: int
    firmware: str
    build: str
    serial: str
    head: int
    nonce: str
    state: int
    session_id: int
    open_session: int
    open_digest: bytes
    ledger_head: bytes
    ceiling_um: int
    calibration_um: int
    calibrated_at: int
    cartridge_strokes: int
    interval_days: int
    key_id: int
    time_floor: int
    records: int
    zone_caps_um: tuple[int, ...]
    geometry: tuple[int, ...]

    @property
    def last_session(self) -> int:
        """Id of the last sealed session; 0 before the first."""
        return self.session_id - 1

    def bounds(self) -> limits.Bounds:
        """Return what this pen allows, as profiles are checked against it."""
        return limits.Bounds(
            Geometry(*self.geometry),
            self.head,
            self.ceiling_um,
            self.calibration_um,
            self.zone_caps_um,
            self.cartridge_strokes,
            self.interval_days,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """How far the session is; `made`, `forfeited` and `left` have one number per zone, none without a session."""

    state: int
    fault: int
    session_id: int
    resumed: bool
    zone: int | None
    inputs: int
    counted: int
    session_left: int
    made: tuple[int, ...]
    forfeited: tuple[int, ...]
    left: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A profile that the pen accepted: `digest` names it in the record, `data` is what was sent; `resumed` when it goes
    on with an open session.
    """

    session_id: int
    digest: bytes
    zones: int
    resumed: bool
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StateChange:
    """The pen went into `state`; `code` says why, 0 when it was asked to."""

    state: int
    code: int
    session_id: int


@dataclass(frozen=True, slots=True)
class FaultNotice:
    """The pen stopped by itself: `code`, and one number more."""

    code: int
    aux: int


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where the pen stands, up to 10 times a second; counts are of the zone at work, session ones of all zones."""

    state: int
    zone: int | None
    depth_um: int
    limit_um: int
    rate_per_s: int
    made: int
    forfeited: int
    reserved: int
    left: int
    session_counted: int
    session_left: int
    uptime_ms: int


Update = StateChange | FaultNotice | Telemetry
