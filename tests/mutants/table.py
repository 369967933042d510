"""Bugs to plant, each with the test that has to find it. Host only; `python -m tests.mutants` plants them one by one.

Each is a mistake somebody could make, in one place of `pencore`. The texts are compared with the sources by a test, so
that this table can't fall behind the code.
"""

from tests.mutants.books import BOOKS
from tests.mutants.bounds import BOUNDS
from tests.mutants.hands import HANDS
from tests.mutants.mutant import Mutant, one
from tests.mutants.patience import PATIENCE
from tests.mutants.pio import PIO
from tests.mutants.upkeep import UPKEEP
from tests.mutants.wishes import WISHES
from tests.mutants.words import WORDS

CUTS = "tests/scenarios/test_power_cuts.py"
REPLAY = "tests/scenarios/test_replay.py"
CONSENT = "tests/scenarios/test_consent.py"
FAULTS = "tests/scenarios/test_single_faults.py"
CRASHES = "tests/scenarios/test_crashes.py"
CLOCK = "tests/scenarios/test_clock_wrap.py"
FLASH = "tests/scenarios/test_flash_faults.py"
MEMORY = "tests/scenarios/test_memory.py"
RAM = "tests/scenarios/test_ram_bits.py"
DEPTH = "tests/property/test_depth.py"
WHOLE = "tests/property/test_profiles_refused_whole.py"
LINES = "tests/property/test_hostile_lines.py"

_EVERY_CUT = f"{CUTS}::test_a_cut_at_every_flash_operation_of_a_short_session"
_PAST_CUT = f"{CUTS}::test_a_cut_at_every_flash_operation_of_a_pen_with_a_past"
_ANY_TIME = f"{CUTS}::test_a_cut_at_any_time_even_in_a_stroke"
_IN_A_STROKE = f"{FAULTS}::test_a_fault_in_a_stroke_ends_safe_latched_and_logged"
_EXACT_DEPTH = f"{DEPTH}::test_every_accepted_profile_is_played_to_its_depth_and_no_deeper"
_TOLD = f"{MEMORY}::test_the_record_says_what_the_needle_did"
_EDGES = f"{WHOLE}::test_each_value_out_of_range_is_refused_whole"
_COMPACTED = f"{MEMORY}::test_a_compaction_keeps_what_the_pen_knows_of_before"


MUTANTS: tuple[Mutant, ...] = (
    # --- counting ----------------------------------------------------------------------------------------------------
    Mutant(
        "two strokes are credited before their reservation is written",
        "tasks.py",
        (
            (
                "    if work.opened:\n        yield from _append(pen, [work.reserve_entry(pen.elapsed_s())])\n",
                "    if work.opened:\n"
                "        entry = work.reserve_entry(pen.elapsed_s())\n"
                "        work._outstanding.set(2)\n"
                "        motion.allow(2, pen.now_ms)\n"
                "        motion.credit(2, work.limit_steps())\n"
                "        while motion.queued:\n"
                "            yield\n"
                "        yield from _append(pen, [entry])\n",
            ),
        ),
        _EVERY_CUT,
    ),
    Mutant(
        "the session id is consumed without its first block",
        "session.py",
        (
            ("        return [opening, self.reserve_entry(0)]\n", "        return [opening]\n"),
            (
                "        reserved = account.reserved[self.zone] - account.counted(self.zone)\n",
                "        reserved = self.block()\n",
            ),
        ),
        _ANY_TIME,
    ),
    one(
        "one stroke more is credited than was reserved",
        "session.py",
        "        self._outstanding.set(reserved)\n",
        "        self._outstanding.set(reserved + 1)\n",
        _TOLD,
    ),
    Mutant(
        "recovery forfeits nothing",
        "session.py",
        (
            (
                "            account.forfeited[zone] += outstanding\n",
                "            account.reserved[zone] -= outstanding\n",
            ),
        ),
        _ANY_TIME,
    ),
    one(
        "the rest of the budget is one too many",
        "session.py",
        "        return min(self.profile.zones[zone].strokes, min(",
        "        return min(self.profile.zones[zone].strokes + 1, min(",
        _TOLD,
    ),
    one(
        "a stroke that a fault cut is not counted",
        "runner.py",
        "self.session.forfeit(lost)\n",
        "self.session.forfeit(0)\n",
        _IN_A_STROKE,
    ),
    one(
        "a release leaves the queued stroke where it is",
        "runner.py",
        '        """Withdraw the stroke that hasn\'t begun and leave RUNNING; the one in progress is finished."""\n'
        "        if self.motion is not None:\n            self.motion.withdraw()\n",
        '        """Withdraw the stroke that hasn\'t begun and leave RUNNING; the one in progress is finished."""\n',
        f"{CONSENT}::test_a_release_that_is_too_short_starts_nothing",
    ),
    one(
        "the confirmed strokes are told as one less",
        "session.py",
        "        return Entry(CONFIRM, self.session, zone, made + forfeited, made, forfeited, elapsed_s)\n",
        "        less = max(self.account.made[zone], made - 1)\n"
        "        return Entry(CONFIRM, self.session, zone, less + forfeited, less, forfeited, elapsed_s)\n",
        _TOLD,
    ),
    # --- the journal -------------------------------------------------------------------------------------------------
    one(
        "an append is not read back",
        "ledger.py",
        "        good = self._store.read(FILE, self.size, len(data) + 1) == data\n",
        "        good = True\n",
        f"{FLASH}::test_a_file_system_that_forgets_a_write_is_found_by_reading_back",
    ),
    one(
        "a rename is not read back",
        "ledger.py",
        "    if store.size(name) < 0 or store.read(name, 0, len(data) + 1) != data:\n",
        "    if False:\n",
        f"{FLASH}::test_a_file_system_that_forgets_a_write_is_found_by_reading_back",
    ),
    one(
        "the witness is not asked",
        "ledger.py",
        "        if self.seq < witnessed:\n",
        "        if False:\n",
        f"{FLASH}::test_a_flipped_bit_anywhere_is_survived_or_told",
    ),
    one(
        "the witness is written with the provisioning and never again",
        "ledger.py",
        '        """Write down, in other blocks than the journal\'s, how far it has come."""\n',
        '        """Write down, in other blocks than the journal\'s, how far it has come."""\n        return\n',
        f"{FLASH}::test_a_flipped_bit_anywhere_is_survived_or_told",
    ),
    one(
        "a missing journal is begun anew",
        "ledger.py",
        "            raise Fault(faults.LEDGER_MISSING)\n",
        "            create(self._store)\n            return\n",
        f"{FLASH}::test_a_file_that_is_gone_is_a_fault_and_stays_gone",
    ),
    one(
        "compaction forgets the strokes made",
        "ledger.py",
        "                            session.made[zone],\n",
        "                            0,\n",
        f"{MEMORY}::test_a_journal_that_is_compacted_in_a_session_keeps_every_count",
    ),
    one(
        "compaction forgets the time floor",
        "ledger.py",
        "                self.cartridges,\n                self.time_floor_s,\n",
        "                self.cartridges,\n                0,\n",
        f"{MEMORY}::test_a_compaction_between_sessions_keeps_the_time",
    ),
    one(
        "compaction forgets the open session's faults",
        "ledger.py",
        "            for zone, code, elapsed_s in session.interruptions:\n",
        "            for zone, code, elapsed_s in ():\n",
        _COMPACTED,
    ),
    one(
        "compaction forgets a latched fault",
        "ledger.py",
        "        if self.latched:\n            entries.append",
        "        if False:\n            entries.append",
        f"{MEMORY}::test_a_compaction_keeps_a_latched_fault",
    ),
    one(
        "a fault is logged but not latched",
        "tasks.py",
        "elapsed_s(), aux=code, flags=FLAG_LATCHED))\n",
        "elapsed_s(), aux=code))\n",
        f"{FAULTS}::test_a_latched_fault_outlives_a_power_cut",
    ),
    # --- records -----------------------------------------------------------------------------------------------------
    Mutant(
        "the session is sealed before its record is written",
        "tasks.py",
        (
            (
                "    pen.write(lambda: write_new(store, record_name(work.session), data))\n    yield\n"
                "    yield from _rest(pen)\n    if sealed.counted",
                "    if sealed.counted",
            ),
            (
                "    yield from _append(pen, entries)\n    pen.sealed(sealed.digest)\n",
                "    yield from _append(pen, entries)\n    yield\n    yield from _rest(pen)\n"
                "    pen.write(lambda: write_new(store, record_name(work.session), data))\n"
                "    pen.sealed(sealed.digest)\n",
            ),
        ),
        _EVERY_CUT,
    ),
    one(
        "a pen full of records takes one session more",
        "tasks.py",
        "    if unacknowledged >= RECORDS_MAX:\n",
        "    if unacknowledged > RECORDS_MAX:\n",
        f"{MEMORY}::test_a_pen_full_of_records_takes_no_new_session_and_forgets_none",
    ),
    one(
        "a record is acknowledged by its number alone",
        "requests.py",
        '    if params["sha256"] != to_hex(data[-DIGEST_SIZE:]):\n',
        "    if not data:\n",
        f"{MEMORY}::test_records_are_acknowledged_in_order_and_by_what_they_say",
    ),
    one(
        "a record does not carry its predecessor's digest",
        "tasks.py",
        "    made.previous = pen.head\n",
        "",
        f"{MEMORY}::test_the_chain_is_unbroken_and_a_changed_record_is_found",
    ),
    # --- depth -------------------------------------------------------------------------------------------------------
    one(
        "steps are rounded to the nearest",
        "units.py",
        "        return distance_um * self.steps_per_turn // self.lead_um\n",
        "        return (distance_um * self.steps_per_turn + self.lead_um // 2) // self.lead_um\n",
        _TOLD,
    ),
    one(
        "steps are rounded up",
        "units.py",
        "        return distance_um * self.steps_per_turn // self.lead_um\n",
        "        return -(-distance_um * self.steps_per_turn // self.lead_um)\n",
        _TOLD,
    ),
    one(
        "the zone's cap is not looked at",
        "profile.py",
        "        (faults.DEPTH_ABOVE_ZONE_CAP, bounds.zone_cap_um(zone.area)),\n",
        "",
        f"{DEPTH}::test_a_pen_is_refused_more_than_its_own_bounds",
    ),
    Mutant(
        "the calibration is not looked at",
        "profile.py",
        (
            (
                "        (faults.DEPTH_ABOVE_CALIBRATION, bounds.calibration_um),\n"
                "        (faults.DEPTH_ABOVE_ZONE_CAP",
                "        (faults.DEPTH_ABOVE_ZONE_CAP",
            ),
            ("        (faults.DEPTH_ABOVE_CALIBRATION, bounds.calibration_um),\n    ):\n", "    ):\n"),
        ),
        f"{DEPTH}::test_a_pen_is_refused_more_than_its_own_bounds",
    ),
    one(
        "a depth may pass its limit by one um",
        "profile.py",
        "    for code, high in ladder:\n        if depth_um > high:\n",
        "    for code, high in ladder:\n        if depth_um > high + 1:\n",
        _EDGES,
    ),
    one(
        "a rate may pass its limit by one",
        "profile.py",
        "        if zone.rate_per_s > highest:\n",
        "        if zone.rate_per_s > highest + 1:\n",
        _EDGES,
    ),
    one(
        "the depth guard is loaded a millimetre too deep",
        "motion.py",
        "        self._engine.arm(limit_steps, 0)\n",
        "        self._engine.arm(limit_steps + 400, 0)\n",
        _IN_A_STROKE,
    ),
    one(
        "the sensor's edges are not judged",
        "motion.py",
        "        if not -self._window_steps <= error_steps <= self._window_steps:\n",
        "        if False:\n",
        _IN_A_STROKE,
    ),
    one(
        "a stroke that did not leave home is not judged",
        "motion.py",
        "        if evidence.clear_step < 0:\n            raise Fault(faults.HOME_NOT_CLEARED, evidence.index)\n"
        "        if evidence.return_step < 0:\n            raise Fault(faults.HOME_LOST, evidence.index)\n",
        "        if evidence.clear_step < 0 or evidence.return_step < 0:\n"
        "            self._judge_rate(plan, now_ms)\n            return\n",
        _IN_A_STROKE,
    ),
    one(
        "homing asks the motor for more than it was made for",
        "motion.py",
        "limits.cruise_ticks(geometry), limits.ramp_ticks(1, geometry))\n",
        "limits.cruise_ticks(geometry))\n",
        f"{DEPTH}::test_homing_leaves_every_pen_where_the_depth_is_counted_from",
    ),
    one(
        "a flipped counter is believed",
        "session.py",
        "        if self._value != ~self._inverse:\n",
        "        if False:\n",
        f"{RAM}::test_a_flipped_counter_or_limit_ends_the_burst",
    ),
    one(
        "a flipped table is credited",
        "planner.py",
        "        return self._stage == _READY and crc32(self.table, self._begin) == self.crc\n",
        "        return self._stage == _READY\n",
        f"{RAM}::test_a_flipped_table_is_credited_no_more",
    ),
    one(
        "a zone is planned without its profile's digest",
        "profile.py",
        "    if data[body_size : body_size + DIGEST_SIZE] != digest:\n",
        "    if False:\n",
        f"{WHOLE}::test_every_single_bit_flip_is_refused",
    ),
    # --- consent -----------------------------------------------------------------------------------------------------
    one(
        "the release of 100 ms is not asked for",
        "consent.py",
        "            if self._armed and held_ms >= RELEASE_MS:\n",
        "            if self._armed:\n",
        f"{CONSENT}::test_a_release_that_is_too_short_starts_nothing",
    ),
    one(
        "a release from before the state counts",
        "consent.py",
        "        self._armed = True\n        self._released = False\n        self._since_ms = now_ms\n",
        "        self._armed = True\n        self._released = not self._level\n",
        f"{CONSENT}::test_pressed_too_soon_after_arming",
    ),
    one(
        "a held trigger does not keep from arming",
        "requests.py",
        "    if pen.trigger.down:\n",
        "    if False:\n",
        f"{CONSENT}::test_held_while_arming_is_asked_for",
    ),
    one(
        "the lease is one millisecond longer",
        "runner.py",
        "self.talk.heard_ms) < LEASE_MS\n",
        "self.talk.heard_ms) <= LEASE_MS\n",
        f"{CONSENT}::test_a_host_that_is_gone_ends_an_arming",
    ),
    one(
        "the lease does not end a burst",
        "runner.py",
        "            elif not self.leased():\n                self.end_burst(session.RELEASE, faults.LEASE_EXPIRED)\n",
        "",
        f"{CONSENT}::test_a_host_that_is_gone_ends_the_burst",
    ),
    one(
        "a held trigger goes on by itself when a zone is spent or paused",
        "runner.py",
        "        if target == wire.ARMED or target == wire.PAUSED:\n            self.trigger.rearm(self.now_ms)\n",
        "        if target == wire.ARMED or target == wire.PAUSED:\n"
        "            self.trigger._armed = self.trigger._released = True\n",
        f"{CONSENT}::test_held_through_a_pause_of_the_host",
    ),
    one(
        "fifteen minutes are for ever",
        "runner.py",
        "        elif ms_since(self.now_ms, self._idle_ms) >= IDLE_MS:\n",
        "        elif False:\n",
        f"{CONSENT}::test_fifteen_minutes_without_a_stroke_end_an_arming",
    ),
    # --- stop and safe state -----------------------------------------------------------------------------------------
    one(
        "a stop byte counts only at the end of a line",
        "runner.py",
        "            if STOP_BYTE in piece:\n",
        '            if bytes([STOP_BYTE]) + b"\\n" in piece:\n',
        f"{LINES}::test_a_stop_in_the_middle_of_a_line_that_never_ends_stops",
    ),
    one(
        "a stop byte does nothing in a burst",
        "runner.py",
        "            if STOP_BYTE in piece:\n",
        "            if STOP_BYTE in piece and self.state != wire.RUNNING:\n",
        _IN_A_STROKE,
    ),
    one(
        "a fault leaves the driver on",
        "motion.py",
        "        self._engine.disarm()\n        while",
        "        while",
        _IN_A_STROKE,
    ),
    one(
        "a clear goes back to ARMED without homing",
        "session.py",
        "    (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, LOADED),\n",
        "    (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, ARMED),\n",
        _IN_A_STROKE,
    ),
    one(
        "a pressed stop button can be cleared",
        "requests.py",
        "    if pen.inputs & signals.STOP:\n",
        "    if False:\n",
        f"{FAULTS}::test_a_stop_button_that_stays_pressed_cannot_be_cleared",
    ),
    one(
        "flash is written wherever the needle is",
        "runner.py",
        "            and bool(self.ports.inputs.read() & signals.HOME)\n"
        "            and bool(self.ports.engine.poll() & signals.IDLE)\n",
        "",
        f"{FAULTS}::test_nothing_is_written_while_the_needles_are_out",
    ),
    one(
        "a carriage that coasts is at rest",
        "runner.py",
        "            not self._coasting\n            and bool",
        "            bool",
        f"{FAULTS}::test_nothing_is_written_while_the_carriage_coasts",
    ),
    one(
        "an opened cartridge is passed over",
        "runner.py",
        "            raise Fault(faults.CARTRIDGE_OPENED)\n",
        "            return\n",
        f"{MEMORY}::test_a_cartridge_opened_in_a_session_ends_it",
    ),
    # --- the wire ----------------------------------------------------------------------------------------------------
    one(
        "the nonce is not checked",
        "conversation.py",
        '            if request.params["nonce"] != self.nonce:\n',
        "            if False:\n",
        f"{REPLAY}::test_every_prefix_after_a_reset_makes_no_stroke",
    ),
    one(
        "an old id is carried out again",
        "conversation.py",
        "            if request.id < self.last_id:\n",
        "            if False:\n",
        f"{REPLAY}::test_everything_said_so_far_is_said_again_in_between",
    ),
    one(
        "the answer to a request is not kept",
        "conversation.py",
        "            if request.id == self.last_id:\n",
        "            if False:\n",
        f"{REPLAY}::test_a_line_said_twice_is_carried_out_once_and_answered_twice_alike",
    ),
    one(
        "noise keeps the lease",
        "conversation.py",
        "        request = wire.decode_request(line)\n",
        "        self.heard_ms = now_ms\n        request = wire.decode_request(line)\n",
        f"{LINES}::test_noise_does_not_keep_the_lease",
    ),
    one(
        "the CRC of a line is not checked",
        "lines.py",
        "    if line[len(body) :] != _tail(body):\n",
        '    if line[len(body) : len(body) + 1] != b"*":\n',
        f"{LINES}::test_a_changed_byte_keeps_a_request_from_being_carried_out",
    ),
    one(
        "a method is allowed in every state",
        "runner.py",
        "        if not wire.allowed(request.method, self.state):\n",
        "        if False:\n",
        _IN_A_STROKE,
    ),
    # --- profiles, cartridges, courses -------------------------------------------------------------------------------
    one(
        "spare bytes may hold anything",
        "profile.py",
        "    if head[4] or head[15] or head[20] or head[22]:\n",
        "    if False:\n",
        _EDGES,
    ),
    one(
        "a wrong signature is taken",
        "profile.py",
        "    if key_id and not equal(hmac_sha256(key, data[:split]), data[split:]):\n",
        "    if False:\n",
        f"{WHOLE}::test_with_a_clinic_key_no_byte_can_be_changed_even_with_a_right_sha256",
    ),
    one(
        "an unsigned profile is taken by a pen with a key",
        "profile.py",
        "    if given != key_id:\n",
        "    if given not in (0, key_id):\n",
        f"{WHOLE}::test_with_a_clinic_key_no_byte_can_be_changed_even_with_a_right_sha256",
    ),
    one(
        "any session id is taken",
        "requests.py",
        "    if loaded.session_id != pen.ledger.next_session():\n",
        "    if False:\n",
        f"{WHOLE}::test_what_the_pen_remembers_refuses_as_well",
    ),
    one(
        "any head of the chain is taken",
        "requests.py",
        "    if loaded.ledger_head != pen.head:\n",
        "    if False:\n",
        f"{WHOLE}::test_what_the_pen_remembers_refuses_as_well",
    ),
    one(
        "another profile is taken while a session is open",
        "requests.py",
        "        if pen.session is None or loaded.digest != pen.session.profile.digest:\n",
        "        if pen.session is None:\n",
        f"{CUTS}::test_another_profile_is_refused_while_a_session_is_open",
    ),
    one(
        "a used cartridge is taken",
        "course.py",
        "    if 0 < used_in < session:\n",
        "    if False:\n",
        f"{MEMORY}::test_a_sealed_sessions_cartridge_is_refused_after_a_power_cut_as_well",
    ),
    one(
        "a cartridge that was not changed is taken",
        "consent.py",
        'only a newly seen change counts from here on."""\n        self.changed = False\n',
        'only a newly seen change counts from here on."""\n',
        f"{MEMORY}::test_a_cartridge_counts_as_new_only_when_its_change_was_seen_under_power",
    ),
    one(
        "the interval may be a second short",
        "course.py",
        "    if profile.issued_at < due_s:\n",
        "    if profile.issued_at < due_s - 1:\n",
        f"{MEMORY}::test_two_sessions_of_a_course_keep_their_distance",
    ),
    one(
        "the time may jump any distance",
        "course.py",
        "    if floor_s and issued_at > floor_s + limits.TIME_JUMP_MAX_S:\n",
        "    if False:\n",
        f"{MEMORY}::test_two_sessions_of_a_course_keep_their_distance",
    ),
    # --- time --------------------------------------------------------------------------------------------------------
    one(
        "the clock is taken not to wrap",
        "units.py",
        "    delta &= U32_MAX\n    return delta - 0x100000000 if delta & _MS_HALF else delta\n",
        "    return delta\n",
        f"{CLOCK}::test_a_session_across_the_edge_is_the_same_session",
    ),
    one(
        "a resumed session begins with its whole budget",
        "session.py",
        "        if account is None:\n            account = OpenSession(",
        "        if account is None or self.opened:\n            account = OpenSession(",
        f"{CRASHES}::test_a_hung_cpu_leaves_at_most_two_strokes_and_is_reset",
    ),
    *UPKEEP,
    *BOUNDS,
    *BOOKS,
    *HANDS,
    *WISHES,
    *WORDS,
    *PATIENCE,
    *PIO,
)
