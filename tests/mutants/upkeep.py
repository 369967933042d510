"""Bugs to plant in what the pen does for time, journal, cartridge and memory; a part of the table. Host only."""

from tests.mutants.mutant import Mutant, one

CORRECTION = "tests/scenarios/test_clock_correction.py"
JOURNAL = "tests/scenarios/test_journal_care.py"
CARTRIDGE = "tests/scenarios/test_cartridge_use.py"
RECALL = "tests/scenarios/test_recall.py"
RAM = "tests/scenarios/test_ram_bits.py"
IN_A_STROKE = "tests/scenarios/test_single_faults.py::test_a_fault_in_a_stroke_ends_safe_latched_and_logged"

UPKEEP: tuple[Mutant, ...] = (
    one(
        "the time is corrected under a loaded profile",
        "requests.py",
        "    if pen.session is not None and not pen.session.opened:\n        # Its time",
        "    if False:\n        # Its time",
        f"{CORRECTION}::test_a_loaded_profile_keeps_the_time_it_was_checked_against",
    ),
    one(
        "a correction is signed for any request",
        "requests.py",
        "        pen.talk.request_id,\n",
        "        0,\n",
        f"{CORRECTION}::test_a_correction_is_signed_as_the_protocol_says",
    ),
    one(
        "a correction is good for another request",
        "course.py",
        "% (serial, nonce, request_id, time_s, reason)",
        "% (serial, nonce, 1, time_s, reason)",
        f"{CORRECTION}::test_a_correction_that_was_taken_back_is_not_made_again_by_who_recorded_it",
    ),
    one(
        "compaction forgets the reason of a correction",
        "ledger.py",
        "                    self.correction_crc,\n",
        "                    0,\n",
        f"{CORRECTION}::test_a_correction_is_still_on_the_books_after_a_compaction",
    ),
    one(
        "compaction forgets which sessions came before a correction",
        "ledger.py",
        "                    self.corrected_session,\n",
        "                    0,\n",
        f"{CORRECTION}::test_a_correction_is_still_on_the_books_after_a_compaction",
    ),
    one(
        "compaction takes the present floor for the correction's time",
        "ledger.py",
        "                    self.corrected_to_s,\n",
        "                    self.time_floor_s,\n",
        "tests/unit/test_ledger.py::test_compaction_keeps_the_whole_state",
    ),
    one(
        "an open session is not one that was begun before a correction",
        "ledger.py",
        "        begun = self.last_session if self.open is None else self.open.session\n",
        "        begun = self.last_session\n",
        "tests/scenarios/test_time.py::"
        "test_a_session_corrected_while_it_was_open_shuts_its_course_for_an_interval_alone",
    ),
    one(
        "compaction forgets a correction unless a session is open",
        "ledger.py",
        "        if session is not None or self.corrected_from_s or self.correction_crc:\n",
        "        if session is not None:\n",
        f"{CORRECTION}::test_a_correction_is_still_on_the_books_after_a_compaction",
    ),
    one(
        "a bad copy is not told",
        "runner.py",
        "            code = faults.LEDGER_ONE_COPY if self.ledger.single_copies else 0\n",
        "            code = 0\n",
        f"{JOURNAL}::test_one_bad_copy_of_an_entry_is_told_and_mended",
    ),
    one(
        "a bad copy is not mended",
        "ledger.py",
        "        return self.size >= _CROWDED_BYTES or self.single_copies > 0\n",
        "        return self.size >= _CROWDED_BYTES\n",
        f"{JOURNAL}::test_a_bad_copy_after_another_never_makes_two_of_one_entry",
    ),
    one(
        "an idle pen lets its journal grow",
        "runner.py",
        "        crowded = self.ledger.crowded() and not session.is_in(self.state, session.DRIVEN)\n",
        "        crowded = False\n",
        f"{JOURNAL}::test_a_host_that_asks_for_entries_for_ever_fills_no_flash",
    ),
    one(
        "acknowledged records are left where a cut left them",
        "tasks.py",
        "        if name.startswith(_RECORD_PREFIX) and name < record_name(kept):\n",
        "        if False:\n",
        f"{JOURNAL}::test_acknowledged_records_leave_however_the_power_goes_meanwhile",
    ),
    one(
        "arming uses up the cartridge",
        "tasks.py",
        "        pen.write(lambda: write_new(pen.ports.store, SESSION_FILE, pen.profile_data))\n",
        "        pen.write(lambda: write_new(pen.ports.store, SESSION_FILE, pen.profile_data))\n        yield\n"
        "        pen.write(lambda: pen.memory.remember_cartridge(work.profile.cartridge_id, work.session))\n"
        "        yield\n"
        "        pen.append([Entry(CARTRIDGE, work.session, aux=pen.memory.cartridge_count())])\n"
        "        pen.cartridge.used()\n",
        f"{CARTRIDGE}::test_arming_without_a_stroke_uses_no_cartridge",
    ),
    one(
        "the first reservation uses up no cartridge",
        "tasks.py",
        "        pen.write(lambda: pen.memory.remember_cartridge(work.profile.cartridge_id, work.session))\n",
        "        pen.write(lambda: None)\n",
        f"{CARTRIDGE}::test_the_first_reservation_uses_it_with_or_without_a_stroke",
    ),
    one(
        "a counter found flipped while a fault is handled is let through",
        "runner.py",
        "        try:\n            self.cut()\n        except Fault as fault:\n"
        "            # The driver is off; the counters are found flipped only now.\n"
        "            code = fault.code\n            aux = fault.aux\n",
        "        self.cut()\n",
        f"{RAM}::test_a_flipped_counter_that_is_found_while_another_fault_is_handled",
    ),
    one(
        "an unreadable profile in flash is let through",
        "runner.py",
        "            except Refusal:\n                raise Fault(faults.LEDGER_CORRUPT, account.session) from None\n",
        "            except KeyError:\n                raise Fault(faults.LEDGER_CORRUPT, account.session) from None\n",
        f"{RECALL}::test_a_profile_in_flash_that_cannot_be_read_is_a_fault",
    ),
    one(
        "a flag of no known meaning is no fault",
        "motion.py",
        "            raise Fault(trip_code(evidence.flags) or faults.INTERNAL, evidence.index)\n",
        "            code = trip_code(evidence.flags)\n            if code:\n"
        "                raise Fault(code, evidence.index)\n",
        IN_A_STROKE,
    ),
    one(
        "a stop that came during a write is read after the credit",
        "runner.py",
        "            # A write in this turn may have taken a second, in which somebody asked for a stop.\n"
        "            self._look_ahead()\n",
        "",
        "tests/scenarios/test_stop_in_a_write.py::test_no_stroke_begins_after_a_stop_that_came_during_a_write",
    ),
    one(
        "a carriage that comes home late is at rest at once",
        "runner.py",
        "        if self.inputs & ~before & signals.HOME and not self.engine_bits & signals.ENABLED:\n",
        "        if False:\n",
        "tests/scenarios/test_single_faults.py::test_nothing_is_written_while_a_late_carriage_comes_home",
    ),
)
