"""Bugs to plant in what a host asks for and what the pen then does; a part of the table. Host only."""

from tests.mutants.mutant import Mutant, one

CORE_GUARDS = "tests/unit/test_core_guards.py"
IN_JOURNAL_CARE = "tests/scenarios/test_journal_care.py"
IN_MEMORY = "tests/scenarios/test_memory.py"
IN_RAM_LIMITS = "tests/scenarios/test_ram_limits.py"
IN_STOP_ORDER = "tests/scenarios/test_stop_order.py"
IN_TELEMETRY = "tests/scenarios/test_telemetry.py"
IN_WRONG_SIGNATURES = "tests/scenarios/test_wrong_signatures.py"
REQUESTS = "tests/unit/test_requests.py"
RUNNER = "tests/unit/test_runner.py"
RUNNER_FAULTS = "tests/unit/test_runner_faults.py"
SAFETY_BOUNDS = "tests/unit/test_safety_bounds.py"
SAFETY_CODES = "tests/unit/test_safety_codes.py"
SECOND_LOOKS = "tests/unit/test_second_looks.py"

WISHES: tuple[Mutant, ...] = (
    one(
        "a flipped geometry is armed with",
        "tasks.py",
        "    renew(pen)\n    work, motion, _ = _parts(pen)\n    motion.home",
        "    work, motion, _ = _parts(pen)\n    motion.home",
        f"{IN_RAM_LIMITS}::test_a_flipped_margin_of_home_moves_no_needle_deeper",
    ),
    one(
        "a zone is planned with the bounds in memory",
        "tasks.py",
        "    bounds = read_provision(pen.ports.store).bounds\n",
        "    bounds = _parts(pen)[2].bounds\n",
        f"{SECOND_LOOKS}::test_a_zone_is_planned_with_the_geometry_that_flash_has",
    ),
    one(
        "a zone is entered with the profile in memory",
        "tasks.py",
        "    work.enter(zone, limit_steps, checked, bounds.cartridge_strokes)\n",
        "    work.enter(zone, limit_steps, work.profile, bounds.cartridge_strokes)\n",
        f"{IN_RAM_LIMITS}::test_a_flipped_budget_allows_no_stroke_more",
    ),
    one(
        "a provisioning that is damaged is told as missing",
        "tasks.py",
        "        raise Fault(faults.PROVISION_CORRUPT, size) from None\n",
        "        raise Fault(faults.PROVISION_MISSING, size) from None\n",
        f"{RUNNER_FAULTS}::test_a_provision_of_nonsense_that_its_crc_approves_is_a_fault_and_no_crash",
    ),
    one(
        "a block is settled while a stroke is on its way",
        "tasks.py",
        "    while motion.queued:\n        yield\n    entry",
        "    entry",
        f"{RUNNER}::test_trouble_at_every_flash_write_of_a_session",
    ),
    one(
        "arming does not wait for home",
        "tasks.py",
        "    while not motion.homed(pen.now_ms):\n        yield\n",
        "",
        f"{RUNNER_FAULTS}::test_a_carriage_that_is_not_home_does_not_keep_the_driver_on",
    ),
    one(
        "the guard's limit is the session's",
        "tasks.py",
        "    limit_steps = bounds.geometry.stroke_steps(limit_um)\n",
        "    limit_steps = bounds.geometry.stroke_steps(checked.depth_um)\n",
        f"{RUNNER_FAULTS}::test_bounds_that_are_tighter_in_flash_than_when_the_profile_was_taken_make_no_zone_ready",
    ),
    one(
        "the last record is not compared with its seal",
        "tasks.py",
        "    if not data or crc32(data) != ledger.seal_crc:\n",
        "    if not data:\n",
        f"{RUNNER_FAULTS}::test_a_spoilt_last_record_breaks_no_chain_silently",
    ),
    one(
        "another profile in flash is taken for the interrupted one",
        "tasks.py",
        "    if crc32(data) != account.profile_crc or not data:\n",
        "    if not data:\n",
        f"{SECOND_LOOKS}::test_an_interrupted_session_goes_on_with_its_own_profile_alone",
    ),
    one(
        "the wait for home has no end",
        "tasks.py",
        "        if ms_since(pen.now_ms, since_ms) > _REST_MS:\n            raise Fault(faults.HOME_LOST)\n",
        "",
        f"{SAFETY_BOUNDS}::test_a_task_waits_two_seconds_for_home",
    ),
    one(
        "a fault is logged without its strokes",
        "tasks.py",
        "        if settlement is not None:\n            entries.append(settlement)\n",
        "        if settlement is None:\n            return\n",
        f"{RUNNER_FAULTS}::test_a_seal_that_cannot_be_written_is_a_fault_and_can_be_done_again",
    ),
    one(
        "a journal that a failed write left behind is not read anew",
        "tasks.py",
        "    if pen.ledger.stale:\n        pen.ledger.replay()\n        work",
        "    if False:\n        pen.ledger.replay()\n        work",
        f"{CORE_GUARDS}::test_an_entry_that_cannot_follow_is_a_fault_and_the_journal_is_read_anew",
    ),
    one(
        "a session is sealed with strokes in the air",
        "tasks.py",
        "        if account.reserved[index] != account.counted(index):\n"
        "            raise Fault(faults.INTERNAL, index)\n",
        "",
        f"{CORE_GUARDS}::test_no_record_is_made_with_strokes_in_the_air",
    ),
    one(
        "a visit without a stroke takes its course's place",
        "tasks.py",
        "    if sealed.counted():\n",
        "    if True:\n",
        f"{RUNNER}::test_a_visit_without_a_stroke_takes_nothing_from_its_course",
    ),
    one(
        "the course is not remembered",
        "tasks.py",
        "        pen.write(lambda: pen.memory.remember_course("
        "work.profile, work.session, work.profile.issued_at, deepest_um))\n",
        "",
        f"{IN_MEMORY}::test_two_sessions_of_a_course_keep_their_distance",
    ),
    one(
        "courses are compacted before the journal hears of it",
        "tasks.py",
        "    yield from _append(pen, [Entry(COURSE, aux=len(payloads))])\n"
        "    yield\n"
        "    yield from _rest(pen)\n"
        "    pen.write(lambda: pen.memory.keep_courses(payloads))\n",
        "    pen.write(lambda: pen.memory.keep_courses(payloads))\n"
        "    yield\n"
        "    yield from _append(pen, [Entry(COURSE, aux=len(payloads))])\n",
        f"{RUNNER_FAULTS}::test_a_cut_at_every_write_of_a_seal_that_compacts_the_courses",
    ),
    one(
        "a record leaves before it is acknowledged",
        "tasks.py",
        "    return max(1, min(ledger.acked + 1, ledger.last_session))\n",
        "    return max(1, ledger.last_session)\n",
        f"{IN_JOURNAL_CARE}::test_acknowledged_records_leave_however_the_power_goes_meanwhile",
    ),
    one(
        "a full flash is told as one that failed",
        "tasks.py",
        "    return faults.STORE_FULL if error.args",
        "    return faults.STORE_FAILED if error.args",
        f"{SAFETY_CODES}::test_an_error_of_the_store_is_told_by_its_kind",
    ),
    one(
        "the first stroke is credited with no limit of strokes",
        "tasks.py",
        "    motion.allow(work.outstanding(), pen.now_ms)\n",
        "    motion.allow(0xFFFF, pen.now_ms)\n",
        f"{SECOND_LOOKS}::test_the_count_guard_is_given_each_block_and_no_stroke_more",
    ),
    one(
        "a spent session is not sealed by itself",
        "tasks.py",
        " and work.first_unspent() == NO_ZONE:",
        " and False:",
        f"{IN_TELEMETRY}::test_the_last_word_before_a_session_is_sealed_has_all_of_its_strokes",
    ),
    one(
        "a stop behind a clear is not waited for",
        "requests.py",
        "    if pen.talk.stop_behind():\n",
        "    if False:\n",
        f"{IN_STOP_ORDER}::test_a_clear_and_an_arming_before_a_stop_switch_nothing_on",
    ),
    one(
        "a fault is cleared before the opened session is sealed",
        "requests.py",
        "    if pen.must_seal:\n        raise Refusal(faults.BUSY",
        "    if False:\n        raise Refusal(faults.BUSY",
        f"{CORE_GUARDS}::test_a_flipped_latch_of_an_opened_cartridge_is_cleared_by_nothing",
    ),
    one(
        "a clear reads nothing anew",
        "requests.py",
        "    if not pen.sound:\n        pen.recall()\n",
        "    pen.sound = True\n",
        f"{RUNNER_FAULTS}::test_a_vanished_file_is_a_fault_and_nothing_is_made_anew",
    ),
    one(
        "a clear is not written down",
        "requests.py",
        "        pen.append([Entry(INTERRUPT, 0, aux=pen.fault_code, flags=FLAG_CLEARED)])\n",
        "        pass\n",
        f"{RUNNER}::test_a_fault_is_left_by_a_clear_and_a_new_homing_only",
    ),
    one(
        "an open holder does not keep from arming",
        "requests.py",
        "    check_cartridge_seated(pen)\n    if not work.opened",
        "    if not work.opened",
        f"{RUNNER}::test_a_cartridge_opened_before_arming_only_has_to_be_closed_again",
    ),
    one(
        "a cartridge that was not changed is armed with",
        "requests.py",
        "    if not work.opened and not pen.cartridge.changed:\n",
        "    if False:\n",
        f"{SECOND_LOOKS}::test_a_cartridge_whose_change_was_forgotten_is_not_armed_with",
    ),
    one(
        "a profile is not looked at again for a pen that is provisioned anew",
        "requests.py",
        "        for problem in profile.problems(work.profile, _provision(pen).bounds):\n            raise problem\n",
        "        pass\n",
        f"{SECOND_LOOKS}::test_a_pen_that_is_provisioned_anew_refuses_what_it_no_longer_allows",
    ),
    one(
        "another pen's profile is taken",
        "requests.py",
        "    if loaded.serial != provision.serial:\n",
        "    if False:\n",
        f"{REQUESTS}::test_a_refused_profile_leaves_the_one_loaded_before",
    ),
    one(
        "a profile is taken against the bounds in memory",
        "requests.py",
        "    provision = tasks.renew(pen)\n    loaded",
        "    provision = _provision(pen)\n    loaded",
        f"{IN_RAM_LIMITS}::test_a_flipped_bound_of_the_cartridge_takes_no_bigger_profile",
    ),
    one(
        "a piece of a profile may come twice",
        "requests.py",
        '    if params["offset"] != len(transfer.data):\n',
        '    if params["offset"] > len(transfer.data):\n',
        f"{REQUESTS}::test_a_transfer_comes_in_order_and_whole",
    ),
    one(
        "a piece may go past the announced size",
        "requests.py",
        '    if len(transfer.data) + len(params["data"]) > transfer.size:\n',
        "    if False:\n",
        f"{REQUESTS}::test_a_transfer_comes_in_order_and_whole",
    ),
    one(
        "a profile is taken before all of it has come",
        "requests.py",
        "    if len(data) != transfer.size:\n",
        "    if len(data) > transfer.size:\n",
        f"{REQUESTS}::test_a_transfer_comes_in_order_and_whole",
    ),
    one(
        "the announced digest is not compared",
        "requests.py",
        "    if to_hex(sha256(data)) != transfer.sha256:\n",
        "    if False:\n",
        f"{REQUESTS}::test_a_transfer_that_is_not_what_was_announced_is_refused",
    ),
    one(
        "the limits of a profile are not looked at",
        "requests.py",
        "    for problem in profile.problems(loaded, provision.bounds):\n        raise problem\n    _check_memory",
        "    _check_memory",
        f"{REQUESTS}::test_a_refused_profile_leaves_the_one_loaded_before",
    ),
    one(
        "the signature of a profile is not looked at",
        "requests.py",
        "    pen.denials.look(pen.now_ms, lambda: profile.check_signature(data, provision.key_id, provision.key))\n",
        "",
        f"{REQUESTS}::test_a_pen_with_a_key_takes_only_what_it_signed",
    ),
    one(
        "a clinic's key can be guessed at without end",
        "requests.py",
        "        if self._count >= _LOOKS:\n",
        "        if False:\n",
        f"{IN_WRONG_SIGNATURES}::test_after_five_each_wrong_one_doubles_the_wait_up_to_a_minute",
    ),
    one(
        "a right signature forgets the wrong ones",
        "requests.py",
        "                self._since_ms = now_ms\n            raise\n",
        "                self._since_ms = now_ms\n            raise\n        self._count = 0\n",
        f"{IN_WRONG_SIGNATURES}::test_old_profiles_rightly_signed_end_no_wait",
    ),
    one(
        "wrong signatures are forgotten as soon as the wait is over",
        "requests.py",
        "        if not 0 <= passed_ms < _FORGET_MS:\n",
        "        if not 0 <= passed_ms < _WAIT_MOST_MS:\n",
        f"{IN_WRONG_SIGNATURES}::test_ten_minutes_without_a_wrong_one_forget_all",
    ),
    one(
        "a wrong signature doubles no wait",
        "requests.py",
        "                self._count += 1\n",
        "                self._count = 1\n",
        f"{IN_WRONG_SIGNATURES}::test_after_five_each_wrong_one_doubles_the_wait_up_to_a_minute",
    ),
    one(
        "what comes during a wait prolongs it",
        "requests.py",
        "            if passed_ms < wait_ms:\n",
        "            if passed_ms < wait_ms:\n                self._since_ms = now_ms\n",
        f"{IN_WRONG_SIGNATURES}::test_after_five_each_wrong_one_doubles_the_wait_up_to_a_minute",
    ),
    one(
        "a wait grows to hours",
        "requests.py",
        "wait_ms = min(_WAIT_MS << min(self._count - _LOOKS, _DOUBLINGS), _WAIT_MOST_MS)",
        "wait_ms = _WAIT_MS << (self._count - _LOOKS)",
        f"{IN_WRONG_SIGNATURES}::test_after_five_each_wrong_one_doubles_the_wait_up_to_a_minute",
    ),
    one(
        "a wait over a wrap of the clock has no end",
        "requests.py",
        "        if not 0 <= passed_ms < _FORGET_MS:\n",
        "        if passed_ms >= _FORGET_MS:\n",
        f"{SECOND_LOOKS}::test_a_guesser_of_a_month_ago_is_looked_at",
    ),
    one(
        "an unsigned correction moves the time",
        "requests.py",
        '    if params["key_id"] != provision.key_id:\n',
        '    if params["key_id"] not in (0, provision.key_id):\n',
        f"{REQUESTS}::test_a_signed_correction_moves_the_time_and_is_logged",
    ),
    one(
        "a wrongly signed correction moves the time",
        "requests.py",
        '    if not equal(expected.encode(), params["hmac"].encode()):\n',
        "    if False:\n",
        f"{REQUESTS}::test_a_signed_correction_moves_the_time_and_is_logged",
    ),
    one(
        "the time may go back before the calibration",
        "requests.py",
        '    if params["time"] < provision.calibrated_at:\n',
        "    if False:\n",
        f"{REQUESTS}::test_a_signed_correction_moves_the_time_and_is_logged",
    ),
    one(
        "records are acknowledged in any order",
        "requests.py",
        "    if wanted != ledger.acked + 1 or wanted > ledger.last_session:\n",
        "    if wanted > ledger.last_session:\n",
        f"{IN_MEMORY}::test_records_are_acknowledged_in_order_and_by_what_they_say",
    ),
    one(
        "a session is sealed with a stroke on its way",
        "requests.py",
        "    if pen.motion is not None and pen.motion.queued:\n",
        "    if False:\n",
        f"{RUNNER_FAULTS}::test_finish_waits_for_the_stroke_in_progress",
    ),
    one(
        "a request is begun while a task is in hand",
        "requests.py",
        "    if pen.busy():\n",
        "    if False:\n",
        f"{SECOND_LOOKS}::test_a_wish_waits_for_the_task_in_hand",
    ),
    one(
        "the journal is told of a profile that flipped before the first press",
        "tasks.py",
        "        _decoded(pen, work)\n        entries",
        "        entries",
        f"{IN_RAM_LIMITS}::test_a_profile_that_flips_before_the_first_press_spoils_nothing",
    ),
    one(
        "another profile's bytes are planned",
        "tasks.py",
        "    if decoded.digest != work.profile.digest:\n        raise Fault(faults.MEMORY_CORRUPT, work.session)\n",
        "",
        f"{CORE_GUARDS}::test_another_profile_s_bytes_are_never_planned",
    ),
    one(
        "acknowledged records are kept for ever",
        "tasks.py",
        "    return max(1, min(ledger.acked + 1, ledger.last_session))\n",
        "    return 1\n",
        f"{IN_JOURNAL_CARE}::test_acknowledged_records_leave_however_the_power_goes_meanwhile",
    ),
)
