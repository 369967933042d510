"""Measures what a clinic's key costs: signing on this computer, checking on an emulated chip. Host only.

    python bench/access.py [--runs 200] [--json]

On this computer a profile of 14 zones is filled in and signed, beside the same without a key and the standard
library's HMAC. On the chip, only where PINPRICK_UF2 names an image: the time from the commit's line on the cable to the
end of its answer, in ticks of 8 ns looked at every 10 us, for the right signature, none, and wrong ones, each in a copy
of the same pen. That includes all else that a commit does, collections of garbage too, so that only what differs in the
signature alone can be compared: none and a wrong one, by the same pen. What the emulator doesn't know is in none of it
(see bench/chip.py). `--json` also writes build/bench-access.json.
"""

import hmac
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# As a script this file sees only its own folder; its parts and the tests' bench are found from the root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.link import largest_profile
from bench.parts.chip_pen import LONG_S, WrongRun
from bench.parts.command import carry_out
from bench.parts.machine import machine
from pencore import faults, profile
from pencore.digest import equal, hmac_sha256
from pencore.profile import Profile
from pencore.units import TICK_HZ
from pensim.chip.copies import in_copy
from pensim.world import default_provision
from pinprick.board.build import build
from pinprick.cli.chip_image import UF2_VARIABLE, chosen
from tests.chip.bench import ChipBench, flash_of

RESULT = Path(__file__).resolve().parents[1] / "build" / "bench-access.json"
ZONES = 14
SIZES = (1, ZONES, 32)
UNSIGNED, ANOTHER_KEY = "unsigned, by a pen with a key", "another key"
KEY_ID, KEY = 7, bytes(range(1, 33))
WRONG_KEY = KEY[::-1]
_ANSWER_MS = 2000
_GRAIN_MS = 0.01
_ROUNDS = 5


def profile_of(zones: int) -> Profile:
    """Return a profile with texts as long as they may be, and so many zones."""
    made = largest_profile()
    made.serial = default_provision().serial
    made.zones = made.zones[:zones]
    made.strokes = sum(zone.strokes for zone in made.zones)
    return made


# --- on this computer ------------------------------------------------------------------------------------------------
def host_us(runs: int) -> dict[str, float]:
    """Return the median of each act's time in us; the acts take turns, so that all have the same computer."""
    made = profile_of(ZONES)
    data = profile.encode(made, KEY_ID, KEY)
    body, signature = data[:-32], data[-32:]
    acts: dict[str, Callable[[], object]] = {
        "encode, unsigned": lambda: profile.encode(made),
        "encode and sign": lambda: profile.encode(made, KEY_ID, KEY),
        "the pen's HMAC": lambda: hmac_sha256(KEY, body),
        "the standard library's HMAC": lambda: hmac.digest(KEY, body, "sha256"),
        "compare in constant work": lambda: equal(signature, data[-32:]),
        "check a signature": lambda: profile.check_signature(data, KEY_ID, KEY),
    }
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(_ROUNDS):
        for name, act in acts.items():
            for _ in range(runs):
                began = time.perf_counter_ns()
                act()
                times[name].append((time.perf_counter_ns() - began) / 1000)
    return {name: statistics.median(each) for name, each in times.items()}


# --- on the chip -----------------------------------------------------------------------------------------------------
def booted(with_key: bool, image: Any) -> ChipBench:
    """Return a pen that is SAFE, with a new cartridge."""
    setup = default_provision()
    if with_key:
        setup.key_id, setup.key = KEY_ID, KEY
    pen = ChipBench(image.for_chip(), flash_of(build(), setup), setup)
    pen.boot()
    pen.change_cartridge()
    return pen


def commit_ticks(pen: ChipBench, data: bytes, code: int) -> int:
    """Return the ticks from the commit's line to its answer; WrongRun for another answer than `code` (0: taken)."""
    pen.hello()
    pen.transfer(data)
    pen.listen()
    pen.echoes.clear()
    line = pen.line("load.commit")
    heard = bytearray()

    def answered() -> bool:
        heard.extend(pen.host.receive())
        # A change of state is told of as well, in a line of its own.
        return any(b'"id":' in line for line in heard.split(b"\n")[:-1])

    pen.send(line)
    began = pen.clock.now
    if not pen.run_until(answered, _ANSWER_MS, _GRAIN_MS):
        raise WrongRun("the pen doesn't answer")
    ticks = pen.clock.now - began
    said = heard.decode(errors="replace")
    if (f'"code":{code}' not in said) if code else ('"result"' not in said):
        raise WrongRun(f"it was to be answered with {code or 'a result'}: {said}")
    return ticks


def chip_ticks(image: Any) -> dict[str, int]:
    """Return the ticks of each kind of commit."""
    keyed, open_pen = booted(True, image), booted(False, image)
    found = {}
    for zones in SIZES:
        made = profile_of(zones)
        made.ledger_head = bytes.fromhex(keyed.hello()["ledger_head"])
        right = profile.encode(made, KEY_ID, KEY)
        unsigned = profile.encode(made)
        first, last = bytearray(right), bytearray(right)
        first[-32] ^= 1
        last[-1] ^= 1
        tried = [
            ("unsigned, by a pen without a key", open_pen, unsigned, 0),
            ("rightly signed", keyed, right, 0),
            (UNSIGNED, keyed, unsigned, faults.SIGNATURE_MISSING),
            ("first byte of the HMAC wrong", keyed, bytes(first), faults.SIGNATURE_WRONG),
            ("last byte of the HMAC wrong", keyed, bytes(last), faults.SIGNATURE_WRONG),
            (ANOTHER_KEY, keyed, profile.encode(made, KEY_ID, WRONG_KEY), faults.SIGNATURE_WRONG),
        ]
        for name, pen, data, code in tried:
            found[f"{zones} zones: {name}"] = in_copy(partial(commit_ticks, pen, data, code), LONG_S)
    return found


def measure(runs: int) -> dict[str, Any]:
    """Return all that is measured."""
    named = os.environ.get(UF2_VARIABLE)
    chip = None if not named else chip_ticks(chosen(Path(named)))
    return {"machine": machine(), "zones": ZONES, "host_us": host_us(runs), "chip_ticks": chip}


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"A clinic's key, on {found['machine']['cpu']}; a profile of {ZONES} zones, median"]
    lines += [f"  {name:<56}{value:>10.1f} us" for name, value in found["host_us"].items()]
    if found["chip_ticks"] is None:
        lines.append(f"NOTHING WAS MEASURED on the emulated chip: no image. Name one in {UF2_VARIABLE}.")
        return "\n".join(lines)
    lines.append("On the emulated chip, from the commit's line to its answer")
    for name, ticks in found["chip_ticks"].items():
        lines.append(f"  {name:<56}{ticks * 1000 / TICK_HZ:>10.2f} ms {ticks:>12,} ticks")
    for zones in SIZES:
        none, wrong = (found["chip_ticks"][f"{zones} zones: {name}"] for name in (UNSIGNED, ANOTHER_KEY))
        cost = (wrong - none) * 1000 / TICK_HZ
        lines.append(f"  HMAC and comparison with {zones} zones: {cost:.2f} ms")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, and write the result if asked to."""
    about = "what a clinic's key costs"
    return carry_out(arguments, about, ("runs", 200, "of each act in a round"), measure, table, RESULT)


if __name__ == "__main__":
    sys.exit(main())
