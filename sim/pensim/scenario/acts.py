"""The acts of a scenario: what a host can do to a pen, with the keys of each; hands have their own list. Host only.

Whatever `pensim.hands` can do is an act too, with that command's keys, except what the run itself needs it for.
"""

from dataclasses import dataclass

from pencore import faults, wire
from pensim import hands
from pensim.faults import ALL
from pensim.scenario.form import (
    ANY,
    CODE,
    CONDITION,
    HEX,
    PAIRS,
    TABLE,
    TEXT,
    WHOLE,
    WORD,
    YES_NO,
    Key,
)
from pensim.scenario.profiles import SIGNATURES

HANDS = "hands"
ORACLE = "oracle"
FILES = "files"

NO_ANSWER = "NO_ANSWER"
"""What `refused` says when the pen must not answer at all: it has no power, or its CPU hangs."""
WITHIN_MS = 5000
MOST_MS = 3_600_000
WAITS_MOST_MS = 2 * MOST_MS
"""Most ms that the `after_ms` of a scenario, and its latest `at_ms`, may come to."""
BYTES_MOST = 1_000_000
"""Most bytes that one act may send as they are."""

_KEPT = ("zone", "oracle", "pins", "faults", "fault", "mend", "quit", "wait")
"""Hands' commands that are no acts: the run gives the oracle its zones, asks for what can be seen, and ends by itself;
faults have tables of their own."""


@dataclass(frozen=True)
class Form:
    """An act: what it does, the keys it has beside the common ones, and what it needs of the target."""

    doc: str
    keys: dict[str, Key]
    need: str = ""


_ZONE = Key(WHOLE, "index of the zone; left out: the first with strokes left", high=31)
_WAIT = Key(YES_NO, "wait until it is done; true when left out")
_METHOD = Key(WORD, "the request's method; ping when left out", words=tuple(wire.METHODS))
_PARAMS = Key(TABLE, "its params without the nonce; bytes as hex digits")

HOST: dict[str, Form] = {
    "wait": Form("Let time pass: by `after_ms`, or until its `when` holds.", {}),
    "hello": Form(
        "Greet the pen, and take over its nonce and ids.",
        {"protocol_major": Key(WHOLE, "the major version that the host speaks; 1 when left out", high=0xFFFF)},
    ),
    "load": Form(
        "Load the scenario's profile, filled in for this pen; changed or damaged as the keys say.",
        {
            "with": Key(TABLE, "what is different, by dotted key: `{ 'zone.0.depth_mm' = 2.6 }`"),
            "day": Key(WHOLE, "issued so many days after the scenario's first day", low=-20_000, high=20_000),
            "again": Key(YES_NO, "send the bytes that the pen accepted last once more, and nothing else"),
            "session_id": Key(WHOLE, "a session id other than the one the pen names"),
            "serial": Key(TEXT, "another pen's serial number"),
            "ledger_head": Key(HEX, "another ledger head, 64 digits"),
            "sign": Key(WORD, "how it is signed", words=SIGNATURES),
            "patch": Key(PAIRS, "bytes of the binary form that are replaced: [[offset, value], ...]; values 0 to 255"),
            "reseal": Key(YES_NO, "make the digest and the signature fit after `patch`"),
            "drop": Key(WHOLE, "leave out so many bytes at the end, and announce no more", high=776),
            "announce_size": Key(WHOLE, "announce another size than the one that follows", low=1, high=2048),
            "announce_sha256": Key(HEX, "announce another digest, 64 digits"),
        },
    ),
    "arm": Form("Have the pen home and make a zone ready; waits until it is ARMED.", {"zone": _ZONE, "wait": _WAIT}),
    "zone": Form(
        "Make another zone the one at work; waits until it is.",
        {"zone": Key(WHOLE, "index of the zone", needed=True, high=31), "wait": _WAIT},
    ),
    "pause": Form("Have the pen finish the stroke in progress and wait for a fresh press.", {}),
    "stop": Form("Send the stop byte.", {}),
    "stop_request": Form("Ask the pen to stop.", {}),
    "finish": Form("Have the pen seal the session; waits until it is SAFE.", {"wait": _WAIT}),
    "clear": Form("Leave FAULT.", {}),
    "clock_correct": Form(
        "Set the pen's time, with a reason; signed when the pen has a clinic key.",
        {
            "day": Key(WHOLE, "so many days after the scenario's first day", needed=True, low=-20_000, high=20_000),
            "reason": Key(TEXT, "why; goes into the pen's log"),
            "sign": Key(WORD, "how it is signed", words=SIGNATURES),
        },
    ),
    "ping": Form("Ask for a sign of life.", {}),
    "status": Form("Ask for the pen's status.", {}),
    "pull": Form("Read every record that the pen still keeps.", {}),
    "ack": Form(
        "Acknowledge a record.",
        {
            "session": Key(WHOLE, "of which session, counted from the scenario's first as 1; the last when left out"),
            "sha256": Key(HEX, "another digest than the record's, 64 digits"),
        },
    ),
    "visit": Form(
        "Work through whole sessions of the profile, each with a new cartridge and a course of its own.",
        {"count": Key(WHOLE, "how many; 1 when left out", low=1, high=1000)},
        HANDS,
    ),
    "ask": Form(
        "Make any request.",
        {"method": Key(WORD, "its method", needed=True, words=tuple(wire.METHODS)), "params": _PARAMS},
    ),
    "line": Form(
        "Send a line with the right CRC: `$id` stands for the next id, `$nonce` for the nonce.",
        {"text": Key(TEXT, "the JSON of the line", needed=True)},
    ),
    "bytes": Form(
        f"Send bytes as they are: either `text` or `hex`, at most {BYTES_MOST:,} in all.",
        {
            "text": Key(ANY, "as text"),
            "hex": Key(HEX, "as hex digits"),
            "repeat": Key(WHOLE, "so many times; once when left out", low=1, high=BYTES_MOST),
        },
    ),
    "damaged": Form(
        "Send a request with one byte changed on the way.",
        {
            "method": _METHOD,
            "params": _PARAMS,
            "at": Key(WHOLE, "which byte of the line; 30 when left out", high=1023),
            "mask": Key(WHOLE, "the bits of it that are flipped; 1 when left out", low=1, high=255),
        },
    ),
    "wrong_nonce": Form("Make a request with the nonce of another boot.", {"method": _METHOD, "params": _PARAMS}),
    "stale_id": Form("Make a request with an id below the last one.", {"method": _METHOD, "params": _PARAMS}),
    "reused_id": Form("Make another request with the last one's id.", {"method": _METHOD, "params": _PARAMS}),
    "replay": Form("Send the last request's line once more, byte for byte.", {}),
    "silent": Form("Let the host say nothing by itself from now on: it stops pinging.", {}),
    "back": Form("Let it ping again.", {}),
    "deaf": Form("Let the host no longer read what the pen says.", {}),
    "hearing": Form("Let it read again.", {}),
    "unplug": Form("Pull the cable.", {}),
    "plug": Form("Put it back.", {}),
    "tamper": Form(
        "Change a file on the flash of a pen without power, as damage or a forger would.",
        {
            "file": Key(TEXT, "its name, such as ledger.bin", needed=True),
            "how": Key(WORD, "what is done", needed=True, words=("remove", "cut", "flip")),
            "bytes": Key(WHOLE, "cut: so many bytes at the end", low=1, high=65_536),
            "at": Key(PAIRS, "flip: [[byte, bit], ...]; bytes below 0 count from the end"),
        },
        FILES,
    ),
}
"""What the host does, by name."""

HANDS_ACTS = tuple(name for name in hands.COMMANDS if name not in _KEPT)
"""What hands do, by name."""

TIMING: dict[str, Key] = {
    "at_ms": Key(WHOLE, "not before so many ms after the start", high=MOST_MS),
    "when": Key(CONDITION, "not before this holds"),
    "after_ms": Key(WHOLE, "so many ms after that", high=MOST_MS),
    "within_ms": Key(WHOLE, f"how long `when` and the answer may take; {WITHIN_MS} when left out", high=MOST_MS),
}
"""Keys that every act, fault and expectation may have."""

COMMON: dict[str, Key] = {
    "do": Key(TEXT, "what is done", needed=True),
    **TIMING,
    "refused": Key(
        CODE,
        f"the pen must refuse it with this code; {NO_ANSWER}: it must not answer",
        words=(*faults.NAMES.values(), NO_ANSWER),
    ),
}
FAULTS = tuple(kind.NAME for kind in ALL)
"""The faults of `pensim.faults`, by name."""
MEND = "mend"
"""What `do` of a fault is called that takes one back; `name` says which."""
