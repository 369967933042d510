"""The virtual clock: order of events, jumps, wraps."""

import pytest

from pensim.clock import TICKS_PER_MS, VirtualClock


def test_events_fall_in_order_of_time_and_then_of_scheduling() -> None:
    clock = VirtualClock()
    fallen: list[tuple[str, int]] = []
    for at, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        clock.schedule(at, lambda name=name: fallen.append((name, clock.now)))  # type: ignore[misc]  # bound early
    clock.run_until(30)
    assert fallen == [("a", 10), ("b", 20), ("c", 30), ("d", 30)]


def test_a_jump_ends_where_it_is_told_to() -> None:
    clock = VirtualClock()
    fallen: list[int] = []
    clock.schedule(50, lambda: fallen.append(clock.now))
    clock.run_until(40)
    assert clock.now == 40
    assert fallen == []
    assert clock.next_due() == 50
    clock.run_until(50)
    assert fallen == [50]
    assert clock.next_due() is None


def test_a_cancelled_event_does_not_fall_and_is_not_due() -> None:
    clock = VirtualClock()
    fallen: list[int] = []
    first = clock.schedule(10, lambda: fallen.append(10))
    clock.schedule(20, lambda: fallen.append(20))
    clock.cancel(first)
    assert clock.next_due() == 20
    clock.run_until(100)
    clock.cancel(first)
    assert fallen == [20]


def test_an_event_may_let_time_pass_itself() -> None:
    """As a flash write does: what is due meanwhile falls meanwhile, once, and time never runs back."""
    clock = VirtualClock()
    fallen: list[tuple[str, int]] = []

    def long_write() -> None:
        fallen.append(("begin", clock.now))
        clock.advance(100)
        fallen.append(("end", clock.now))

    clock.schedule(10, long_write)
    clock.schedule(50, lambda: fallen.append(("stroke", clock.now)))
    clock.schedule(60, lambda: fallen.append(("late", clock.now)))
    clock.run_until(55)
    assert fallen == [("begin", 10), ("stroke", 50), ("late", 60), ("end", 110)]
    assert clock.now == 110


def test_the_past_cannot_be_scheduled() -> None:
    clock = VirtualClock()
    clock.advance(5)
    clock.run_until(3)
    assert clock.now == 5
    with pytest.raises(ValueError, match="has passed"):
        clock.schedule(4, lambda: None)


def test_milliseconds_wrap_at_32_bits() -> None:
    clock = VirtualClock(start_ms=0xFFFFFFFE)
    assert clock.now_ms() == 0xFFFFFFFE
    clock.advance(TICKS_PER_MS - 1)
    assert clock.now_ms() == 0xFFFFFFFE
    clock.advance(1)
    assert clock.now_ms() == 0xFFFFFFFF
    clock.advance(TICKS_PER_MS)
    assert clock.now_ms() == 0
