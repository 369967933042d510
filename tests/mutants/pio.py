"""Bugs to plant in the programs of the two PIO blocks and in what loads them. Host only; a part of `table`."""

from tests.mutants.mutant import Mutant, one

STROKE = "../pendevice/stroke_pio.py"
PLAYER = "../pendevice/player.py"
GUARD = "../pendevice/guard_pio.py"
GUARDS = "../pendevice/guards.py"
SAMPLES = "../pendevice/samples.py"

PLAYED = "tests/pio/test_stroke.py"
ENGINE = "tests/pio/test_engine.py"
DEPTH = "tests/pio/test_depth_guard.py"
COUNT = "tests/pio/test_count_and_stop.py"
ENABLER = "tests/pio/test_enabler.py"

_EXACT = f"{PLAYED}::test_edges_and_spacing_are_the_table_s"
_GAP = f"{PLAYED}::test_a_queued_stroke_follows_within_its_gap"
_ANEW = f"{DEPTH}::test_it_begins_anew_only_when_it_is_loaded"
_RESTS = f"{ENGINE}::test_a_withdrawal_in_a_rest_leaves_the_rest_as_it_is"
_NO_HOME = f"{PLAYED}::test_no_home_no_motion"
_SHORT = f"{PLAYED}::test_no_table_makes_a_pulse_too_short"
_ANY_STREAM = f"{DEPTH}::test_any_stream_is_cut_at_the_step_after_the_limit"
_INFLATED = f"{DEPTH}::test_homing_does_not_inflate_it"
_FASTEST = f"{DEPTH}::test_edges_eight_ticks_apart_are_all_counted"
_ALLOWED = f"{COUNT}::test_no_stroke_begins_beyond_what_was_allowed_last"
_ANY_ORDER = f"{ENABLER}::test_by_any_order_of_trips_and_loadings"
_EVERY_TICK = f"{ENABLER}::test_a_trip_before_the_enabler_writes_keeps_the_driver_off_in_every_tick"

PIO: tuple[Mutant, ...] = (
    # --- strokes -----------------------------------------------------------------------------------------------------
    one("a stroke begins without home", STROKE, "    wait(0, pin, 0)\n    label", "    nop()\n    label", _NO_HOME),
    one("home is taken for away", STROKE, "    wait(0, pin, 0)\n    label", "    wait(1, pin, 0)\n    label", _GAP),
    one("the last bits of a delay are dropped", STROKE, '    jmp(x_dec, "rest")\n', "    nop()\n", _EXACT),
    one("a word takes a tick too few", STROKE, "mov(x, osr)[10]", "mov(x, osr)[9]", _GAP),
    one("the first word of the FIFO is one too high", STROKE, "HOLD_WORD = const(30)", "HOLD_WORD = const(31)", _GAP),
    one(
        "all of a delay is waited with STEP high",
        STROKE,
        '    set(pins, 0)[17]\n    mov(x, osr)\n    label("low")\n    jmp(x_not_y, "lower")\n    label("next")\n',
        '    mov(x, osr)\n    label("low")\n    jmp(x_not_y, "lower")\n    label("next")\n    set(pins, 0)[17]\n',
        _EXACT,
    ),
    one(
        "a delay too short never ends",
        STROKE,
        '    jmp("fall")\n',
        '    jmp("high")\n',
        _SHORT,
    ),
    one(
        "a delay too short never ends with STEP low",
        STROKE,
        '    jmp("next")\n',
        '    jmp("low")\n',
        _SHORT,
    ),
    one("STEP is high for less than 288 ns", STROKE, "set(pins, 1)[31]", "set(pins, 1)[5]", _GAP),
    one(
        "strokes go on while the driver is off",
        STROKE,
        '    jmp(pin, "off")\n',
        "    nop()\n",
        f"{PLAYED}::test_nothing_moves_while_the_driver_is_off",
    ),
    one(
        "a stroke goes on when the driver comes back",
        STROKE,
        '    label("off")\n    jmp("off")\n',
        '    label("off")\n    jmp("word")\n',
        f"{PLAYED}::test_nothing_moves_while_the_driver_is_off",
    ),
    one(
        "the driver is asked for before DIR turns",
        STROKE,
        '    mov(x, osr)[10]\n    out(pins, 1)[31]\n    jmp(not_x, "over")\n'
        "    # Asked in the tick before the edge: a driver that the turn of DIR has cut gets none.\n"
        '    jmp(pin, "off")\n',
        '    jmp(pin, "off")\n    mov(x, osr)[10]\n    out(pins, 1)[31]\n    jmp(not_x, "over")\n',
        f"{COUNT}::test_a_stroke_too_many_makes_no_step",
    ),
    one(
        "an end that nobody takes is waited for",
        STROKE,
        "    push(noblock)\n",
        "    push(block)\n",
        f"{PLAYED}::test_ends_that_nobody_takes_hold_up_no_stroke",
    ),
    one(
        "steps are sampled at their edge",
        STROKE,
        "    wait(1, pin, 0)\n    wait(0, pin, 0)\n    in_(pins, 3)\n",
        "    wait(0, pin, 0)\n    wait(1, pin, 0)\n    in_(pins, 3)\n",
        f"{PLAYED}::test_steps_lost_in_the_first_of_two_credited_strokes",
    ),
    one(
        "the first sample away is not counted",
        SAMPLES,
        "    evidence.clear_step = place - begin + 1\n",
        "    evidence.clear_step = place - begin\n",
        f"{PLAYED}::test_a_planned_stroke_moves_the_needle_and_tells_as_the_virtual_engine_does",
    ),
    # --- withdrawals -------------------------------------------------------------------------------------------------
    one(
        "a withdrawal forgets the second half of the rest",
        PLAYER,
        "                player.exec(_KEPT_OSR)\n",
        "",
        _RESTS,
    ),
    one(
        "a withdrawal waits for the second half of the rest",
        PLAYER,
        "at in stroke_pio.HOLDING_AT",
        "at in stroke_pio.HOLDING_AT[2:]",
        _RESTS,
    ),
    one(
        "the fall of a step that was halted is a step",
        PLAYER,
        "        self._start()\n        # Not before STEP is low: where it was halted high, its fall is no step.\n"
        "        self._sampler.active(1)\n",
        "        self._sampler.active(1)\n        self._start()\n",
        f"{ENGINE}::test_the_fall_of_a_step_that_was_halted_is_no_step",
    ),
    # --- depth -------------------------------------------------------------------------------------------------------
    one(
        "retracting gives back without end",
        GUARD,
        '    jmp(x_not_y, "retracted")\n    jmp("low")\n',
        '    jmp("retracted")\n    jmp("low")\n',
        _INFLATED,
    ),
    one("retracting gives nothing back", GUARD, '    jmp(x_not_y, "retracted")\n', "    nop()\n", _INFLATED),
    one(
        "the depth guard lets one step more",
        GUARD,
        '    jmp(x_dec, "low")\n    irq(0)\n',
        '    jmp(x_not_y, "fewer")\n    label("fewer")\n    jmp(y_dec, "low")\n    irq(0)\n',
        _INFLATED,
    ),
    one(
        "steps are counted by their falling edge too",
        GUARD,
        "    wait(0, pin, 0)\n    wait(1, pin, 0)\n    jmp(pin",
        "    nop()\n    wait(1, pin, 0)\n    jmp(pin",
        _INFLATED,
    ),
    one("DIR is read the wrong way", GUARD, 'jmp(pin, "extended")', 'jmp(pin, "retracted")', _INFLATED),
    one(
        "the driver is switched on with every step",
        GUARD,
        '    set(pins, 0)\n    label("low")\n',
        '    label("low")\n    set(pins, 0)\n',
        f"{ENABLER}::test_the_programs_say_on_in_one_place_that_nothing_leads_back_to",
    ),
    one(
        "the driver is on before there is a limit",
        GUARD,
        "    pull(block)\n    mov(x",
        "    set(pins, 0)\n    mov(x",
        _ANY_STREAM,
    ),
    one(
        "a guard's loop is too slow for the fastest edges",
        GUARD,
        '    mov(x, invert(x))\n    jmp("low")\n',
        '    mov(x, invert(x))\n    nop()[3]\n    jmp("low")\n',
        _FASTEST,
    ),
    one("a depth trip is not told", GUARD, "    irq(0)\n", "    nop()\n", _ANEW),
    # --- count and stop ----------------------------------------------------------------------------------------------
    one(
        "a count left over is allowed again",
        GUARD,
        "    set(x, 0)\n",
        "    nop()\n",
        f"{COUNT}::test_without_a_count_none_is_allowed",
    ),
    one(
        "a new count waits until a stroke",
        GUARD,
        "    pull(noblock)\n    mov(x",
        "    pull(block)\n    mov(x",
        _ALLOWED,
    ),
    one(
        "a new count is added to nothing",
        GUARD,
        "    pull(noblock)\n    mov(x, osr)\n",
        "    nop()\n    nop()\n",
        _ALLOWED,
    ),
    one(
        "a stroke is counted for as long as it extends",
        GUARD,
        'jmp(x_dec, "extending")',
        'jmp(x_dec, "retracting")',
        _ALLOWED,
    ),
    one(
        "a tripped count guard goes on counting",
        GUARD,
        "    irq(1)\n    wrap_target()\n    set(pins, 1)\n",
        "    wrap_target()\n    irq(1)\n    set(pins, 1)\n    set(pins, 0)\n",
        _ALLOWED,
    ),
    one(
        "a closed stop line is taken for open",
        GUARD,
        "    wait(1, pin, 0)\n    irq(2)",
        "    wait(0, pin, 0)\n    irq(2)",
        _ANY_ORDER,
    ),
    one(
        "the stop guard writes only now and then",
        GUARD,
        "    wait(1, pin, 0)\n    irq(2)\n    wrap_target()\n",
        "    wrap_target()\n    wait(1, pin, 0)\n    irq(2)\n",
        _EVERY_TICK,
    ),
    one(
        "a guard writes on where it should write off",
        GUARD,
        "    irq(2)\n    wrap_target()\n    set(pins, 1)",
        "    irq(2)\n    wrap_target()\n    set(pins, 0)",
        _ANY_ORDER,
    ),
    # --- loading -----------------------------------------------------------------------------------------------------
    one(
        "the enabler is started first",
        GUARDS,
        "        self._stop.active(1)\n        self._count.active(1)\n        self._depth.active(1)\n",
        "        self._depth.active(1)\n        self._count.active(1)\n        self._stop.active(1)\n",
        _ANY_ORDER,
    ),
    one(
        "the guards are loaded without being initialised",
        GUARDS,
        "        gc.collect()\n        self._init()\n",
        "        gc.collect()\n",
        _ANEW,
    ),
    one("old trips are told again", GUARDS, "        machine.mem32[_IRQ] = _FLAGS\n", "", _ANEW),
    one("off leaves the driver on", GUARDS, "_SET_OFF = const(0xE001)", "_SET_OFF = const(0xE000)", _ANY_ORDER),
    one(
        "the stop line is not pulled up",
        GUARDS,
        "machine.Pin(board.STOP, machine.Pin.IN, machine.Pin.PULL_UP)",
        "machine.Pin(board.STOP)",
        f"{ENABLER}::test_a_stop_line_that_is_broken_off_never_lets_the_driver_on",
    ),
    one(
        "a full FIFO is waited for",
        GUARDS,
        "        if not self._count.tx_fifo():\n",
        "        if strokes >= 0:\n",
        f"{COUNT}::test_a_full_fifo_is_never_waited_for",
    ),
)
