"""Bugs to plant in what the pen waits for and in what it tells; a part of the table. Host only."""

from tests.mutants.mutant import Mutant, one

TOLD = "tests/unit/test_told.py"
WAITS = "tests/unit/test_waits.py"

_HELLO = f"{TOLD}::test_hello_tells_the_bounds_of_cartridge_and_course_and_the_records_that_wait"
_INTERRUPTED = f"{TOLD}::test_status_of_a_session_that_a_cut_interrupted"
_NOT_SEALED = f"{TOLD}::test_a_record_whose_session_is_not_sealed_is_none_yet"
_RECORD = f"{TOLD}::test_a_record_says_of_its_session_what_the_profile_said"
_WHOLE_SESSION = f"{TOLD}::test_the_whole_session_counts_whichever_zone_is_at_work"
_EVERY_WRITE = f"{WAITS}::test_a_session_waits_for_home_before_every_write"
_IN_HAND = f"{WAITS}::test_a_wish_that_needs_the_flash_waits_for_the_task_in_hand"
_SEATED = f"{WAITS}::test_a_cartridge_is_asked_for_as_soon_as_it_leaves_and_until_it_has_settled"

PATIENCE: tuple[Mutant, ...] = (
    # --- home --------------------------------------------------------------------------------------------------------
    one(
        "an arming writes without waiting for home",
        "tasks.py",
        "    yield from _rest(pen)\n    if not work.opened:\n",
        "    if not work.opened:\n",
        f"{WAITS}::test_an_arming_waits_for_home_before_it_writes",
    ),
    one(
        "a seal goes on without waiting for home",
        "tasks.py",
        "    yield from _rest(pen)\n    if sealed.counted():\n",
        "    if sealed.counted():\n",
        _EVERY_WRITE,
    ),
    one(
        "a sealed profile is removed without waiting for home",
        "tasks.py",
        "    yield from _rest(pen)\n    if pen.memory.courses_crowded():\n",
        "    if pen.memory.courses_crowded():\n",
        _EVERY_WRITE,
    ),
    one(
        "tidying up does not wait for home",
        "tasks.py",
        "            yield from _rest(pen)\n            pen.write(_remover(store, name))\n",
        "            pen.write(_remover(store, name))\n",
        f"{WAITS}::test_tidying_up_waits_for_home_before_every_write",
    ),
    one(
        "tidying up has no end",
        "tasks.py",
        "    pen.untidy = False\n",
        "",
        f"{WAITS}::test_a_pen_tidies_up_once",
    ),
    one(
        "a carriage that coasts is told as one that is away",
        "requests.py",
        "    if pen.coasting():\n",
        "    if False:\n",
        f"{WAITS}::test_a_wish_just_after_a_cut_only_needs_a_moment",
    ),
    # --- tasks and strokes -------------------------------------------------------------------------------------------
    one(
        "the time is corrected while a task is in hand",
        "requests.py",
        "    _idle(pen)\n    _at_rest(pen)\n    if pen.session",
        "    _at_rest(pen)\n    if pen.session",
        _IN_HAND,
    ),
    one(
        "a fault is cleared while a task is in hand",
        "requests.py",
        "    _idle(pen)\n    if pen.must_seal:\n",
        "    if pen.must_seal:\n",
        _IN_HAND,
    ),
    one(
        "another zone is entered over the stroke in progress",
        "tasks.py",
        "    yield from _settle(pen)\n    yield from _plan(pen, zone)\n    pen.fire(session.SELECT)\n",
        "    yield from _plan(pen, zone)\n    pen.fire(session.SELECT)\n",
        f"{WAITS}::test_another_zone_waits_for_the_stroke_in_progress",
    ),
    one(
        "a session is sealed over a block that is not settled",
        "tasks.py",
        "    yield from _settle(pen)\n    yield from _seal(pen, reason)\n",
        "    yield from _seal(pen, reason)\n",
        f"{WAITS}::test_a_block_that_could_not_be_settled_is_settled_before_the_seal",
    ),
    one(
        "a fault is logged before its strokes",
        "tasks.py",
        "            entries.append(settlement)\n",
        "            pass\n",
        f"{WAITS}::test_a_cut_right_after_a_fault_is_logged_forfeits_no_stroke_more",
    ),
    one(
        "a spent session seals itself after its host has gone",
        "tasks.py",
        "pen.state == wire.PAUSED and work.first_unspent()",
        "work.first_unspent()",
        f"{WAITS}::test_a_spent_session_that_lapsed_before_it_was_settled_is_left_to_its_host",
    ),
    one(
        "a finished session is sealed with the driver on",
        "requests.py",
        "    pen.cut()\n    if work.opened:\n",
        "    if work.opened:\n",
        f"{WAITS}::test_a_state_that_is_left_is_left_with_the_driver_off",
    ),
    one(
        "a trigger is looked at once a turn",
        "runner.py",
        "switches and self.ports.inputs.read() & signals.TRIGGER:",
        "switches:",
        f"{WAITS}::test_nothing_is_credited_to_a_trigger_that_is_let_go_in_the_very_turn",
    ),
    one(
        "contact noise takes a release with it",
        "consent.py",
        "            if not level and ms_since(now_ms, self._since_ms) >= _SETTLE_MS:\n",
        "            if not level:\n",
        f"{WAITS}::test_a_press_as_long_as_one_that_counts_takes_its_release_with_it",
    ),
    # --- stop and holder ---------------------------------------------------------------------------------------------
    one(
        "a stop tapped in a write stops for ever",
        "runner.py",
        "        self._stopped = False\n        motion",
        "        motion",
        f"{WAITS}::test_a_stop_that_was_tapped_in_a_write_stops_once",
    ),
    one(
        "a pressed stop button keeps its fault from being written",
        "runner.py",
        "self._stopped) and self.state != wire.FAULT:",
        "self._stopped):",
        f"{WAITS}::test_a_stop_button_that_stays_pressed_keeps_nothing_from_being_written",
    ),
    one(
        "an arming goes on with the holder open",
        "runner.py",
        "        at_stake = opened or (work is not None and session.is_in(self.state, session.DRIVEN))\n",
        "        at_stake = opened\n",
        f"{WAITS}::test_a_cartridge_opened_before_the_first_stroke_ends_the_arming_alone",
    ),
    one(
        "a pen that was never provisioned has a session to lose",
        "runner.py",
        "else not self.sound and self.provision is not None\n",
        "else not self.sound\n",
        f"{WAITS}::test_a_pen_that_was_never_provisioned_has_no_session_to_lose",
    ),
    one(
        "a holder that moved unseen is looked at when it pleases",
        "consent.py",
        "        if self._level is None:\n            return 1\n",
        "",
        f"{WAITS}::test_a_holder_that_moved_unseen_is_looked_at_again_at_once",
    ),
    one(
        "a profile is taken with the holder open",
        "requests.py",
        "    check_cartridge_seated(pen)\n    if not pen.cartridge.changed:\n",
        "    if not pen.cartridge.changed:\n",
        _SEATED,
    ),
    one(
        "a holder that opens is closed until it has settled",
        "requests.py",
        "    if not pen.cartridge.closed or not pen.inputs & signals.CARTRIDGE:\n",
        "    if not pen.cartridge.closed:\n",
        _SEATED,
    ),
    # --- what is told ------------------------------------------------------------------------------------------------
    one(
        "hello does not say what a cartridge may make",
        "requests.py",
        '        result["cartridge_strokes"] = bounds.cartridge_strokes\n',
        "",
        _HELLO,
    ),
    one(
        "hello does not say how long a course must wait",
        "requests.py",
        '        result["interval_days"] = bounds.interval_days\n',
        "",
        _HELLO,
    ),
    one(
        "status says nothing of an interruption",
        "requests.py",
        'work.resumed else 0,\n        "zone"',
        'False else 0,\n        "zone"',
        _INTERRUPTED,
    ),
    one(
        "a record is listed before its session is sealed",
        "requests.py",
        "range(first, ledger.last_session + 1)",
        "range(first, ledger.last_session + 2)",
        _NOT_SEALED,
    ),
    one(
        "a record is acknowledged before its session is sealed",
        "requests.py",
        "    if wanted != ledger.acked + 1 or wanted > ledger.last_session:\n",
        "    if wanted != ledger.acked + 1:\n",
        _NOT_SEALED,
    ),
    one(
        "no time is corrected in an interrupted session",
        "requests.py",
        "    if pen.session is not None and not pen.session.opened:\n        # Its time",
        "    if pen.session is not None:\n        # Its time",
        f"{WAITS}::test_a_correction_is_taken_in_an_interrupted_session",
    ),
    one("a record names no profile", "tasks.py", "    made.profile_digest = source.digest\n", "", _RECORD),
    one(
        "a record forgets its session's budget", "tasks.py", "    made.session_strokes = source.strokes\n", "", _RECORD
    ),
    one(
        "a record forgets how many faults it has no room for",
        "tasks.py",
        "    made.more_faults = account.more_interruptions\n",
        "",
        f"{TOLD}::test_a_record_says_how_many_faults_it_has_no_room_for_and_no_age_below_zero",
    ),
    one(
        "one stroke has no depth",
        "tasks.py",
        "        used = account.counted(index) > 0\n",
        "        used = account.counted(index) > 1\n",
        f"{TOLD}::test_one_stroke_is_as_deep_as_many",
    ),
    one(
        "a session at the end of time has no record",
        "tasks.py",
        "min(0xFFFFFFFF, source.issued_at + pen.elapsed_s())",
        "source.issued_at + pen.elapsed_s()",
        f"{TOLD}::test_a_session_at_the_end_of_time_ends_with_it",
    ),
    one(
        "the time of a session goes on in the next",
        "tasks.py",
        "        pen.opened_session()\n",
        "",
        f"{TOLD}::test_the_time_of_a_session_begins_with_its_first_stroke",
    ),
    one(
        "an empty provisioning is told as missing",
        "tasks.py",
        "    if size < 0:\n        raise Fault(faults.PROVISION_MISSING)\n",
        "    if size <= 0:\n        raise Fault(faults.PROVISION_MISSING)\n",
        f"{TOLD}::test_an_empty_provisioning_is_a_damaged_one",
    ),
    one(
        "telemetry keeps what it told of the session before",
        "runner.py",
        "            values[index] = 0\n",
        "            pass\n",
        f"{TOLD}::test_telemetry_of_another_session_s_homing_tells_nothing_of_the_one_before",
    ),
    one(
        "telemetry tells the looser limit",
        "session.py",
        "values[3] = min(",
        "values[3] = max(",
        f"{TOLD}::test_the_limit_that_telemetry_tells_is_the_tighter_one",
    ),
    one(
        "the strokes of the other zones are forgotten",
        "session.py",
        "        self._others.set(others)\n",
        "",
        _WHOLE_SESSION,
    ),
    one(
        "what is left is reckoned with what may have flipped",
        "session.py",
        "        if zone == self.zone:\n            least",
        "        if False:\n            least",
        f"{TOLD}::test_what_a_zone_may_still_have_is_not_read_from_what_may_have_flipped",
    ),
)
