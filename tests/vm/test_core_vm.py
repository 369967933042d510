"""The core on both Pythons: codecs, tables, journals, counters, and the whole runner, answer for answer."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pencore import limits
from pencore.limits import Bounds
from tests.portable import samples
from tests.portable.core import profile_bytes
from tests.support.core_scripts import Act, ledger_entries, scripts, start_times_ms
from tests.support.stroke_oracle import check_table, pens
from tests.vm.machine import CPython, MicroPythonVM, Outcome, agreed

CORE = "tests.portable.core"
IDEAL_PEN = "tests.portable.ideal_pen"
ANSWERS = ("", "Refusal", "Fault")

differential = settings(max_examples=60)
u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
plain = st.text(st.sampled_from([chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\']), min_size=1)


def both(vm: MicroPythonVM, function: str, *args: object, module: str = CORE) -> Outcome:
    """Return what both Pythons agree on: a value, a refusal or a fault, and nothing that neither of them foresees."""
    outcome = agreed(vm, module, function, args)
    assert outcome.raised in ANSWERS, outcome.trace
    return outcome


@settings(max_examples=40)
@given(script=scripts, start_ms=start_times_ms, key_id=st.sampled_from([0, samples.KEY_ID]), entries=ledger_entries)
def test_a_session_is_the_same_on_both(
    vm: MicroPythonVM, script: list[Act], start_ms: int, key_id: int, entries: int
) -> None:
    """Lines, lights, flash writes and engine calls in their order, and after each act state, counters and files."""
    args = [script, start_ms, key_id, entries]
    there, here = vm.outcome(IDEAL_PEN, "play", args), CPython().outcome(IDEAL_PEN, "play", args)
    assert (there.raised, here.raised) == ("", ""), there.trace + here.trace
    played: Any = (there.value, here.value)
    for number, (on_pen, on_host) in enumerate(zip(played[0][0], played[1][0], strict=False)):
        # The first thing that differs, and not two books of a session each.
        assert on_pen == on_host, f"entry {number}"
    assert played[0] == played[1]
    assert played[1][1] == []


# --- digests ----------------------------------------------------------------------------------------------------------
@differential
@given(key=st.binary(min_size=1, max_size=64), message=st.binary(max_size=300))
def test_digests(vm: MicroPythonVM, key: bytes, message: bytes) -> None:
    for function, args in (("hmac_sha256", [key, message]), ("sha256", [message]), ("crc32", [message])):
        assert agreed(vm, "pencore.digest", function, args).raised == ""
    assert agreed(vm, "pencore.digest", "equal", [key, message]).value == (key == message)


@differential
@given(text=st.text(max_size=20), size=st.integers(1, 24), raw=st.binary(max_size=24))
def test_texts(vm: MicroPythonVM, text: str, size: int, raw: bytes) -> None:
    if agreed(vm, "pencore.digest", "text_problem", [text, size]).value is False:
        packed = agreed(vm, "pencore.digest", "pack_text", [text, size]).value
        assert agreed(vm, "pencore.digest", "unpack_text", [packed]).value == text
    agreed(vm, "pencore.digest", "unpack_text", [raw])


# --- binary formats ---------------------------------------------------------------------------------------------------
changes = st.fixed_dictionaries(
    {},
    optional={
        "head": u8,
        "session_id": u32,
        "issued_at": u32,
        "name": plain.map(lambda text: text[:40]),
        "course_index": u8,
        "course_of": u8,
        "interval_days": u16,
        "max_step_um": u16,
        "expires_day": u16,
        "needles": u8,
        "depth_um": st.integers(0, 2600) | u16,
        "strokes": st.integers(0, 300) | u32,
    },
)
zones = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 3), st.integers(0, 2600) | u16, st.integers(0, 90) | u32, st.integers(0, 40)
    ),
    min_size=1,
    max_size=32,
)


@differential
@given(
    changes=changes,
    zones=zones,
    key_id=st.sampled_from([0, samples.KEY_ID]),
    ceiling_um=st.integers(100, 2500),
    caps_um=st.lists(st.integers(100, 2500), max_size=12),
)
def test_profiles(
    vm: MicroPythonVM, changes: dict[str, Any], zones: list[Any], key_id: int, ceiling_um: int, caps_um: list[int]
) -> None:
    made = both(vm, "profile_bytes", changes, zones, key_id)
    if made.raised:
        return
    data = made.value
    both(vm, "judge_profile", data, key_id, ceiling_um, caps_um)
    both(vm, "judge_profile", data, samples.KEY_ID - key_id, ceiling_um, caps_um)


@differential
@given(at=st.integers(0, 311), bits=st.integers(1, 255), cut=st.integers(0, 8), key_id=st.sampled_from([0, 7]))
def test_damaged_profiles(vm: MicroPythonVM, at: int, bits: int, cut: int, key_id: int) -> None:
    data = bytearray(profile_bytes({}, list(samples.ZONES), key_id))
    data[at] ^= bits
    assert both(vm, "judge_profile", bytes(data[: len(data) - cut]), key_id, 2500, []).raised == "Refusal"


@differential
@given(noise=st.binary(max_size=400))
def test_noise_for_files(vm: MicroPythonVM, noise: bytes) -> None:
    for function, magic, more in (
        ("judge_profile", b"PPF1\x01", [0, 2500, []]),
        ("reread_provision", b"PPV1\x01", []),
        ("reread_record", b"PPR1\x01", []),
    ):
        assert both(vm, function, noise, *more).raised == "Refusal"
        assert both(vm, function, magic + noise, *more).raised == "Refusal"
    assert both(vm, "read_journal", noise).raised == "Fault"


@settings(max_examples=20)
@given(bounds=pens(), data=st.data())
def test_tables(vm: MicroPythonVM, bounds: Bounds, data: st.DataObject) -> None:
    geometry = bounds.geometry
    depth_um = data.draw(st.integers(100, bounds.ceiling_um))
    highest = limits.max_rate(depth_um, geometry)
    assume(geometry.stroke_steps(depth_um) < 600)
    rate_per_s = data.draw(st.integers(0, highest + 1))
    outcome = both(vm, "table", depth_um, rate_per_s, geometry.as_list())
    assert (outcome.raised == "") == (0 < rate_per_s <= highest)
    if outcome.raised == "":
        made: Any = outcome.value
        check_table(made[0], depth_um, rate_per_s, geometry)


# --- journals ---------------------------------------------------------------------------------------------------------
entries = st.tuples(
    st.integers(1, 11), st.integers(0, 3), st.integers(0, 3) | u8, u16, st.integers(0, 99), st.integers(0, 9), u32, u8
).map(list)
likely = st.sampled_from(
    [
        [1, 1, 3, 77, 0, 0, 1000],
        [1, 2, 3, 77, 0, 0, 2000],
        [2, 1, 0, 50, 0, 0, 3],
        [2, 1, 2, 30, 0, 0, 4],
        [3, 1, 0, 41, 40, 1, 9],
        [4, 1, 0, 9, 0, 0, 704, 1],
        [4, 0, 255, 0, 0, 0, 704, 2],
        [5, 1, 255, 0, 40, 1, 99],
        [6, 1],
        [9, 0, 255, 0, 0, 0, 5000],
        ["compact"],
        ["replay"],
        ["fail"],
        ["fail done"],
        ["spoil"],
    ]
)


@differential
@given(acts=st.lists(likely | entries, max_size=25))
def test_journals(vm: MicroPythonVM, acts: list[list[Any]]) -> None:
    assert both(vm, "journal", acts).raised == ""


@differential
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["course", "course", "course?", "cartridge", "cartridge", "cartridge?", "compact"]),
            st.integers(0, 9),
            st.integers(1, 30),
        ),
        max_size=60,
    )
)
def test_memories(vm: MicroPythonVM, acts: list[Any]) -> None:
    assert both(vm, "memories", acts).raised == ""


@differential
@given(
    issued_at=u32,
    floor_s=u32,
    calibrated_at=u32,
    index=st.integers(1, 12),
    interval=st.integers(4, 365),
    last=st.tuples(
        st.integers(1, 12), st.integers(1, 12), st.integers(4, 365), st.integers(1, 99), u32, st.integers(0, 2500)
    ),
)
def test_rules_between_sessions(
    vm: MicroPythonVM, issued_at: int, floor_s: int, calibrated_at: int, index: int, interval: int, last: Any
) -> None:
    named = {"course_index": index, "interval_days": interval}
    both(vm, "rules", issued_at, floor_s, calibrated_at, named, list(last))
    both(vm, "rules", issued_at, min(floor_s, issued_at), 0, named, [1, *last[1:4], issued_at // 2, last[5]])


# --- strokes and consent ----------------------------------------------------------------------------------------------
@differential
@given(
    budgets=st.lists(st.integers(1, 1200), min_size=1, max_size=4),
    session_budget=st.integers(1, 3000),
    cartridge=st.integers(1, 3000),
    acts=st.lists(
        st.tuples(
            st.sampled_from(["choose", "enter", "enter", "reserve", "reserve", "make", "make", "forfeit", "settle"]),
            st.integers(0, 60),
        ),
        max_size=30,
    ),
)
def test_strokes(
    vm: MicroPythonVM, budgets: list[int], session_budget: int, cartridge: int, acts: list[tuple[str, int]]
) -> None:
    assert both(vm, "strokes", budgets, session_budget, cartridge, acts).raised == ""


@differential
@given(
    start_ms=st.sampled_from([0, 2**30 - 90, 2**31 - 90, 2**32 - 150]),
    spans=st.lists(
        st.tuples(st.booleans(), st.integers(1, 160), st.sampled_from([1, 7, 40]), st.integers(0, 3)), max_size=10
    ),
)
def test_consents(vm: MicroPythonVM, start_ms: int, spans: list[Any]) -> None:
    assert both(vm, "consents", start_ms, spans).raised == ""
