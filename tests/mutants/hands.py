"""Bugs to plant in motion, consent and the loop that joins them; a part of the table. Host only."""

from tests.mutants.mutant import Mutant, one

CONSENT = "tests/unit/test_consent.py"
CORE_GUARDS = "tests/unit/test_core_guards.py"
IN_CONSENT = "tests/scenarios/test_consent.py"
IN_CRASHES = "tests/scenarios/test_crashes.py"
IN_SINGLE_FAULTS = "tests/scenarios/test_single_faults.py"
IN_TELEMETRY = "tests/scenarios/test_telemetry.py"
MOTION = "tests/unit/test_motion.py"
PENDEVICE_PORTS = "tests/unit/test_pendevice_ports.py"
PEN_SCRIPTS = "tests/unit/test_pen_scripts.py"
RUNNER = "tests/unit/test_runner.py"
RUNNER_FAULTS = "tests/unit/test_runner_faults.py"
RUNNER_TURNS = "tests/unit/test_runner_turns.py"
SAFETY_BOUNDS = "tests/unit/test_safety_bounds.py"
TURN_ORDER = "tests/unit/test_turn_order.py"
UNSEEN_MOVES = "tests/unit/test_unseen_moves.py"

HANDS: tuple[Mutant, ...] = (
    one(
        "a stop line pressed during a write is forgotten",
        "runner.py",
        "(self.inputs & signals.STOP or self._stopped) and",
        "(self.inputs & signals.STOP) and",
        f"{IN_CONSENT}::test_a_stop_that_is_only_tapped_during_a_write_stops",
    ),
    one(
        "a trigger let go during a write is held",
        "runner.py",
        "            self.trigger.missed(self.now_ms)\n",
        "            pass\n",
        f"{IN_CONSENT}::test_a_press_that_waits_for_a_write_and_is_let_go_in_it_starts_nothing",
    ),
    one(
        "a cartridge opened during a write stayed in",
        "runner.py",
        "            self.cartridge.missed()\n",
        "            pass\n",
        f"{IN_CONSENT}::test_a_cartridge_that_is_changed_during_a_write_ends_the_session",
    ),
    one(
        "hands that moved before the write moved in it",
        "runner.py",
        "        inputs.moved()\n        act()\n",
        "        act()\n",
        f"{UNSEEN_MOVES}::test_what_moved_before_a_write_was_seen_and_moves_nothing_in_it",
    ),
    one(
        "strokes go on at once after a stop line pressed in a write",
        "runner.py",
        "self.cartridge.closed and not self._stopped",
        "self.cartridge.closed",
        f"{UNSEEN_MOVES}::test_nothing_is_credited_after_a_stop_button_in_the_very_turn_of_its_write",
    ),
    one(
        "strokes are credited to a trigger that is up",
        "runner.py",
        "switches and self.ports.inputs.read() & signals.TRIGGER:",
        "self.cartridge.closed and not self._stopped:",
        f"{IN_CONSENT}::test_let_go_while_strokes_are_reserved_nothing_starts",
    ),
    one(
        "a write asks nobody where the needle is",
        "runner.py",
        "        if not self.at_rest():\n            raise Fault(faults.FLASH_IN_MOTION)\n",
        "",
        f"{RUNNER_FAULTS}::test_no_flash_is_written_in_motion_whoever_asks",
    ),
    one(
        "a long write ends the lease",
        "runner.py",
        "        self.talk.heard_ms = ms_add(self.talk.heard_ms, spent_ms)\n",
        "",
        f"{RUNNER}::test_flash_time_is_not_the_host_s_fault",
    ),
    one(
        "a write's time is no time of the session",
        "runner.py",
        "            self._elapsed_ms += spent_ms\n",
        "            pass\n",
        f"{TURN_ORDER}::test_a_write_s_time_is_time_of_the_session",
    ),
    one(
        "a stop byte is looked for once a turn",
        "runner.py",
        "            self._drive()\n            self._look_ahead()\n",
        "            self._drive()\n",
        f"{RUNNER_TURNS}::test_a_stop_byte_that_comes_in_one_part_of_a_turn_is_seen_before_the_next",
    ),
    one(
        "what can't be trusted is written on",
        "runner.py",
        "            self.sound = False\n            self.unlogged = []\n        # The first",
        "            self.unlogged = []\n        # The first",
        f"{RUNNER_FAULTS}::test_a_flipped_bit_in_a_counter_is_a_fault_and_what_was_reserved_counts",
    ),
    one(
        "flipped counters are kept",
        "runner.py",
        "        if code == faults.MEMORY_CORRUPT:\n"
        "            # These counters lie; those in flash don't.\n"
        "            self.session = None\n",
        "",
        f"{RUNNER_FAULTS}::test_a_counter_that_is_found_flipped_while_reporting",
    ),
    one(
        "a stroke overdue is waited for",
        "runner.py",
        "            motion.check_progress(self.now_ms)\n",
        "",
        f"{TURN_ORDER}::test_a_stroke_that_never_ends_is_a_fault_after_its_period_and_a_quarter_of_a_second",
    ),
    one(
        "a driver that went off is not noticed",
        "runner.py",
        "            if not self.engine_bits & signals.ENABLED and self.state != wire.HOMING:\n",
        "            if False:\n",
        f"{RUNNER_FAULTS}::test_a_trip_is_a_fault_and_homing_anew_ends_it",
    ),
    one(
        "a guard's trip is not noticed",
        "runner.py",
        "            code = trip_code(self.engine_bits)\n            if code:\n                raise Fault(code)\n",
        "",
        f"{RUNNER_FAULTS}::test_a_trip_is_a_fault_and_homing_anew_ends_it",
    ),
    one(
        "a trigger held while homing arms",
        "runner.py",
        "            if self.trigger.down and self.inputs & signals.TRIGGER:\n",
        "            if False:\n",
        f"{RUNNER}::test_a_press_while_homing_ends_the_arming",
    ),
    one(
        "a latched fault is gone after a reset",
        "runner.py",
        "        if self.ledger.latched:\n            self._latch",
        "        if False:\n            self._latch",
        f"{RUNNER}::test_a_latched_fault_outlives_the_power",
    ),
    one(
        "a carriage coasts for 5 ms",
        "runner.py",
        "COAST_MS = const(50)",
        "COAST_MS = const(5)",
        f"{SAFETY_BOUNDS}::test_flash_rests_fifty_milliseconds_after_a_cut",
    ),
    one(
        "the lease lasts twenty seconds",
        "runner.py",
        "LEASE_MS = const(2000)",
        "LEASE_MS = const(20_000)",
        f"{RUNNER}::test_a_hello_keeps_no_lease",
    ),
    one(
        "evidence is taken before stops are looked at",
        "runner.py",
        "            self._watch_stops()\n            self._take_evidence()\n",
        "            self._take_evidence()\n            self._watch_stops()\n",
        f"{TURN_ORDER}::test_nothing_comes_before_a_stop",
    ),
    one(
        "a press starts while the last block is unsettled",
        "runner.py",
        " and not self.unsettled() and work.left",
        " and work.left",
        f"{IN_CONSENT}::test_a_press_that_waits_for_a_write_and_is_let_go_in_it_starts_nothing",
    ),
    one(
        "an opened cartridge does not seal after a clear",
        "runner.py",
        "        if self.sound and (first or code == faults.CARTRIDGE_OPENED):\n",
        "        if self.sound and first:\n",
        f"{TURN_ORDER}::test_a_cartridge_opened_in_fault_is_on_record_beside_what_came_before",
    ),
    one(
        "a release lets the queued stroke begin after the pause",
        "runner.py",
        "            if not self.trigger.down:\n                self.end_burst",
        "            if not self.trigger.down and not self.unsettled():\n                self.end_burst",
        f"{RUNNER}::test_a_burst_after_a_burst_needs_its_release",
    ),
    one(
        "a cleared pen keeps a profile that made no stroke",
        "runner.py",
        "            self.session = None\n            self.fire(session.CLEAR_SHUT)\n",
        "            self.fire(session.CLEAR_SHUT)\n",
        f"{TURN_ORDER}::test_a_profile_that_made_no_stroke_is_gone_after_a_fault",
    ),
    one(
        "a reset's forfeited strokes are not logged",
        "runner.py",
        "            self.recovery = session.recovery_entries(account, self._cut_code())\n",
        "            session.recovery_entries(account, self._cut_code())\n",
        f"{IN_CRASHES}::test_a_hung_cpu_leaves_at_most_two_strokes_and_is_reset",
    ),
    one(
        "a provisioned pen without a journal is new",
        "runner.py",
        "        if store.size(provision.FILE) < 0 and not self.ledger.exists():\n",
        "        if store.size(provision.FILE) < 0 or not self.ledger.exists():\n",
        f"{RUNNER_FAULTS}::test_a_vanished_file_is_a_fault_and_nothing_is_made_anew",
    ),
    one(
        "a stop in FAULT leaves the driver as it is",
        "runner.py",
        "            self.ports.engine.disarm()\n        else:\n            self.fail(code, 0)\n",
        "            pass\n        else:\n            self.fail(code, 0)\n",
        f"{TURN_ORDER}::test_a_stop_in_fault_switches_the_driver_off_once_more",
    ),
    one(
        "the host is not told what sealing begins with",
        "runner.py",
        "        if target == wire.SEALING:\n",
        "        if False:\n",
        f"{IN_TELEMETRY}::test_the_last_word_before_a_session_is_sealed_has_all_of_its_strokes",
    ),
    one(
        "evidence may come out of turn",
        "motion.py",
        " or evidence.index != self._next_index:",
        ":",
        f"{MOTION}::test_every_stroke_is_judged",
    ),
    one(
        "a stroke that lost steps is passed over",
        "motion.py",
        "        if evidence.net_steps:\n            raise Fault(faults.NET_STEPS, evidence.net_steps)\n",
        "",
        f"{MOTION}::test_every_stroke_is_judged",
    ),
    one(
        "home is not looked for where it must be",
        "motion.py",
        "        if not 0 <= evidence.found_step <= self._cap_steps:\n"
        "            raise Fault(faults.HOME_NOT_FOUND, evidence.found_step)\n",
        "",
        f"{MOTION}::test_homing_is_judged",
    ),
    one(
        "a sensor that never clears is home",
        "motion.py",
        "        if not margin <= evidence.clear_step <= self._backoff_steps:\n"
        "            raise Fault(faults.HOME_NOT_CLEARED, evidence.clear_step)\n",
        "",
        f"{IN_SINGLE_FAULTS}::test_homing_on_a_broken_pen_ends_in_a_fault_and_never_lets_the_needles_out",
    ),
    one(
        "a trip while homing is passed over",
        "motion.py",
        "        code = trip_code(self._engine.poll())\n        if code:\n            raise Fault(code)\n",
        "",
        f"{CORE_GUARDS}::test_a_trip_while_homing_comes_before_how_far_it_came",
    ),
    one(
        "a homing without end is waited for",
        "motion.py",
        "            if ms_since(now_ms, self._homing_since_ms) > longest_ms:\n"
        "                raise Fault(faults.HOME_NOT_FOUND, longest)\n",
        "",
        f"{MOTION}::test_a_homing_that_never_ends_is_a_fault",
    ),
    one(
        "a changed table is armed",
        "motion.py",
        "        if plan.steps > limit_steps or not plan.intact():\n"
        "            raise Fault(faults.TABLE_CORRUPT, plan.steps)\n",
        "        if plan.steps > limit_steps:\n            raise Fault(faults.TABLE_CORRUPT, plan.steps)\n",
        f"{MOTION}::test_a_table_deeper_than_its_limit_or_damaged_is_never_loaded",
    ),
    one(
        "a table deeper than its limit is armed",
        "motion.py",
        "        if plan.steps > limit_steps or not plan.intact():\n"
        "            raise Fault(faults.TABLE_CORRUPT, plan.steps)\n",
        "        if not plan.intact():\n            raise Fault(faults.TABLE_CORRUPT, plan.steps)\n",
        f"{MOTION}::test_a_table_deeper_than_its_limit_or_damaged_is_never_loaded",
    ),
    one(
        "a changed table is credited",
        "motion.py",
        "            if plan is None or plan.steps > limit_steps or not plan.intact():\n",
        "            if plan is None or plan.steps > limit_steps:\n",
        f"{RUNNER_FAULTS}::test_a_table_that_changed_in_memory_is_never_credited",
    ),
    one(
        "a limit that became less is credited past",
        "motion.py",
        "            if plan is None or plan.steps > limit_steps or not plan.intact():\n",
        "            if plan is None or not plan.intact():\n",
        f"{MOTION}::test_a_table_is_checked_before_each_credit",
    ),
    one(
        "three strokes are queued",
        "motion.py",
        "_QUEUE = const(2)",
        "_QUEUE = const(3)",
        f"{MOTION}::test_every_stroke_is_judged",
    ),
    one(
        "more is credited than is outstanding",
        "motion.py",
        "return self.queued < _QUEUE and self.queued < outstanding",
        "return self.queued < _QUEUE",
        f"{MOTION}::test_never_more_than_two_are_queued_nor_more_than_outstanding",
    ),
    one(
        "strokes may come ten times as fast",
        "motion.py",
        "        if elapsed_ms < least_ms:\n",
        "        if 10 * elapsed_ms < least_ms:\n",
        f"{MOTION}::test_strokes_faster_than_planned_are_a_fault",
    ),
    one(
        "a cut loses no stroke",
        "motion.py",
        "        lost = self.queued\n",
        "        lost = 0\n",
        f"{MOTION}::test_every_stroke_is_judged",
    ),
    one(
        "a stroke that is a fault is not among the lost ones",
        "motion.py",
        "        self._judge_stroke(evidence, now_ms)\n        self.queued -= 1\n",
        "        self.queued -= 1\n        self._judge_stroke(evidence, now_ms)\n",
        f"{MOTION}::test_a_stroke_nobody_credited_is_a_fault",
    ),
    one(
        "a cut leaves the engine live",
        "motion.py",
        "        self.plan = None\n        self.live = False\n        return lost\n",
        "        self.plan = None\n        return lost\n",
        f"{RUNNER_FAULTS}::test_a_trip_is_a_fault_and_homing_anew_ends_it",
    ),
    one(
        "a press counts at once",
        "consent.py",
        "_SETTLE_MS = const(10)",
        "_SETTLE_MS = const(0)",
        f"{CONSENT}::test_a_press_lasts_ten_milliseconds",
    ),
    one(
        "a release of 99 ms is enough",
        "consent.py",
        "RELEASE_MS = const(100)",
        "RELEASE_MS = const(99)",
        f"{CONSENT}::test_the_release_that_is_asked_for",
    ),
    one(
        "a release that nobody saw whole counts",
        "consent.py",
        "        self._released = False\n"
        "        self._since_ms = now_ms\n"
        "        self.down = False\n"
        "        self._missed = True\n",
        "        self._since_ms = now_ms\n        self.down = False\n        self._missed = True\n",
        f"{IN_CONSENT}::test_a_press_that_waits_for_a_write_and_is_let_go_in_it_starts_nothing",
    ),
    one(
        "a trigger that moved unseen is still down",
        "consent.py",
        "        self.down = False\n        self._missed = True\n",
        "        self._missed = True\n",
        f"{IN_CONSENT}::test_let_go_for_a_moment_while_strokes_are_reserved_nothing_goes_on",
    ),
    one(
        "the first look after a moment unseen makes a press",
        "consent.py",
        "            self._missed = False\n            self._level = level\n            return\n",
        "            self._missed = False\n            self._level = level\n",
        f"{IN_CONSENT}::test_let_go_for_a_moment_while_strokes_are_reserved_nothing_goes_on",
    ),
    one(
        "a press needs no release of its own",
        "consent.py",
        "                # A press that wasn't taken: the next one needs a release of its own.\n"
        "                self._released = False\n",
        "                pass\n",
        f"{IN_CONSENT}::test_a_press_that_was_not_taken_lends_its_release_to_no_other",
    ),
    one(
        "a press too early becomes one by lasting",
        "consent.py",
        "        elif not self._released:\n",
        "        elif False:\n",
        f"{CONSENT}::test_a_press_that_cannot_be_a_consent_counts_at_its_first_sample",
    ),
    one(
        "a disarmed trigger still wants",
        "consent.py",
        "        self._armed = False\n        self._released = False\n\n    def sample",
        "        self._released = False\n\n    def sample",
        f"{CONSENT}::test_nothing_is_a_consent_without_rearming",
    ),
    one(
        "the first level of the holder is a change",
        "consent.py",
        "            self._begun = True\n            self.closed = level\n",
        "            self._begun = True\n            self.closed = self.changed = level\n",
        f"{CONSENT}::test_a_cartridge_that_was_there_at_power_up_has_not_changed",
    ),
    one(
        "a holder that bounces is a change",
        "consent.py",
        "        if ms_since(now_ms, self._since_ms) < _SETTLE_MS:\n            return\n        if not level:\n",
        "        if not level:\n",
        f"{IN_CONSENT}::test_a_cartridge_that_is_changed_during_a_write_ends_the_session",
    ),
    one(
        "a holder opened unseen stayed closed",
        "consent.py",
        "        self._level = None\n        self.closed = self.changed = False\n",
        "        self._level = None\n        self.changed = False\n",
        f"{IN_CONSENT}::test_a_cartridge_that_is_changed_during_a_write_ends_the_session",
    ),
    one(
        "a holder that moved unseen is a change",
        "consent.py",
        "            self.changed = self._opened\n",
        "            self.changed = True\n",
        f"{UNSEEN_MOVES}::test_a_holder_that_was_open_unseen_closes_anew",
    ),
    one(
        "a stop button between two looks is told as the guard's",
        "runner.py",
        "        self.engine_bits = self.ports.engine.poll()\n        self.inputs = self.ports.inputs.read()\n",
        "        self.inputs = self.ports.inputs.read()\n        self.engine_bits = self.ports.engine.poll()\n",
        "tests/unit/test_runner_turns.py::test_a_stop_button_pressed_between_two_looks_is_told_as_the_button",
    ),
    one(
        "a stop tapped in the first of two writes is forgotten",
        "runner.py",
        "self._stopped = self._stopped or moved",
        "self._stopped = moved",
        f"{UNSEEN_MOVES}::test_a_stop_button_pressed_and_let_go_in_a_write_stops",
    ),
    one(
        "a press that is let go in the same moment is wanted",
        "consent.py",
        "and self._released and self.down and self._level\n",
        "and self._released and self.down\n",
        f"{UNSEEN_MOVES}::test_a_press_that_is_taken_back_before_it_counts_is_none",
    ),
    one(
        "an open service button is held",
        "../pen/boot.py",
        "        if pin.value():\n            return False\n",
        "        pass\n",
        f"{PEN_SCRIPTS}::test_no_flipped_bit_of_boot_switches_the_driver_on_or_makes_an_edge",
    ),
    one(
        "the driver is not switched off at a reset",
        "../pen/boot.py",
        "    machine.Pin(ENABLE, machine.Pin.OUT, value=True)\n",
        "    machine.Pin(ENABLE, machine.Pin.OUT, value=False)\n",
        f"{PEN_SCRIPTS}::test_boot_has_the_board_s_pins_and_sets_them_before_anything_else",
    ),
    one(
        "what lies on flash stands in for MicroPython's modules",
        "../pen/boot.py",
        'sys.path[:] = [".frozen"]\n',
        "",
        f"{PEN_SCRIPTS}::test_files_that_do_not_fit_the_manifest_are_never_run",
    ),
    one(
        "an edge in a write is not kept",
        "../pendevice/inputs.py",
        "_BOTH = const(0x0C)",
        "_BOTH = const(0x00)",
        f"{PENDEVICE_PORTS}::test_what_moved_for_a_moment_is_in_the_chip_s_memory_of_edges",
    ),
    one(
        "an edge is told for ever",
        "../pendevice/inputs.py",
        "        self._words[at] = both\n",
        "",
        f"{PENDEVICE_PORTS}::test_what_moved_for_a_moment_is_in_the_chip_s_memory_of_edges",
    ),
)
