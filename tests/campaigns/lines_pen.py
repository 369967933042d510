"""A pen that is spoken to, and what it must be like after each row of lines. Host only.

Plays acts: pieces that are said, rows of them that are sent, what hands do in between. Knows of every line beforehand
what must become of it (`lines_model`); one that may change the pen is sent by itself. After each row the pen must have
answered as it must, and be the same pen as before: state, session, counters, flash, needle, memory.
"""

import random
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from pencore import profile, wire
from pencore.digest import sha256
from pencore.faults import LEASE_EXPIRED, OPERATOR_STOP
from pensim.clock import TICKS_PER_MS
from tests.campaigns.lines_acts import Act, Broken, Load, Say, Send
from tests.campaigns.lines_grammar import AGAIN, End, Piece, plain, rendered
from tests.campaigns.lines_heard import Heard, Listener
from tests.campaigns.lines_kinds import USED, Kind, pen_of, profile_bytes
from tests.campaigns.lines_model import STOP, Verdict
from tests.campaigns.lines_weight import GROWTH_MOST, HELD_MOST, held_bytes

STOPPED_MS = 3
"""How soon after a stop byte the driver is off."""
WEIGHED_EACH = 250
"""Lines from one weighing to the next."""
NEARLY_SPENT = 100
"""Strokes of a zone that a row of lines may see the end of."""
AHEAD_MOST = 400
"""Bytes that stand before a stop at most: what a turn of the firmware looks over."""
_PASSING = {wire.HOMING: (wire.HOMING, wire.ARMED), wire.SEALING: (wire.SEALING, wire.SAFE)}
_AT_REST = ("arm", "zone.select", "finish")
"""What is asked with the needle at home and nothing in hand, so that the answer is known."""
_MOVING = (wire.HOMING, wire.RUNNING)
_FOREIGN = "0123456789abcdef"


class Spoken(Heard):
    """A pen, the model of its conversation, and what it was like when it was last looked at."""

    def __init__(self, kind: Kind = Kind.PLAIN, seed: int = 0, listener: Listener | None = None) -> None:
        self.kind = kind
        super().__init__(pen_of(kind, seed), listener)
        pen = self.pen
        pen.may_coast = True
        if kind == Kind.PLAIN:
            pen.budgets.update(dict.fromkeys(USED, (1, 100)))
            pen.pull()
        self.greeting: dict[str, Any] = {}
        self._row: deque[Piece] = deque()
        self._offered = b""
        self._weighed_at = 0
        self._weighed_in = (0, 0)
        self._base: int | None = None
        # What a boot leaves to be tidied up is written now.
        pen.run_ms(500)
        self.look()

    # --- what is known of the pen ------------------------------------------------------------------------------------
    def look(self) -> None:
        """Ask the pen who and how it is, and remember it as what it has to stay."""
        while True:
            self.greeting = self._ask("hello")
            self.talk.greeted(self.greeting["nonce"], self.greeting["request_id"])
            self.status = self._ask("status")
            # What passes may have passed between two questions.
            if self.status["state"] == self.greeting["state"]:
                break
        self.talk.states = frozenset(self._soon())
        pen = self.pen
        self._flash = pen.snapshot_flash()
        self._operations = pen.flash.operations
        self._energised = pen.plant.energised
        self._strokes = {name: count for name, count in pen.needle_strokes().items() if count}

    def _soon(self) -> Sequence[int]:
        """Return the states that the pen may be in until it is looked at again, whoever says nothing to it."""
        zone = self.status["zone"]
        if self.state == wire.RUNNING and zone is not None and self.status["left"][zone] < NEARLY_SPENT:
            return wire.RUNNING, wire.PAUSED
        return _PASSING.get(self.state, (self.state,))

    # --- acts --------------------------------------------------------------------------------------------------------
    def play(self, act: Act) -> None:
        """Do one act, as far as it fits; Broken or AssertionError for what may not be."""
        if isinstance(act, Say):
            self._row.append(act.piece)
        elif isinstance(act, Send):
            self._send_row(act)
        elif isinstance(act, Load):
            self._load(act)
        else:
            getattr(self, f"_{act.what}")()

    def _press(self) -> None:
        zone = self.status["zone"]
        if self.state in (wire.ARMED, wire.PAUSED) and zone is not None and self.status["left"][zone]:
            self._settle()
            self._live(150)
            self.pen.press()
            self._live(100)
            self.look()
            if self.status["left"][zone]:
                self._one_of(wire.RUNNING)
            else:
                self._one_of(wire.RUNNING, wire.PAUSED)

    def _release(self) -> None:
        self.pen.release()
        if self.state == wire.RUNNING:
            self._live(500)
            self._paused()

    def _wait(self) -> None:
        """Let what passes by itself pass."""
        self._settle()

    def _overtake(self) -> None:
        """In FAULT a stop is sent right behind what would leave it: the stop is the last word."""
        if self.state != wire.FAULT:
            return
        was = self.status
        talk = self.talk
        pieces = (plain("clear"), plain("arm", zone="null"))
        lines = [rendered(piece, talk) for piece in pieces[:1]]
        verdicts = [talk.judge(lines[0])]
        lines.append(rendered(pieces[1], talk))
        talk.states = frozenset([wire.FAULT, wire.LOADED])
        verdicts.append(talk.judge(lines[1]))
        self._stop(b"".join(lines) + STOP, verdicts)
        if self.status["fault"] != was["fault"]:
            raise Broken("another fault after a stop in FAULT")

    def _power(self) -> None:
        """Switch off and on again, never in the midst of strokes: what a cut does to those is another campaign's."""
        if self.state == wire.RUNNING:
            self._release()
        was = self.state
        self._settle()
        pen = self.pen
        pen.unpower()
        pen.run_ms(200)
        pen.restart()
        self._heard = b""
        self._boot()
        self._base = None
        pen.run_ms(200)
        self.look()
        opened = bool(self.greeting["open_session"])
        # A pen that was never provisioned has no journal to latch a fault in.
        latched = was == wire.FAULT and self.kind != Kind.BLANK
        expected = wire.FAULT if latched else wire.LOADED if opened else wire.SAFE
        if self.state != expected:
            raise Broken(f"{self._named()} after a power cut in {wire.STATE_NAMES[was]}")
        pen.keep_inside()

    # --- loading -----------------------------------------------------------------------------------------------------
    def _load(self, load: Load) -> None:
        if self.state == wire.SAFE:
            self.pen.change_cartridge()
            self.look()
        rng = random.Random(load.number)
        loaded = b"" if self.pen.loaded is None else self.pen.loaded_data
        data = profile_bytes(rng, self.kind, self.greeting, loaded, spoilt=load.spoilt)
        digest = sha256(data).hex()
        self._row.append(plain("load.begin", size=str(len(data)), sha256=f'"{digest}"'))
        for offset in range(0, len(data), 384):
            piece = b64encode(data[offset : offset + 384]).decode()
            self._row.append(plain("load.chunk", offset=str(offset), data=f'"{piece}"'))
        self._row.append(plain("load.commit"))
        self._offered = data
        self._send_row(Send())

    # --- rows --------------------------------------------------------------------------------------------------------
    def _send_row(self, send: Send) -> None:
        """Send what was said, cut where a line may act and behind a stop byte."""
        row = b""
        verdicts: list[Verdict] = []
        rested = False
        while self._row:
            if any(STOP in piece.body for piece in self._row):
                # Stops overtake what stands before them.
                self.talk.states |= {wire.FAULT}
            unit = self._unit()
            mark = self.talk.mark()
            data = b"".join(self._render(piece, send) for piece in unit)
            data += b"" if data.endswith(b"\n") else b"\n"
            stops = len(data) - len(data.lstrip(STOP))
            verdict = self.talk.judge(data[stops:])
            apart = stops or (verdict.may_act() and STOP not in data)
            if row and (apart or (STOP in data and len(row) > AHEAD_MOST)):
                # It goes by itself, under an id that follows on what comes first.
                self.talk.back(mark)
                self._row.extendleft(reversed(unit))
                self._send(row, verdicts, send)
                row, verdicts = b"", []
            elif stops:
                self.talk.back(mark)
                self._row.extendleft(reversed((_without_stops(unit[0]), *unit[1:])))
                self._stop(data[:stops], [])
            elif apart and not rested and verdict.method in _AT_REST and self.state not in _MOVING:
                self.talk.back(mark)
                self._row.extendleft(reversed(unit))
                self._settle()
                rested = True
            elif apart:
                self._of[verdict.line] = unit[0]
                self._effect(verdict, data)
                rested = False
            else:
                self._of[verdict.line] = unit[0]
                row += data
                verdicts.append(verdict)
                if STOP in data:
                    self._stop(row, verdicts)
                    row, verdicts = b"", []
        self._send(row, verdicts, send)
        if send.foreign_ms:
            self._starved()

    def _unit(self) -> list[Piece]:
        """Take the pieces of one line: those without a newline, and the next."""
        unit = [self._row.popleft()]
        while self._row and unit[-1].end is End.OPEN and unit[-1].body != AGAIN:
            unit.append(self._row.popleft())
        return unit

    def _render(self, piece: Piece, send: Send) -> bytes:
        talk = self.talk
        nonce = talk.nonce
        if send.foreign_ms:
            talk.nonce = _FOREIGN
        acked = self.pen.sealed.get(self._acked() + 1)
        record = (0, "0" * 64) if acked is None else (acked.session, acked.digest.hex())
        raw = rendered(piece, talk, record)
        talk.nonce = nonce
        if send.foreign_ms:
            raw = raw.replace(nonce.encode(), _FOREIGN.encode())
        return raw

    def _acked(self) -> int:
        return max(int(self.greeting["session_id"]) - 1 - int(self.greeting["records"]), 0)

    def _send(self, row: bytes, verdicts: list[Verdict], send: Send) -> None:
        """Send lines none of which may do anything; the pen must answer and be the same."""
        if not row:
            return
        pen = self.pen
        begun_at = pen.clock.now
        self._count(verdicts)
        pen.host.reading = not send.deaf
        size = max(send.packet, len(row) // 300) if send.packet else len(row)
        for at in range(0, len(row), size):
            pen.host.send(row[at : at + size])
            if send.gap_ms and size < len(row):
                pen.run_ms(send.gap_ms)
                self._receive()
        self._work_off()
        if send.deaf:
            pen.host.reading = True
            self._work_off()
        self._match(verdicts, deaf=send.deaf)
        if send.foreign_ms:
            while pen.clock.now - begun_at < send.foreign_ms * TICKS_PER_MS:
                pen.host.send(b"noise\n")
                pen.run_ms(50)
                self._receive()
            self._take()
        else:
            self._unchanged()

    def _stop(self, row: bytes, verdicts: list[Verdict]) -> None:
        """Send lines with a stop byte among them: the driver is off at once, whatever stands before it."""
        self.figures.note("stops")
        pen = self.pen
        before = self.status
        self._count(verdicts)
        pen.host.send(row)
        # A packet that stands before it is taken in first, one a turn.
        stopped_ms = STOPPED_MS + row.index(STOP) // 256
        pen.run_ms(stopped_ms)
        if pen.plant.energised:
            raise Broken(f"the driver is on {stopped_ms} ms after a stop byte")
        self._work_off()
        self._match(verdicts)
        pen.run_ms(200)
        if pen.plant.depth_um() >= 0:
            raise Broken("the needles are out after a stop")
        pen.release()
        pen.run_ms(100)
        pen.keep_inside()
        self.look()
        fault = before["fault"] if before["state"] == wire.FAULT else OPERATOR_STOP
        if (self.state, self.status["fault"]) != (wire.FAULT, fault):
            raise Broken(f"{self._named()} with fault {self.status['fault']} after a stop byte")
        self._kept(before)

    def _effect(self, verdict: Verdict, line: bytes) -> None:
        """Send a line that may do something; what it does must be what it is for, and a refusal does nothing."""
        method = verdict.method
        pen = self.pen
        if method in ("arm", "zone.select") and self.state != wire.RUNNING:
            pen.keep_inside()
        self._count([verdict])
        pen.host.send(line)
        self._work_off()
        code, values = self._match([verdict])
        if code:
            if method in ("arm", "zone.select"):
                self._label()
            self._unchanged()
            return
        self.figures.acted[method] = self.figures.acted.get(method, 0) + 1
        self._follow(method, self._soon()[-1], values)

    def _follow(self, method: str, was: int, values: dict[str, Any]) -> None:
        """See a request through that was carried out in state `was`."""
        pen = self.pen
        if method == "load.commit":
            if values["sha256"] != profile.decode(self._offered).digest.hex():
                raise Broken("a profile was taken that nobody sent")
            pen.remember(self._offered)
            self._become(wire.LOADED)
        elif method == "arm":
            self.look()
            self._one_of(wire.HOMING, wire.ARMED)
        elif method == "zone.select":
            self._live(300)
            self._become(was)
        elif method == "pause":
            self._live(500)
            pen.release()
            self._live(50)
            self._paused()
        elif method == "finish":
            self.look()
            self._one_of(wire.SEALING, wire.SAFE)
            pen.keep_inside()
        elif method == "clear":
            self._live(100)
            self.look()
            self._one_of(wire.LOADED, wire.SAFE)
        elif method == "stop":
            pen.release()
            pen.run_ms(300)
            pen.keep_inside()
            self._become(wire.FAULT)
        else:
            self._live(200)
            self._become(was)
        self._label()

    def _starved(self) -> None:
        """Nothing legal came for longer than the lease: whoever needs a host has gone back to LOADED."""
        was = self.state
        pen = self.pen
        pen.run_ms(200)
        if was in (wire.ARMED, wire.PAUSED, wire.RUNNING):
            self.figures.note("leases")
            if pen.plant.energised or pen.indicator.shown != (wire.LOADED, LEASE_EXPIRED):
                raise Broken(f"lines that aren't legal kept the lease in {wire.STATE_NAMES[was]}")
            pen.keep_inside()
        pen.release()
        pen.run_ms(100)
        self.look()

    # --- what must be so ---------------------------------------------------------------------------------------------
    def _unchanged(self) -> None:
        """Fail unless the pen is what it was; strokes that are being made go on, and what passes may have passed."""
        pen = self.pen
        was, greeting = self.status, self.greeting
        flash, operations, energised, strokes = self._flash, self._operations, self._energised, self._strokes
        passing = was["state"] in _PASSING
        states = self.talk.states
        self.look()
        if self.state not in states:
            raise Broken(f"{self._named()}, and was {wire.STATE_NAMES[was['state']]}")
        self._kept(was)
        if passing:
            self._label()
        elif was["state"] == wire.RUNNING != self.state:
            if self.status["left"][was["zone"]]:
                raise Broken(f"{self._named()} in the midst of a burst")
            pen.release()
            self._settle()
        elif was["state"] != wire.RUNNING:
            self._same("status", was, self.status, ())
            self._same("hello", greeting, self.greeting, ("request_id",))
            if (self._flash, self._operations) != (flash, operations):
                raise Broken("lines that may do nothing wrote to the flash")
            if self._energised != energised:
                raise Broken("lines that may do nothing switched the driver")
            if self._strokes != strokes:
                raise Broken("lines that may do nothing moved the needle")
        else:
            self._same("status", was, self.status, ("counted", "session_left", "made", "left", "inputs"))
        pen.check()
        self._check_memory()

    def _kept(self, before: dict[str, Any]) -> None:
        """Fail unless the session is the one it was, no count is smaller, and the needle's count is inside of it."""
        after = self.status
        if self._runner is not self.pen.runner:
            raise Broken("the pen was reset")
        if before["session_id"] and after["session_id"] not in (before["session_id"], 0):
            raise Broken(f"session {before['session_id']} became {after['session_id']}")
        if after["session_id"] == before["session_id"] and after["counted"] < before["counted"]:
            raise Broken(f"{before['counted']} strokes counted, and then {after['counted']}")
        if after["session_id"] and after["state"] != wire.RUNNING:
            for zone, made in enumerate(after["made"]):
                strokes = self.pen.needle_strokes().get(f"{after['session_id']}.{zone}", 0)
                if strokes > made + after["forfeited"][zone]:
                    raise Broken(f"{strokes} strokes made in zone {zone}, {made} and {after['forfeited'][zone]} told")

    def _same(self, what: str, before: dict[str, Any], after: dict[str, Any], but: Iterable[str]) -> None:
        changed = [name for name in before if before[name] != after[name] and name not in but]
        if changed:
            name = changed[0]
            raise Broken(f"{name} of {what} was {before[name]} and is {after[name]}")

    def _check_memory(self) -> None:
        """Fail when the firmware holds more than it may, or more than it did."""
        if self.figures.lines - self._weighed_at < WEIGHED_EACH:
            return
        self._weighed_at = self.figures.lines
        held = held_bytes(self._runner)
        if self._base is None or self._weighed_in != (self.state, self.status["session_id"]):
            self._base = held
            self._weighed_in = (self.state, self.status["session_id"])
        if held > HELD_MOST or held - self._base > GROWTH_MOST:
            raise Broken(f"the firmware holds {held} bytes, and held {self._base}")
        self.figures.note("weighed")

    def _become(self, state: int) -> None:
        self.look()
        self._one_of(state)

    def _paused(self) -> None:
        """A burst has ended: in PAUSED, unless its last stroke was the session's, which is then sealed by itself."""
        self.look()
        self._one_of(wire.PAUSED, *(() if any(self.status["left"]) else (wire.SEALING, wire.SAFE)))

    def _one_of(self, *states: int) -> None:
        if self.state not in states:
            raise Broken(f"{self._named()}, not {wire.STATE_NAMES[states[0]]}")

    def _named(self) -> str:
        return wire.STATE_NAMES[self.state]

    def _label(self) -> None:
        """Tell the inspector which zone is at work, once it is certain."""
        zone = self.status["zone"]
        if self.state in (wire.ARMED, wire.PAUSED) and zone is not None:
            self.pen.allow_zone(zone)
        elif self.state == wire.SAFE:
            self.pen.keep_inside()

    # --- time and bytes ----------------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Wait until what passes has passed and the flash is at rest."""
        for _ in range(60):
            if self.state not in _PASSING and not self.pen.moving():
                break
            self._live(50)
            self.look()
        else:
            # A spoilt profile's strokes may be so slow, or so many, that the zone isn't over by then.
            if self.state != wire.RUNNING:
                raise Broken(f"{self._named()} does not pass")
        self._live(100)
        self.look()
        self._label()

    def _live(self, ms: int) -> None:
        """Let `ms` pass with a host that is there."""
        while ms > 0:
            self._ask("ping")
            self.pen.run_ms(min(ms, 400))
            ms -= 400

    # --- the end -----------------------------------------------------------------------------------------------------
    def put_away(self) -> None:
        """End the session, and compare its record with what the needle did."""
        self._row.clear()
        if self.state == wire.RUNNING:
            self._release()
        self._settle()
        if self.kind == Kind.BLANK:
            return
        if self.state == wire.FAULT:
            self._row.append(plain("clear"))
            self._send_row(Send())
        if self.state != wire.SAFE:
            self._row.append(plain("finish"))
            self._send_row(Send())
            self._settle()
            self._one_of(wire.SAFE)
        pen = self.pen
        pen.hello()
        pen.pull()
        pen.check()


def _without_stops(piece: Piece) -> Piece:
    return Piece(piece.body.lstrip(STOP), piece.end)
