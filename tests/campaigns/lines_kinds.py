"""The kinds of pen that are spoken to, and the profiles that they are to take. Host only."""

import random
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from pencore import profile
from pencore.digest import sha256
from pensim.flash import Snapshot
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.cuts import ONE_STROKE

KEY_ID = 7
KEY = bytes(range(32))
ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.CHEEK, profiles.LEFT, 300, 20_000, 8),
    (profiles.NOSE, profiles.NONE, 200, 3_000, 12),
    (profiles.NECK, profiles.NONE, 100, 400, 5),
)
"""Long enough for any number of lines while strokes are made; some profiles have less of a zone."""


class Kind(StrEnum):
    """Kinds of pen that are spoken to."""

    PLAIN = "plain"
    """Provisioned, with three records of which one is acknowledged."""
    KEY = "key"
    """With a clinic key: takes only what is signed."""
    BLANK = "blank"
    """Never provisioned."""


USED = ("1.0", "2.0", "3.0")
"""The zones of the sessions that a used pen has behind it, one stroke each."""


@cache
def used_flash() -> Snapshot:
    """Return the flash of a used pen, its sessions sealed and the first record acknowledged."""
    pen = Bench()
    for _ in range(3):
        pen.play_session(ONE_STROKE)
    pen.ask("record.ack", session=1, sha256=pen.sealed[1].digest.hex())
    pen.run_ms(500)
    return pen.snapshot_flash()


def pen_of(kind: Kind, seed: int) -> Bench:
    """Return a pen of a kind, switched on and greeted."""
    if kind == Kind.BLANK:
        return Bench(blank=True, seed=seed)
    if kind == Kind.KEY:
        setup = profiles.pen()
        setup.key_id, setup.key = KEY_ID, KEY
        return Bench(setup=setup, seed=seed)
    return Bench(flash=used_flash(), seed=seed, earlier=dict.fromkeys(USED, 1))


def profile_bytes(rng: random.Random, kind: Kind, greeting: Mapping[str, Any], opened: bytes, *, spoilt: bool) -> bytes:
    """Return a profile for the pen that said `greeting`: the one of the session that is open (`opened`), or a new one;
    `spoilt`: with a bit flipped, and mostly with the digest that fits.
    """
    number = greeting["session_id"]
    data = opened
    if not greeting["open_session"] or not opened:
        made = profiles.make(
            greeting,
            [
                (area, side, depth_um, rng.choice((strokes, 1, 60)), rate)
                for area, side, depth_um, strokes, rate in ZONES
            ],
            course_id=f"L-{number}",
            course_index=1,
            course_of=1,
            issued_at=min(max(profiles.NOW, greeting["time_floor"] + 86_400), 2**32 - 1),
            expires_day=65_535,
        )
        keyed = kind == Kind.KEY
        data = profile.encode(made, KEY_ID if keyed else 0, KEY if keyed else b"")
    if spoilt:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        if rng.random() < 0.7:
            body = data[: -profile.TRAILER_SIZE]
            data = body + sha256(body) + data[len(body) + 32 :]
    return data
