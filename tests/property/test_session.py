"""Reserve, make, forfeit, settle, cut, change zones, in any order: a session against a model of plain numbers."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pencore import faults, session
from pencore.limits import block_strokes
from pencore.session import Counter, Session
from tests.portable import samples
from tests.support.ledger import new_book, reread, store_of

zone_numbers = st.integers(0, 2)


class SessionMachine(RuleBasedStateMachine):
    """The model knows per zone what was made and forfeited, and how many are outstanding in the zone at work."""

    @initialize(
        budgets=st.lists(st.integers(1, 2_500), min_size=3, max_size=3),
        spare=st.integers(-800, 0),
        cartridge=st.sampled_from([40, 700, 200_000]),
    )
    def begin(self, budgets: list[int], spare: int, cartridge: int) -> None:
        zones = [(*zone[:3], budget, 1) for zone, budget in zip(samples.ZONES, budgets, strict=True)]
        self.budgets = budgets
        self.session_budget = max(1, sum(budgets) + spare)
        self.cartridge = cartridge
        self.profile = samples.filled(zones, strokes=self.session_budget)
        self.book = new_book()
        self.work = Session(self.profile, None, cartridge)
        self.made = [0, 0, 0]
        self.forfeited = [0, 0, 0]
        self.zone: int | None = None
        self.outstanding = 0
        self.in_flash = [0, 0, 0]

    def left(self, zone: int) -> int:
        total = sum(self.made) + sum(self.forfeited)
        own = self.budgets[zone] - self.made[zone] - self.forfeited[zone]
        return min(own, self.session_budget - total, self.cartridge - total)

    def at_work(self) -> bool:
        return self.zone is not None

    @precondition(lambda self: self.outstanding == 0)
    @rule(zone=zone_numbers)
    def enter(self, zone: int) -> None:
        self.settle()
        self.work.enter(zone, 100 + zone, self.work.profile, self.cartridge)
        self.zone = zone

    @precondition(lambda self: self.at_work() and self.outstanding == 0)
    @rule()
    def reserve(self) -> None:
        assert self.zone is not None
        left = self.left(self.zone)
        block = block_strokes(self.session_budget, left)
        assert self.work.block() == block
        if block == 0:
            return
        if self.work.opened:
            self.book.append([self.work.reserve_entry(1)])
        else:
            self.book.append(self.work.opening_entries(5))
        self.work.reserved(self.book.open)
        self.outstanding = block
        self.in_flash[self.zone] = self.made[self.zone] + self.forfeited[self.zone] + block

    @precondition(lambda self: self.outstanding > 0)
    @rule(strokes=st.integers(1, 600))
    def make(self, strokes: int) -> None:
        assert self.zone is not None
        for _ in range(min(strokes, self.outstanding)):
            self.work.made_one()
            self.made[self.zone] += 1
            self.outstanding -= 1

    @precondition(lambda self: self.at_work())
    @rule(strokes=st.integers(0, 2))
    def forfeit(self, strokes: int) -> None:
        assert self.zone is not None
        lost = min(strokes, self.outstanding)
        self.work.forfeit(strokes)
        self.forfeited[self.zone] += lost
        self.outstanding -= lost

    @rule()
    def settle(self) -> None:
        entry = self.work.settle_entry(2)
        if entry is not None:
            self.book.append([entry])
            self.work.settled()
        if self.zone is not None:
            self.outstanding = 0
            self.in_flash[self.zone] = self.made[self.zone] + self.forfeited[self.zone]

    @rule()
    def compact(self) -> None:
        self.book.compact()

    @precondition(lambda self: self.work.opened)
    @rule()
    def cut_and_resume(self) -> None:
        """All that is in memory is gone; what flash has reserved counts."""
        self.book = reread(store_of(self.book).files["ledger.bin"])
        account = self.book.open
        assert account is not None
        made_in_flash = list(account.made)
        self.book.append(session.recovery_entries(account, faults.POWER_LOST))
        self.work = Session(self.profile, self.book.open, self.cartridge)
        for zone in range(3):
            assert made_in_flash[zone] <= self.made[zone], "flash knows of no stroke that was not made"
            assert self.made[zone] + self.forfeited[zone] <= self.in_flash[zone], "and counts every one that was"
            self.made[zone] = made_in_flash[zone]
            self.forfeited[zone] = self.in_flash[zone] - made_in_flash[zone]
        self.outstanding = 0
        self.zone = None

    @invariant()
    def the_same_numbers(self) -> None:
        for zone in range(3):
            assert self.work.made(zone) == self.made[zone]
            assert self.work.forfeited(zone) == self.forfeited[zone]
            assert self.work.left(zone) == max(0, self.left(zone))
        assert self.work.outstanding() == self.outstanding
        assert self.work.total() == sum(self.made) + sum(self.forfeited)

    @invariant()
    def nothing_above_a_budget(self) -> None:
        for zone in range(3):
            busy = self.outstanding if zone == self.zone else 0
            assert self.made[zone] + self.forfeited[zone] + busy <= self.budgets[zone]
            assert self.left(zone) >= 0
        total = sum(self.made) + sum(self.forfeited) + self.outstanding
        assert total <= min(self.session_budget, self.cartridge)

    @invariant()
    def flash_is_ahead_of_the_needle(self) -> None:
        """Whatever happens next, a reader of the flash counts at least what was made."""
        if self.book.open is None:
            return
        for zone in range(3):
            assert self.book.open.reserved[zone] == self.in_flash[zone] >= self.made[zone] + self.forfeited[zone]


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=40, stateful_step_count=40)


@given(value=st.integers(0, 2**32 - 1), bits=st.integers(1, 2**32 - 1), copy=st.sampled_from(["_value", "_inverse"]))
def test_any_damage_to_one_copy_of_a_counter_shows(value: int, bits: int, copy: str) -> None:
    counter = Counter()
    counter.set(value)
    damaged: Any = getattr(counter, copy) ^ bits
    setattr(counter, copy, damaged)
    with pytest.raises(faults.Fault) as fault:
        counter.get()
    assert fault.value.code == faults.MEMORY_CORRUPT
