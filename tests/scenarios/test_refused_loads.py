"""Everybody who is kept out, over real loads: each is refused with its code, and then nothing has changed at all."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from pencore import faults, profile, wire
from pencore.faults import Refusal
from pencore.profile import Profile
from tests.scenarios.test_clock_correction import KEY, KEY_ID, with_key
from tests.support import profiles
from tests.support.bench import Bench

ONE_ZONE = (profiles.TWO_ZONES[0],)
OTHER_KEY = KEY[::-1]
DIGEST_AT = profile.HEADER_SIZE + profile.ZONE_SIZE
KEY_ID_AT = DIGEST_AT + 32
HMAC_AT = KEY_ID_AT + 4
SIZE = HMAC_AT + 32
FORM = (
    faults.PROFILE_MAGIC,
    faults.PROFILE_SCHEMA,
    faults.PROFILE_SIZE,
    faults.PROFILE_ZONE_COUNT,
    faults.PROFILE_TEXT,
    faults.PROFILE_RESERVED,
)
"""What a profile is refused for before anybody looks at its signature."""


class Visitor:
    """A pen with a clinic key that has sealed a session, a new cartridge in it, and somebody who tries to load it.

    `first` is the profile of its first session, as it was loaded.
    """

    def __init__(self) -> None:
        self.pen = with_key()
        self.pen.change_cartridge()
        self.first = self.signed(session_id=1)
        self.pen.load(self.first)
        self.pen.finish_session()
        self.pen.pull()
        self.pen.change_cartridge()
        self.pen.hello()

    def made(self, **fields: Any) -> Profile:
        """Return a profile for the pen's next session; `fields` change what they name."""
        return profiles.make(self.pen.hello(), ONE_ZONE, **fields)

    def signed(self, **fields: Any) -> bytes:
        """Return it signed with the clinic's key."""
        return profile.encode(self.made(**fields), KEY_ID, KEY)

    def refused(self, data: bytes) -> Refusal:
        """Try to load `data`; return how it was refused, having seen that nothing has changed."""
        pen = self.pen
        before = self.all()
        with pytest.raises(Refusal) as caught:
            pen.load(data)
        assert self.all() == before
        assert pen.state() == wire.SAFE
        assert pen.status()["session_id"] == 0
        assert not pen.plant.driver_enabled()
        return caught.value

    def all(self) -> tuple[Any, ...]:
        """Return all that a load could have changed, but for what it counts of wrong signatures."""
        said = self.pen.hello()
        for name in ("request_id",):
            said.pop(name)
        status = self.pen.status()
        return self.pen.snapshot_flash(), said, status, self.pen.needle_strokes()

    def well(self) -> None:
        """See that the right one is taken after all of it, and that its session is as always."""
        self.pen.load(self.signed())
        self.pen.finish_session()
        self.pen.pull()
        self.pen.check(exact=True)

    def wait(self) -> None:
        """Let the pen forget wrong signatures."""
        self.pen.run_ms(600_000)


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    made = Visitor()
    yield made
    made.well()


@dataclass(frozen=True)
class Case:
    """Somebody who is kept out: what is brought, and how it is refused."""

    name: str
    bring: Callable[[Visitor], bytes]
    code: int
    field: str


CASES = [
    Case("unsigned", lambda who: profile.encode(who.made()), faults.SIGNATURE_MISSING, "key_id"),
    Case(
        "the right key under another number",
        lambda who: profile.encode(who.made(), KEY_ID + 1, KEY),
        faults.KEY_UNKNOWN,
        "key_id",
    ),
    Case(
        "another key under its own number",
        lambda who: profile.encode(who.made(), KEY_ID + 1, OTHER_KEY),
        faults.KEY_UNKNOWN,
        "key_id",
    ),
    Case(
        "another key under the right number",
        lambda who: profile.encode(who.made(), KEY_ID, OTHER_KEY),
        faults.SIGNATURE_WRONG,
        "hmac",
    ),
    Case(
        "the signature of another profile",
        lambda who: profile.encode(who.made(), KEY_ID, KEY)[:HMAC_AT] + who.first[HMAC_AT:],
        faults.SIGNATURE_WRONG,
        "hmac",
    ),
    Case(
        "the right HMAC without the number",
        lambda who: who.signed()[:KEY_ID_AT] + bytes(4) + who.signed()[HMAC_AT:],
        faults.PROFILE_RESERVED,
        "hmac",
    ),
    Case("another pen's", lambda who: who.signed(serial="SIM-0002"), faults.PROFILE_SERIAL, "serial"),
    Case("an older id", lambda who: who.signed(session_id=1), faults.PROFILE_SESSION_ID, "session_id"),
    Case("a later id", lambda who: who.signed(session_id=3), faults.PROFILE_SESSION_ID, "session_id"),
    Case("a replayed one", lambda who: who.first, faults.PROFILE_SESSION_ID, "session_id"),
    Case(
        "an older head",
        lambda who: who.signed(ledger_head=bytes(32)),
        faults.PROFILE_LEDGER_HEAD,
        "ledger_head",
    ),
    Case(
        "a forked head",
        lambda who: who.signed(ledger_head=sha256(b"another record").digest()),
        faults.PROFILE_LEDGER_HEAD,
        "ledger_head",
    ),
    Case(
        "a used cartridge",
        lambda who: who.signed(cartridge_id="C-1"),
        faults.CARTRIDGE_USED,
        "cartridge.id",
    ),
    Case("an earlier time", lambda who: who.signed(issued_at=profiles.NOW - 1), faults.TIME_BACK, "issued_at"),
    Case(
        "a time far ahead",
        lambda who: who.signed(issued_at=profiles.NOW + 45 * 86_400 + 1),
        faults.TIME_JUMP,
        "issued_at",
    ),
    Case("deeper than the pen", lambda who: who.signed(depth_um=2501), faults.DEPTH_ABOVE_CEILING, "limits.depth_mm"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_who_is_kept_out(visitor: Visitor, case: Case) -> None:
    refusal = visitor.refused(case.bring(visitor))
    assert (refusal.code, refusal.field) == (case.code, case.field)


def test_nothing_says_so_before_the_signature_is_right(visitor: Visitor) -> None:
    """Who has no key hears of it alone, not whether id, head, serial or limits would have been right."""
    wrong = {"serial": "SIM-0002", "session_id": 9, "ledger_head": bytes(32), "issued_at": 1, "depth_um": 9999}
    for name, value in wrong.items():
        data = profile.encode(visitor.made(**{name: value}), KEY_ID, OTHER_KEY)
        assert visitor.refused(data).code == faults.SIGNATURE_WRONG
        visitor.wait()


def test_each_byte_of_the_signature_counts(visitor: Visitor) -> None:
    for at in range(HMAC_AT, SIZE):
        data = bytearray(visitor.signed())
        data[at] ^= 1 << at % 8
        assert visitor.refused(bytes(data)).code == faults.SIGNATURE_WRONG, at
        if at % 4 == 0:
            visitor.wait()


def test_each_byte_that_was_signed_counts(visitor: Visitor) -> None:
    """Changed as it is, and by somebody who makes the digest right again."""
    # Texts as long as they may be: each of their bytes has a meaning.
    whole = visitor.signed(name="N" * 40, course_id="K" * 24, cartridge_id="C" * 24, cartridge_lot="L" * 24)
    assert len(whole) == SIZE
    wrong = 0
    for at in range(HMAC_AT):
        data = bytearray(whole)
        data[at] ^= 1
        expected: tuple[int, ...] = (faults.PROFILE_DIGEST, *FORM)
        if at >= KEY_ID_AT:
            expected = (faults.KEY_UNKNOWN,)
        assert visitor.refused(bytes(data)).code in expected, at
        if at < DIGEST_AT:
            data[DIGEST_AT:KEY_ID_AT] = sha256(data[:DIGEST_AT]).digest()
            code = visitor.refused(bytes(data)).code
            assert code in (faults.SIGNATURE_WRONG, *FORM), at
            if code == faults.SIGNATURE_WRONG:
                wrong += 1
                if wrong % 4 == 0:
                    visitor.wait()
    # All but magic, schema, count, what must be zero, and the end of the serial number.
    assert wrong > DIGEST_AT - 30


def test_the_number_of_the_key_is_signed_as_well(visitor: Visitor) -> None:
    """Signed rightly for another number, and renamed: the number is in what is signed."""
    renamed = bytearray(profile.encode(visitor.made(), KEY_ID + 1, KEY))
    renamed[KEY_ID_AT:HMAC_AT] = struct.pack("<I", KEY_ID)
    assert visitor.refused(bytes(renamed)).code == faults.SIGNATURE_WRONG


def test_a_pen_without_a_key_takes_nothing_that_claims_a_signature() -> None:
    pen = Bench()
    pen.change_cartridge()
    before = pen.snapshot_flash()
    with pytest.raises(Refusal) as caught:
        pen.load(profile.encode(profiles.make(pen.hello(), ONE_ZONE), KEY_ID, KEY))
    assert caught.value.code == faults.KEY_UNKNOWN
    assert pen.snapshot_flash() == before
