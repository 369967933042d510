"""The programs' words: two assemblers agree, they fit into their blocks, and the names for places in them are right."""

import importlib

import adafruit_pioasm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pencore import limits
from tests.pio.assembler import AssemblerError, Program, asm_pio, assembled
from tests.pio.rigs import BOARD, GUARD_PIO, STROKE_PIO

MEMORY = 32
BLOCK_0 = [STROKE_PIO.stroke, STROKE_PIO.sample]
BLOCK_1 = [GUARD_PIO.depth, GUARD_PIO.count, GUARD_PIO.stop]

registers = st.sampled_from(["x", "y", "isr", "osr"])
delays = st.none() | st.integers(0, 31)
labels = st.integers(0, 11).map("at{}".format)
bits = st.integers(1, 32)
blocking = st.sampled_from(["block", "noblock"])
instructions = st.one_of(
    st.tuples(st.just("nop")),
    st.tuples(st.just("jmp"), labels),
    st.tuples(
        st.just("jmp"),
        st.sampled_from(["not_x", "x_dec", "not_y", "y_dec", "x_not_y", "pin", "not_osre"]),
        labels,
    ),
    st.tuples(st.just("wait"), st.integers(0, 1), st.sampled_from(["pin", "gpio"]), st.integers(0, 29)),
    st.tuples(st.just("in_"), st.sampled_from(["pins", "x", "y", "null", "isr", "osr"]), bits),
    st.tuples(st.just("out"), st.sampled_from(["pins", "x", "y", "null", "pindirs", "pc", "isr"]), bits),
    st.tuples(st.sampled_from(["push", "pull"]), blocking),
    st.tuples(st.just("mov"), st.sampled_from(["pins", "x", "y", "isr", "osr", "pc"]), registers, st.booleans()),
    st.tuples(st.just("irq"), st.integers(0, 7)),
    st.tuples(st.just("set"), st.sampled_from(["pins", "x", "y", "pindirs"]), st.integers(0, 31)),
)


def other_words(program: Program) -> tuple[list[int], int, int]:
    """Return what the other assembler makes of a program: its words, its wrap target, its wrap."""
    made = adafruit_pioasm.Program(program.text)
    last = len(made.assembled) - 1
    return list(made.assembled), made.pio_kwargs.get("wrap_target", 0), made.pio_kwargs.get("wrap", last)


@pytest.mark.parametrize("program", BLOCK_0 + BLOCK_1, ids=lambda program: program.name)
def test_two_assemblers_make_the_same_of_each_program(program: Program) -> None:
    assert other_words(program) == (program.words, program.wrap_target, program.wrap)


@given(
    code=st.lists(st.tuples(instructions, delays), min_size=12, max_size=24), wraps=st.tuples(st.integers(0, 5), bits)
)
def test_two_assemblers_make_the_same_of_any_program(
    code: list[tuple[tuple[object, ...], int | None]], wraps: tuple[int, int]
) -> None:
    def write(names: dict[str, object]) -> None:
        for place, ((word, *arguments), delay) in enumerate(code):
            if place == wraps[0]:
                names["wrap_target"]()  # type: ignore[operator]  # the assembler's own functions
            if place < 12:
                names["label"](f"at{place}")  # type: ignore[operator]  # the same
            if word == "mov" and arguments.pop():
                arguments[1] = names["invert"](names[str(arguments[1])])  # type: ignore[operator]  # the same
            values = [names.get(str(one), one) if isinstance(one, str) else one for one in arguments]
            made = names[str(word)](*values)  # type: ignore[operator]  # the same
            if delay is not None:
                made[delay]
            if place == wraps[0] + wraps[1] % 6:
                names["wrap"]()  # type: ignore[operator]  # the same

    program = assembled("any", write)
    assert other_words(program) == (program.words, program.wrap_target, program.wrap)


def test_each_block_holds_its_programs() -> None:
    assert sum(len(program.words) for program in BLOCK_0) == 27
    assert sum(len(program.words) for program in BLOCK_1) == 28
    assert MEMORY >= 28


def test_places_in_the_stroke_program_are_where_their_names_say() -> None:
    words = STROKE_PIO.stroke.words
    wait_home = 0x2000 | BOARD.HOME_SEEN << 7 | 1 << 5
    assert [place for place, word in enumerate(words) if word == wait_home] == [STROKE_PIO.WAIT_AT]
    pulls = [place for place, word in enumerate(words) if word & 0xE0FF == 0x80A0]
    assert pulls[-1] == STROKE_PIO.ANYWHERE_AT
    assert pulls[1] == STROKE_PIO.PULL_AT == STROKE_PIO.stroke.wrap_target
    high, higher, low, lower = STROKE_PIO.HOLDING_AT
    assert (words[high], words[higher]) == (5 << 5 | higher, 2 << 5 | high)
    assert (words[low], words[lower]) == (5 << 5 | lower, 2 << 5 | low)
    assert words[STROKE_PIO.OFF_AT] == STROKE_PIO.OFF_AT
    assert 4 * STROKE_PIO.HOLD_WORD == STROKE_PIO.SHORTEST_TICKS


def test_levels_written_in_the_programs_are_the_board_s() -> None:
    """A program can't see a module's names, so it says 0 and 1."""
    assert GUARD_PIO.stop.words[0] == 0x2000 | BOARD.STOP_OPEN << 7 | 1 << 5
    assert GUARD_PIO.depth.words[3] == 0xE000 | BOARD.ENABLE_ON
    assert {program.words[-1] for program in BLOCK_1} == {0xE000 | BOARD.ENABLE_OFF}
    for program in BLOCK_1:
        assert program.settings["set_init"] == 2 | BOARD.ENABLE_OFF
    # The stroke program's jump on the enable pin is taken on a high level.
    assert BOARD.ENABLE_OFF == 1
    assert (BOARD.DIR, BOARD.HOME) == (BOARD.STEP + 1, BOARD.STEP + 2)


def test_no_pen_asks_for_less_than_the_stroke_program_keeps() -> None:
    assert limits.STEP_TICKS_MIN == STROKE_PIO.SHORTEST_TICKS


def test_guards_count_faster_than_strokes_can_be_played() -> None:
    assert GUARD_PIO.FASTEST_TICKS < STROKE_PIO.SHORTEST_TICKS // 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("label('a')\n    label('a')\n    nop()", AssemblerError),
        ("jmp('nowhere')", AssemblerError),
        ("jmp('end')\n    label('end')", AssemblerError),
        ("set(x, 32)", AssemblerError),
        ("nop()[32]", AssemblerError),
        ("out(x, 33)", AssemblerError),
        ("irq(8)", AssemblerError),
        ("wait(2, pin, 0)", AssemblerError),
        ("\n    ".join(["nop()"] * 33), AssemblerError),
        ("set(x, MODULE_CONSTANT)", NameError),
    ],
)
def test_what_can_t_be_encoded_is_refused(body: str, error: type[Exception]) -> None:
    space: dict[str, object] = {"MODULE_CONSTANT": 1}
    code = compile(f"def program():\n    {body}\n", "program", "exec")
    function = importlib.import_module("types").FunctionType(code.co_consts[0], space)
    with pytest.raises(error):
        asm_pio()(function)
