"""Bugs to plant in the lines between pen and host; a part of the table. Host only."""

from tests.mutants.mutant import Mutant, one

CONVERSATION = "tests/unit/test_conversation.py"
IN_STOP_ORDER = "tests/scenarios/test_stop_order.py"
LAW_WIRE_LINES = "tests/property/test_wire_lines.py"
SAFETY_BOUNDS = "tests/unit/test_safety_bounds.py"
WIRE = "tests/unit/test_wire.py"
WIRE_STRICT = "tests/unit/test_wire_strict.py"
WIRE_VECTORS = "tests/unit/test_wire_vectors.py"

WORDS: tuple[Mutant, ...] = (
    one(
        "one line may use up all ids",
        "conversation.py",
        "            if request.id - self.last_id > ID_JUMP_MAX:\n",
        "            if False:\n",
        f"{CONVERSATION}::test_one_line_does_not_use_up_the_ids",
    ),
    one(
        "another request under the last id gets the last answer",
        "conversation.py",
        "                if fingerprint != self._last_crc:\n",
        "                if False:\n",
        f"{CONVERSATION}::test_another_request_under_the_same_id_is_refused",
    ),
    one(
        "a hello keeps the lease",
        "conversation.py",
        "        fingerprint = crc32(line)\n",
        "        fingerprint = crc32(line)\n        self.heard_ms = now_ms\n",
        f"{CONVERSATION}::test_hello_may_come_at_any_time_under_any_id_and_keeps_no_lease",
    ),
    one(
        "a hello takes part in the order of ids",
        "conversation.py",
        '        if request.method != "hello":\n            # A hello changes nothing',
        "        if True:\n            # A hello changes nothing",
        f"{CONVERSATION}::test_hello_may_come_at_any_time_under_any_id_and_keeps_no_lease",
    ),
    one(
        "noise makes the pen talk without end",
        "conversation.py",
        "            if self._bad_seen and 0 <= ms_since",
        "            if False and 0 <= ms_since",
        f"{CONVERSATION}::test_noise_is_answered_twice_a_second",
    ),
    one(
        "answers wait for a host without end",
        "conversation.py",
        "        if len(self._out) + len(line) <= _OUT_MAX:\n",
        "        if True:\n",
        f"{SAFETY_BOUNDS}::test_what_waits_for_a_host_is_four_lines_of_which_one_is_kept_for_an_answer",
    ),
    one(
        "a repeated request keeps no lease",
        "conversation.py",
        "                self.heard_ms = now_ms\n                self._send",
        "                self._send",
        f"{CONVERSATION}::test_a_repeated_request_gets_the_same_answer_and_is_not_done_again",
    ),
    one(
        "a line may have 1,025 bytes",
        "lines.py",
        "LINE_MAX = const(1024)",
        "LINE_MAX = const(1025)",
        f"{WIRE}::test_a_line_too_long_is_not_sent",
    ),
    one(
        "a number may have a leading zero",
        "lines.py",
        " and not (zero and end - self.at > 1):",
        ":",
        f"{LAW_WIRE_LINES}::test_the_definition_and_the_decoder_agree",
    ),
    one(
        "a number may pass 32 bits",
        "lines.py",
        "            if INT_MIN <= value <= INT_MAX:\n",
        "            if True:\n",
        f"{WIRE}::test_decoders_take_both_bounds_and_refuse_the_next_number",
    ),
    one(
        "true is a number",
        "lines.py",
        "    if type(value) is not int:\n        return LineRefusal(faults.WIRE_BAD_PARAM, name)\n    if value < low",
        "    if not isinstance(value, int):\n"
        "        return LineRefusal(faults.WIRE_BAD_PARAM, name)\n"
        "    if value < low",
        f"{WIRE}::test_no_encoder_writes_a_value_out_of_range",
    ),
    one(
        "a number above its field's range is taken",
        "lines.py",
        "    if value > high:\n        return LineRefusal(faults.WIRE_BAD_PARAM, name, value, high)\n",
        "",
        f"{WIRE}::test_no_encoder_writes_a_value_out_of_range",
    ),
    one(
        "bytes behind a message are passed over",
        "lines.py",
        '        if self.at != len(self.body):\n            raise self.refuse("")\n',
        "        pass\n",
        f"{WIRE_STRICT}::test_nothing_may_follow_what_the_pen_says",
    ),
    one(
        "a backslash in a string is taken",
        "lines.py",
        '        if end < 0 or b"\\\\" in value:\n',
        "        if end < 0:\n",
        f"{LAW_WIRE_LINES}::test_the_definition_and_the_decoder_agree",
    ),
    one(
        "base64 may be written in more than one way",
        "lines.py",
        "    return data if _to_base64(data) == text.encode() else None\n",
        "    return data\n",
        f"{WIRE_STRICT}::test_bytes_are_written_in_one_way",
    ),
    one(
        "a line too long is read up to its bound",
        "lines.py",
        "                self._dropping = newline < 0\n                raise LineRefusal(faults.WIRE_TOO_LONG",
        "                raise LineRefusal(faults.WIRE_TOO_LONG",
        f"{WIRE_VECTORS}::test_stream",
    ),
    one(
        "a stop byte before a line spoils the line",
        "lines.py",
        "            if self._length == 0 and not self._dropping and piece[self._at] == STOP_BYTE:\n",
        "            if False:\n",
        f"{IN_STOP_ORDER}::test_a_clear_and_an_arming_before_a_stop_switch_nothing_on",
    ),
    one(
        "a stop behind the line in hand is not seen",
        "lines.py",
        "        return self._piece.find(_STOP, self._at) >= 0\n",
        "        return False\n",
        f"{IN_STOP_ORDER}::test_a_clear_and_an_arming_before_a_stop_switch_nothing_on",
    ),
    one(
        "a byte that is no character is taken",
        "lines.py",
        "min(text) >= _FIRST and max(text) <= _LAST",
        "max(text) <= _LAST",
        f"{WIRE_STRICT}::test_a_byte_that_is_no_character_is_bad_form_wherever_it_stands",
    ),
    one(
        "a profile is loaded while the pen is armed",
        "wire.py",
        "_AT_REST = const((1 << SAFE) | (1 << LOADED))",
        "_AT_REST = const((1 << SAFE) | (1 << LOADED) | (1 << ARMED))",
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "arming is allowed in FAULT",
        "wire.py",
        '"arm": ((_NONCE, _ZONE), _ONLY_STATE, 1 << LOADED)',
        '"arm": ((_NONCE, _ZONE), _ONLY_STATE, (1 << LOADED) | (1 << FAULT))',
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "a zone is selected while strokes are made",
        "wire.py",
        "_ONLY_STATE, (1 << ARMED) | (1 << PAUSED)),",
        "_ONLY_STATE, (1 << ARMED) | (1 << RUNNING) | (1 << PAUSED)),",
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "stop is refused while homing",
        "wire.py",
        '"stop": (_ONLY_NONCE, _ONLY_STATE, _EVER)',
        '"stop": (_ONLY_NONCE, _ONLY_STATE, _EVER & ~(1 << HOMING))',
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "clear is allowed in every state",
        "wire.py",
        '"clear": (_ONLY_NONCE, _ONLY_STATE, 1 << FAULT)',
        '"clear": (_ONLY_NONCE, _ONLY_STATE, _EVER)',
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "finish is allowed while strokes are made",
        "wire.py",
        '(1 << LOADED) | (1 << ARMED) | (1 << PAUSED)),\n    "clear"',
        '(1 << LOADED) | (1 << ARMED) | (1 << RUNNING) | (1 << PAUSED)),\n    "clear"',
        f"{WIRE}::test_states_of_each_method_are_pinned",
    ),
    one(
        "values of a request may be out of range",
        "wire.py",
        "    return Request(request_id, method, in_range(fields, values, request_id))\n",
        "    return Request(request_id, method, values)\n",
        f"{WIRE_VECTORS}::test_refused_request",
    ),
    one(
        "more may follow a request",
        "wire.py",
        "    values = walker.members(fields)\n"
        '    walker.literal(b"}}", "params")\n'
        "    walker.end()\n"
        "    return Request",
        '    values = walker.members(fields)\n    walker.literal(b"}}", "params")\n    return Request',
        f"{WIRE_STRICT}::test_nothing_may_follow_a_request",
    ),
    one(
        "a result of a request that was not made is taken",
        "wire.py",
        "    if message_id not in pending:\n"
        '        walker.tail(b"}}")\n'
        '        raise LineRefusal(faults.WIRE_STALE_ID, "id", message_id)\n'
        "    method = pending[message_id]\n",
        '    method = pending.get(message_id, "ping")\n',
        f"{WIRE_STRICT}::test_an_answer_that_nobody_waits_for_is_refused",
    ),
    one(
        "a notification may hold anything",
        "wire.py",
        "in_range(NOTIFICATIONS[name], values, None))\n",
        "values)\n",
        f"{WIRE}::test_decoders_take_both_bounds_and_refuse_the_next_number",
    ),
    one(
        "an unknown code takes the answer down",
        "wire.py",
        "    code = refusal.code if refusal.code in faults.NAMES else faults.INTERNAL\n",
        "    code = refusal.code\n",
        f"{WIRE}::test_every_refusal_can_be_told",
    ),
    one(
        "base64 may hold a foreign character at its end",
        "lines.py",
        'padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0',
        'padding = 2 if text.endswith("==") else 1',
        f"{WIRE_STRICT}::test_bytes_are_written_in_one_way",
    ),
)
