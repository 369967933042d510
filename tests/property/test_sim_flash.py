"""Power cuts under real littlefs: at every operation, torn in every way, each write is wholly old or wholly new."""

import functools
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pensim.errors import PowerCut
from pensim.flash import FlashDevice, FlashImage, SimStore, Snapshot, Torn

Files = dict[str, bytes]
Act = Callable[[SimStore], None]

LEDGER = b"".join(bytes([number]) * 32 for number in range(70))


def contents(store: SimStore) -> Files:
    """Return every file that has content: littlefs makes a new file's name before it has any (see below)."""
    found = {name: store.read(name, 0, 1 << 20) for name in store.names()}
    return {name: data for name, data in found.items() if data}


def replace(store: SimStore, name: str, data: bytes) -> None:
    """Write a whole file beside the old one and rename it over."""
    store.append(name + ".new", data)
    store.rename(name + ".new", name)


@functools.cache
def base() -> Snapshot:
    """Return a flash with some history: a ledger that was appended to, a file that was replaced."""
    image = FlashImage()
    SimStore(FlashDevice(image)).close()
    store = SimStore(FlashDevice(image))
    for at in range(0, len(LEDGER), 64):
        store.append("ledger", LEDGER[at : at + 64])
    store.append("small", b"s" * 40)
    replace(store, "prov", b"p" * 700)
    store.close()
    return image.snapshot()


ACTS: dict[str, Act] = {
    "append": lambda store: store.append("ledger", b"N" * 64),
    "append-long": lambda store: store.append("ledger", b"N" * 5000),
    "append-inline": lambda store: store.append("small", b"N" * 64),
    "create": lambda store: store.append("fresh", b"N" * 300),
    "rename": lambda store: store.rename("small", "prov"),
    "remove": lambda store: store.remove("ledger"),
}


@pytest.mark.parametrize("how", list(Torn))
@pytest.mark.parametrize("name", list(ACTS))
def test_each_write_is_wholly_old_or_wholly_new(name: str, how: Torn) -> None:
    """Cut at every operation of one write; mount; look; then write again, which must work."""
    act = ACTS[name]
    before = SimStore(FlashDevice(FlashImage(base())))
    old = contents(before)
    act(before)
    new = contents(before)
    operations = before.device.operations
    before.close()
    assert old != new
    assert operations > 0
    outcomes = set()
    for number in range(operations):
        image = FlashImage(base())
        device = FlashDevice(image)
        device.cut_at(number, how, seed=number)
        store = SimStore(device)
        with pytest.raises(PowerCut):
            act(store)
        store.close()
        again = SimStore(FlashDevice(image))
        assert not again.reformatted
        found = contents(again)
        assert found in (old, new), f"operation {number} torn {how}"
        outcomes.add(found == new)
        if found == old and name not in ("rename", "remove"):
            act(again)
            assert contents(again) == new
        again.close()
    assert False in outcomes


def test_a_new_file_may_be_left_empty_by_a_cut() -> None:
    """So a name alone proves nothing: what must be wholly there is written beside and renamed."""
    left = set()
    for number in range(12):
        image = FlashImage(base())
        device = FlashDevice(image)
        device.cut_at(number)
        store = SimStore(device)
        with suppress(PowerCut):
            ACTS["create"](store)
        store.close()
        left.add(SimStore(FlashDevice(image)).size("fresh"))
    assert left == {-1, 0, 300}


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(st.sampled_from(sorted(set(ACTS) - {"remove", "rename"})), min_size=1, max_size=6),
    first=st.integers(0, 30),
    second=st.integers(0, 12),
    how=st.sampled_from(list(Torn)),
    seed=st.integers(0, 1000),
)
def test_a_second_cut_during_recovery_loses_nothing_either(
    acts: list[str], first: int, second: int, how: Torn, seed: int
) -> None:
    """Every write that returned is there after the first cut and after the second; the cut one is old or new."""
    image = FlashImage(base())
    for cut_at in (first, second):
        device = FlashDevice(image)
        device.cut_at(cut_at, how, seed)
        store = SimStore(device)
        allowed = [contents(store)]
        with suppress(PowerCut):
            for name in acts:
                allowed = [allowed[-1], after(allowed[-1], name)]
                ACTS[name](store)
        store.close()
        again = SimStore(FlashDevice(image))
        assert contents(again) in (allowed if device.dead else allowed[-1:])
        again.close()


def after(files: Files, name: str) -> Files:
    """Return what the files are after an act, worked out on plain bytes."""
    target, data = {
        "append": ("ledger", b"N" * 64),
        "append-long": ("ledger", b"N" * 5000),
        "append-inline": ("small", b"N" * 64),
        "create": ("fresh", b"N" * 300),
    }[name]
    return {**files, target: files.get(target, b"") + data}


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, 12),
    how=st.sampled_from(list(Torn)),
    acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=4),
)
def test_nothing_reaches_the_flash_after_a_cut(number: int, how: Torn, acts: list[str]) -> None:
    """Neither the write that was cut, however it goes on inside littlefs, nor any later one, nor closing."""
    monkeypatch = pytest.MonkeyPatch()
    image = FlashImage(base())
    device = FlashDevice(image)
    at_death = []
    tear_program, tear_erase = device._tear_program, device._tear_erase

    def program(how: Torn, block: int, offset: int, page: bytes) -> None:
        tear_program(how, block, offset, page)
        at_death.append(image.snapshot())

    def erase(how: Torn, block: int) -> None:
        tear_erase(how, block)
        at_death.append(image.snapshot())

    monkeypatch.setattr(device, "_tear_program", program)
    monkeypatch.setattr(device, "_tear_erase", erase)
    device.cut_at(number, how, seed=number)
    store = SimStore(device)
    for name in acts:
        with suppress(PowerCut, OSError):
            ACTS[name](store)
    store.close()
    if device.dead:
        assert len(at_death) == 1
        assert image.snapshot() == at_death[0]
    else:
        assert at_death == []
