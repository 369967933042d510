"""Scripts for the ideal pen, drawn by hypothesis: mostly sessions that get somewhere, with all that can come amiss."""

from typing import Any

from hypothesis import strategies as st

from pencore import signals
from tests.portable import samples

Act = list[Any]

_troubles = st.builds(
    lambda writes, kind: ["trouble", writes, kind],
    st.integers(1, 9),
    st.sampled_from(["cut", "cut done", "fail", "fail done", "spoil", "lose"]),
)
_waits = st.builds(lambda span_ms: ["wait", span_ms], st.sampled_from([1, 9, 99, 101, 400, 1_000, 2_600]))
_presses = st.builds(lambda span_ms: ["press", span_ms], st.sampled_from([5, 11, 60, 300, 1_500, 4_000]))
_levels = st.builds(
    lambda bit, on: ["level", bit, on],
    st.sampled_from([signals.TRIGGER, signals.TRIGGER, signals.STOP, signals.CARTRIDGE, signals.SERVICE]),
    st.sampled_from([0, 0, 1]),
)
_requests = st.sampled_from(
    [
        ["ask", "arm", {"zone": None}],
        ["ask", "arm", {"zone": 1}],
        ["ask", "zone.select", {"zone": 0}],
        ["ask", "zone.select", {"zone": 2}],
        ["ask", "zone.select", {"zone": 31}],
        ["ask", "pause", {}],
        ["ask", "stop", {}],
        ["ask", "finish", {}],
        ["ask", "clear", {}],
        ["ask", "clear", {}],
        ["ask", "status", {}],
        ["ask", "record.list", {"after": 0}],
        ["ask", "record.read", {"session": 1, "offset": 0}],
        ["ask", "record.ack", {"session": 1, "sha256": "0" * 64}],
    ]
)
_loads = st.builds(
    lambda changes, zones: ["load", changes, zones],
    st.fixed_dictionaries(
        {},
        optional={
            "cartridge_id": st.sampled_from(["cartridge-1", "cartridge-2"]),
            "course_index": st.integers(1, 3),
            "issued_at": st.sampled_from([samples.TODAY_S, samples.TODAY_S + 30 * samples.DAY_S]),
            "strokes": st.sampled_from([90, 150]),
        },
    ),
    st.sampled_from(
        [list(samples.ZONES), [(samples.CHEEK, samples.LEFT, 1500, 20, 20)], [(samples.NOSE, samples.NONE, 750, 70, 9)]]
    ),
)
_noise = [b"\x18", b"\n" * 9, b'{"jsonrpc":"2.0"}\n', b"\xff" * 600]
_others: st.SearchStrategy[Act] = st.one_of(
    st.builds(lambda noise: ["bytes", noise], st.sampled_from(_noise)),
    st.builds(lambda alive: ["host", alive], st.integers(0, 1)),
    st.builds(lambda bits: ["trip", bits], st.sampled_from([signals.TRIP_DEPTH, signals.DRIVER_RESET])),
    st.builds(lambda cause: ["cut", cause], st.sampled_from([1, 3])),
    st.just(["cartridge"]),
)
_started = [["cartridge"], ["load", {}, list(samples.ZONES)], ["ask", "arm", {"zone": None}], ["wait", 400]]
_sealed = [*_started, ["press", 300], ["wait", 200], ["ask", "finish", {}], ["wait", 200]]

_acts: st.SearchStrategy[list[Act]] = st.one_of(
    st.one_of(_waits, _presses, _presses, _levels, _requests, _requests, _loads, _troubles, _others).map(
        lambda act: [act]
    ),
    st.just(_started),
)

scripts: st.SearchStrategy[list[Act]] = st.builds(
    lambda start, blocks: [*start, *(act for block in blocks for act in block)],
    st.sampled_from([_started, _started, _sealed, []]),
    st.lists(_acts, min_size=1, max_size=14),
)
"""Lists of acts for `tests.portable.ideal_pen.play`."""

start_times_ms: st.SearchStrategy[int] = st.sampled_from([0, 1_000, 2**32 - 1_500, 2**31 - 900, 2**30 - 1_200])
"""Clocks that wrap, or outgrow MicroPython's small integers, in the midst of a session."""

ledger_entries: st.SearchStrategy[int] = st.sampled_from([0, 0, 380, 383])
"""How much older history the ledger holds: with most of these it is compacted in the session."""
