"""The ledger against a model of plain numbers: whatever is appended, compacted, failed and read anew."""

import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import ledger
from pencore.ledger import (
    ACK,
    CARTRIDGE,
    CLOCK,
    CONFIRM,
    COURSE,
    FLAG_CLEARED,
    FLAG_LATCHED,
    INTERRUPT,
    NO_ZONE,
    OPEN,
    RESERVE,
    SEAL,
    Entry,
)
from tests.support.ledger import mark, new_book, open_state, reread, store_of

u8 = st.integers(0, 0xFF)
u32 = st.integers(0, 0xFFFFFFFF)


@given(kind=st.integers(1, 10), zone=u8, flags=u8, seq=u32, session=u32, reserved=u32, made=u32, forfeited=u32, aux=u32)
def test_an_entry_comes_back_as_it_was_packed(
    kind: int, zone: int, flags: int, seq: int, session: int, reserved: int, made: int, forfeited: int, aux: int
) -> None:
    slot = ledger.pack(Entry(kind, session, zone, reserved, made, forfeited, aux, flags), seq)
    entry, read_seq, copies = ledger.unpack(slot)
    assert entry is not None
    assert (read_seq, copies) == (seq, 2)
    assert vars(entry) == {
        "kind": kind,
        "session": session,
        "zone": zone,
        "reserved": reserved,
        "made": made,
        "forfeited": forfeited,
        "aux": aux,
        "flags": flags,
    }


@dataclass
class Zone:
    reserved: int = 0
    made: int = 0
    forfeited: int = 0


@dataclass
class Model:
    """What the journal must say, kept in the simplest way."""

    last_session: int = 0
    acked: int = 0
    time_floor_s: int = 0
    corrected_from_s: int = 0
    corrected_to_s: int = 0
    corrected_session: int = 0
    correction_crc: int = 0
    courses: int = 0
    cartridges: int = 0
    latched: int = 0
    seal_crc: int = 0
    zones: list[Zone] | None = None
    issued_at: int = 0
    profile_crc: int = 0
    elapsed_s: int = 0
    interruptions: list[tuple[int, int, int]] = field(default_factory=list)

    def seen(self) -> dict[str, Any]:
        """Return it in the ledger's words."""
        account = None
        if self.zones is not None:
            account = {
                "session": self.last_session + 1,
                "issued_at": self.issued_at,
                "profile_crc": self.profile_crc,
                "reserved": [zone.reserved for zone in self.zones],
                "made": [zone.made for zone in self.zones],
                "forfeited": [zone.forfeited for zone in self.zones],
                "elapsed_s": self.elapsed_s,
                "interruptions": self.interruptions[:16],
                "more_interruptions": max(0, len(self.interruptions) - 16),
            }
        names = ["last_session", "acked", "time_floor_s", "courses", "cartridges", "latched", "seal_crc"]
        names += ["corrected_from_s", "corrected_to_s", "corrected_session", "correction_crc"]
        return {"open": account} | {name: getattr(self, name) for name in names}


def apply(model: Model, act: str, one: int, two: int) -> Entry | None:
    """Do `act` to the model; return the entry that says so, or None where it isn't possible."""
    session = model.last_session + 1
    if act == "open" and model.zones is None:
        model.zones = [Zone() for _ in range(1 + one % 32)]
        model.issued_at, model.profile_crc, model.elapsed_s, model.interruptions = one, two, 0, []
        model.time_floor_s = one
        return Entry(OPEN, session, len(model.zones), two, aux=one)
    if act == "clock":
        model.corrected_from_s, model.correction_crc, model.time_floor_s = model.time_floor_s, two | 1, one
        model.corrected_to_s, model.corrected_session = one, model.last_session + (model.zones is not None)
        return Entry(CLOCK, model.corrected_session, NO_ZONE, model.corrected_from_s, two | 1, one, one)
    if act == "course":
        model.courses += 1
        return Entry(COURSE, aux=model.courses)
    if act == "cartridge":
        model.cartridges += 1
        return Entry(CARTRIDGE, aux=model.cartridges)
    if act == "clear":
        model.latched = 0
        return Entry(INTERRUPT, 0, aux=one, flags=FLAG_CLEARED)
    if act == "ack" and model.acked < model.last_session:
        model.acked += 1
        return Entry(ACK, model.acked)
    if act == "fault" and model.zones is None:
        model.latched = 700 + one % 10
        return Entry(INTERRUPT, 0, aux=model.latched, flags=FLAG_LATCHED)
    return None if model.zones is None else apply_open(model, model.zones, act, one, two)


def apply_open(model: Model, zones: list[Zone], act: str, one: int, two: int) -> Entry | None:
    """Do what needs an open session."""
    session = model.last_session + 1
    number = one % len(zones)
    zone = zones[number]
    if act == "reserve":
        zone.reserved = zone.made + zone.forfeited + two % 500
    elif act == "confirm":
        outstanding = zone.reserved - zone.made - zone.forfeited
        made = two % (outstanding + 1)
        zone.made += made
        zone.forfeited += (two >> 8) % (outstanding - made + 1)
        zone.reserved = zone.made + zone.forfeited
    elif act == "fault":
        model.latched = 700 + two % 10
        model.interruptions.append((number, model.latched, two % 10_000))
        return Entry(INTERRUPT, session, number, two % 10_000, aux=model.latched, flags=FLAG_LATCHED)
    elif act == "seal":
        model.zones, model.last_session, model.seal_crc = None, session, two
        return Entry(SEAL, session, aux=two)
    else:
        return None
    model.elapsed_s = two % 10_000
    kind = RESERVE if act == "reserve" else CONFIRM
    return Entry(kind, session, number, zone.reserved, zone.made, zone.forfeited, model.elapsed_s)


STROKES = ["open", "open", "reserve", "reserve", "reserve", "confirm", "confirm", "confirm", "fault", "fault", "clear"]
OTHERS = ["seal", "ack", "clock", "course", "cartridge", "compact", "replay", "fail", "fail done", "spoil"]
ACTS = st.sampled_from(STROKES + OTHERS)


@settings(max_examples=120)
@given(acts=st.lists(st.tuples(ACTS, u32, u32), max_size=60))
def test_the_ledger_says_what_was_done(acts: list[tuple[str, int, int]]) -> None:
    book = new_book()
    store = store_of(book)
    model = Model()
    trouble = ""
    for act, one, two in acts:
        if act == "compact":
            book.compact()
        elif act == "replay":
            book.replay()
        elif act in ("fail", "fail done", "spoil"):
            trouble = act
        else:
            before = copy.deepcopy(model)
            entry = apply(model, act, one, two)
            if entry is None:
                continue
            if trouble:
                store.trouble_at, store.trouble = store.writes + 1, trouble
            try:
                book.append([entry])
            except OSError:
                if trouble == "fail":
                    model = before
                book.replay()
            trouble = ""
        seen = {name: getattr(book, name) for name in model.seen() if name != "open"}
        assert seen | {"open": open_state(book.open)} == model.seen()
    again = reread(store.files[ledger.FILE], mark(book.seq))
    assert {name: getattr(again, name) for name in vars(again) if name not in ("_store", "open", "single_copies")} == {
        name: getattr(book, name) for name in vars(book) if name not in ("_store", "open", "single_copies")
    }
    assert open_state(again.open) == open_state(book.open)


@settings(max_examples=60)
@given(acts=st.lists(st.tuples(ACTS, u32, u32), max_size=40))
def test_counters_never_go_down_from_one_prefix_to_the_next(acts: list[tuple[str, int, int]]) -> None:
    book = new_book()
    model = Model()
    for act, one, two in acts:
        entry = apply(model, act, one, two)
        if entry is not None:
            book.append([entry])
    data = store_of(book).files[ledger.FILE]
    counted: dict[int, list[int]] = {}
    for size in range(ledger.SLOT_SIZE, len(data) + 1, ledger.SLOT_SIZE):
        account = reread(data[:size]).open
        if account is None:
            continue
        now = [*account.made, *account.forfeited, account.total()]
        if account.session in counted:
            assert all(after >= before for before, after in zip(counted[account.session], now, strict=True))
        counted[account.session] = now
        assert all(account.reserved[zone] >= account.counted(zone) for zone in range(len(account.made)))
