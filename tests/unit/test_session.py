"""`pencore.session`: every (state, event) pair against the design's words, counters bit by bit, sums of strokes."""

from itertools import product

import pytest

from pencore import faults, session, wire
from pencore.faults import Fault, Refusal
from pencore.ledger import CONFIRM, INTERRUPT, NO_ZONE, OPEN, RESERVE, Entry, Ledger, OpenSession
from pencore.session import Counter, Session
from tests.portable import samples
from tests.support.ledger import new_book

# The states of the pen as the design tells them, one line an arrow, apart from the table under test. What isn't here is
# refused when somebody asked for it, and means nothing when it merely happened.
ARROWS = """
BOOT                         BOOTED      SAFE
BOOT                         RESUMED     LOADED
SAFE LOADED                  LOAD        LOADED
LOADED                       ARM         HOMING
HOMING                       HOMED       ARMED
HOMING                       ABANDON     LOADED
ARMED PAUSED                 PRESS       RUNNING
RUNNING                      RELEASE     PAUSED
RUNNING                      SPENT       PAUSED
ARMED                        SELECT      ARMED
PAUSED                       SELECT      PAUSED
RUNNING PAUSED               PAUSE       PAUSED
ARMED RUNNING PAUSED         LAPSE       LOADED
LOADED ARMED PAUSED          FINISH      SEALING
LOADED ARMED PAUSED          DISCARD     SAFE
SEALING                      SEALED      SAFE
BOOT SAFE LOADED HOMING ARMED RUNNING PAUSED SEALING FAULT  STOP  FAULT
FAULT                        CLEAR_OPEN  LOADED
FAULT                        CLEAR_SHUT  SAFE
"""
ASKED_FOR = {"LOAD", "ARM", "SELECT", "PAUSE", "FINISH", "DISCARD", "CLEAR_OPEN", "CLEAR_SHUT"}


def arrows() -> dict[tuple[str, str], str]:
    """Return (state, event) -> next state."""
    found = {}
    for line in ARROWS.split("\n"):
        words = line.split()
        for state in words[:-2]:
            found[state, words[-2]] = words[-1]
    return found


@pytest.mark.parametrize(("state", "event"), list(product(wire.STATE_NAMES, session.EVENT_NAMES)))
def test_every_event_in_every_state(state: str, event: str) -> None:
    went = session.next_state(wire.STATE_NAMES.index(state), session.EVENT_NAMES.index(event))
    if (state, event) in arrows():
        assert wire.STATE_NAMES[went] == arrows()[state, event]
    else:
        assert went == (session.REFUSED if event in ASKED_FOR else session.IGNORED)


def test_the_arrows_name_every_state_and_every_event() -> None:
    assert {state for state, _ in arrows()} == set(wire.STATE_NAMES)
    assert {event for _, event in arrows()} == set(session.EVENT_NAMES)
    assert [getattr(session, name) for name in session.EVENT_NAMES] == list(range(len(session.EVENT_NAMES)))


def test_strokes_begin_by_a_press_alone() -> None:
    assert {event for (_, event), state in arrows().items() if state == "RUNNING"} == {"PRESS"}


@pytest.mark.parametrize("state", range(9))
def test_masks_of_states(state: int) -> None:
    name = wire.STATE_NAMES[state]
    assert session.is_in(state, session.DRIVEN) == (name in ("HOMING", "ARMED", "RUNNING", "PAUSED"))
    assert session.is_in(state, session.LEASED) == (name in ("ARMED", "RUNNING", "PAUSED"))


# --- counters ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [0, 1, 2, 500, 0xFFFF, 199_999, 200_000, 2**32 - 1])
def test_a_flipped_bit_of_either_copy_is_a_fault(value: int) -> None:
    for name in ("_value", "_inverse"):
        for bit in range(40):
            counter = Counter()
            counter.set(value)
            assert counter.get() == value
            setattr(counter, name, getattr(counter, name) ^ 1 << bit)
            with pytest.raises(Fault) as fault:
                counter.get()
            assert fault.value.code == faults.MEMORY_CORRUPT
            assert 0 <= fault.value.aux < 2**31


def test_a_new_counter_is_zero() -> None:
    assert Counter().get() == 0


# --- strokes ----------------------------------------------------------------------------------------------------------
def opened(strokes: int = 150, cartridge: int = 200_000, zone: int = 0) -> tuple[Session, Ledger]:
    """Return a session at work in `zone` with its first block reserved, and its ledger."""
    book = new_book()
    work = Session(samples.filled(strokes=strokes), None, cartridge)
    work.enter(zone, 200, work.profile, cartridge)
    book.append(work.opening_entries(0xABCD))
    work.reserved(book.open)
    return work, book


def settle(work: Session, book: Ledger) -> Entry | None:
    """Settle as the pen does; return the entry."""
    entry = work.settle_entry(5)
    if entry is not None:
        book.append([entry])
        work.settled()
    return entry


def reserve(work: Session, book: Ledger) -> int:
    """Reserve as the pen does; return how many."""
    book.append([work.reserve_entry(3)])
    work.reserved(book.open)
    return work.outstanding()


def test_a_loaded_profile_has_made_nothing() -> None:
    work = Session(samples.filled(), None, 200_000)
    assert not work.opened
    assert not work.resumed
    assert (work.total(), work.outstanding(), work.zone) == (0, 0, NO_ZONE)
    assert [work.left(zone) for zone in range(3)] == [60, 60, 30]
    assert work.settle_entry(0) is None
    with pytest.raises(Fault) as fault:
        work.made_one()
    assert fault.value.code == faults.COUNT_GUARD


def test_opening_consumes_the_id_and_reserves_in_one_append() -> None:
    work = Session(samples.filled(), None, 200_000)
    work.enter(1, 170, work.profile, 200_000)
    opening, first = work.opening_entries(0xABCD)
    assert (opening.kind, opening.session, opening.zone, opening.reserved) == (OPEN, 1, 3, 0xABCD)
    assert opening.aux == samples.TODAY_S
    assert (first.kind, first.zone, first.reserved, first.made, first.forfeited) == (RESERVE, 1, 50, 0, 0)
    assert work.outstanding() == 0
    assert not work.opened
    assert work.limit_steps() == 170


def test_only_what_flash_holds_is_outstanding() -> None:
    work, book = opened()
    assert (work.outstanding(), work.left(0)) == (50, 60)
    for _ in range(50):
        work.made_one()
    assert (work.made(0), work.outstanding(), work.left(0)) == (50, 0, 10)
    with pytest.raises(Fault) as fault:
        work.made_one()
    assert fault.value.code == faults.COUNT_GUARD
    assert reserve(work, book) == 10
    for _ in range(10):
        work.made_one()
    assert (work.left(0), work.block(), work.first_unspent()) == (0, 0, 1)


def test_forfeited_strokes_count() -> None:
    work, book = opened()
    work.made_one()
    work.forfeit(2)
    assert (work.made(0), work.forfeited(0), work.counted(0), work.outstanding(), work.left(0)) == (1, 2, 3, 47, 57)
    entry = settle(work, book)
    assert entry is not None
    assert (entry.kind, entry.reserved, entry.made, entry.forfeited, entry.aux) == (CONFIRM, 3, 1, 2, 5)
    assert settle(work, book) is None
    assert work.outstanding() == 0
    work.forfeit(5)
    assert work.forfeited(0) == 2, "nothing was outstanding"


def test_a_block_is_bounded_by_zone_session_and_cartridge() -> None:
    assert opened()[0].outstanding() == 50
    assert opened(strokes=40)[0].outstanding() == 40
    assert opened(cartridge=30)[0].outstanding() == 30
    assert opened(zone=2)[0].outstanding() == 30
    assert opened(strokes=20, cartridge=10)[0].left(0) == 10


def test_what_is_left_is_never_negative() -> None:
    """A pen provisioned anew, with less for a cartridge, between a cut and the resumption."""
    work, book = opened()
    for _ in range(50):
        work.made_one()
    settle(work, book)
    again = Session(work.profile, book.open, 40)
    assert [again.left(zone) for zone in range(3)] == [0, 0, 0]
    assert again.first_unspent() == NO_ZONE


@pytest.mark.parametrize("zone", [-1, 3, 31])
def test_a_zone_that_the_profile_has_not(zone: int) -> None:
    work, _ = opened()
    before = vars(work).copy()
    with pytest.raises(Refusal) as refused:
        work.choose(zone)
    assert (refused.value.code, refused.value.given, refused.value.limit) == (faults.ZONE_UNKNOWN, zone, 2)
    assert vars(work) == before


def test_a_spent_zone_is_refused_with_its_budget() -> None:
    work, book = opened(zone=2)
    for _ in range(30):
        work.made_one()
    settle(work, book)
    with pytest.raises(Refusal) as refused:
        work.choose(2)
    told = refused.value
    assert (told.code, told.given, told.limit, told.zone) == (faults.ZONE_SPENT, 30, 30, 2)
    work.choose(0)


def test_zones_are_changed_with_nothing_outstanding() -> None:
    work, book = opened()
    with pytest.raises(Fault):
        work.enter(1, 170, work.profile, 200_000)
    work.made_one()
    settle(work, book)
    work.enter(1, 170, work.profile, 200_000)
    assert (work.zone, work.made(0), work.made(1), work.limit_steps()) == (1, 1, 0, 170)


def test_a_reservation_above_what_is_left_is_a_fault() -> None:
    work, book = opened()
    settle(work, book)
    book.append([Entry(RESERVE, 1, 0, 61)])
    with pytest.raises(Fault) as fault:
        work.reserved(book.open)
    assert fault.value.code == faults.INTERNAL
    assert work.outstanding() == 0


@pytest.mark.parametrize("account", [None, OpenSession(2, 3, 0, 0)])
def test_another_session_s_reservation_is_a_fault(account: OpenSession | None) -> None:
    work, _ = opened()
    with pytest.raises(Fault):
        work.reserved(account)
    if account is not None:
        with pytest.raises(Fault):
            work.adopt(account)


def test_recovery_forfeits_what_was_reserved_and_logs_why() -> None:
    work, book = opened()
    for _ in range(20):
        work.made_one()
    settle(work, book)
    reserve(work, book)
    account = book.open
    assert account is not None
    entries = session.recovery_entries(account, faults.POWER_LOST)
    assert [(entry.kind, entry.zone, entry.reserved, entry.made, entry.forfeited) for entry in entries] == [
        (CONFIRM, 0, 60, 20, 40),
        (INTERRUPT, 0, 3, 0, 0),
    ]
    assert entries[-1].aux == faults.POWER_LOST
    book.append(entries)
    again = Session(work.profile, book.open, 200_000)
    assert again.resumed
    assert again.opened
    assert (again.made(0), again.forfeited(0), again.left(0), again.total()) == (20, 40, 0, 60)


def test_recovery_of_a_settled_session_only_logs() -> None:
    work, book = opened()
    work.made_one()
    settle(work, book)
    assert book.open is not None
    entries = session.recovery_entries(book.open, faults.WATCHDOG_RESET)
    assert [(entry.kind, entry.zone, entry.aux) for entry in entries] == [(INTERRUPT, NO_ZONE, faults.WATCHDOG_RESET)]
