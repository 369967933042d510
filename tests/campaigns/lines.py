"""Lines by the million: each is answered as it must be, and no illegal one changes anything. Host only.

A shard is one pen and so many lines, drawn from its name and the seed: requests at and past their bounds, changed ones,
noise, floods, stops, whatever a corpus holds that grew by what it reached. The pen is led from state to state by the
same means: legal lines and a hand at its trigger. What counts is a line, that is what stands before a newline and is
not empty, sent to a pen and worked off by its firmware; questions that the campaign asks for itself don't count.
"""

import random
from collections.abc import Sequence

from pencore import wire
from tests.campaigns import lines_atheris
from tests.campaigns.frame import Done, Plan, Ranges, Size, Violation, out_of_time, range_of, shrunk, told
from tests.campaigns.lines_acts import Act, Hand, Load, Say, Send
from tests.campaigns.lines_corpus import frozen
from tests.campaigns.lines_cover import Corpus
from tests.campaigns.lines_grammar import AGAIN, Piece, changed, noise, plain, request, with_stop
from tests.campaigns.lines_kinds import Kind
from tests.campaigns.lines_pen import Spoken

COUNTS = {Size.COMMIT: 200_000, Size.NIGHTLY: 10_000_000, Size.RELEASE: 200_000_000}
SHARD_LINES = 10_000
ROW_LINES = 40
FLOOD_LINES = 400
_STEP = 0.12
_STEPS = {wire.RUNNING: 0.03, wire.PAUSED: 0.06, wire.SAFE: 0.3, wire.LOADED: 0.25, wire.FAULT: 0.25}
"""How often a row is followed by a step to another state: a pen is to stay where there is most at stake."""
OVERTAKEN = 0.1
"""How often a pen in FAULT gets a clear and, right behind it, a stop."""
TRACED_ROWS = 0.3
"""Share of the rows that are looked at with `sys.settrace`, which halves the speed."""
SHRINK_TRIES = 120
"""After so many tries what is left of a broken run is told as it is."""
_KINDS = (Kind.PLAIN, Kind.KEY, Kind.PLAIN, Kind.PLAIN, Kind.PLAIN, Kind.BLANK)
"""Of six pens in a row."""
_LEAVING = [
    tuple(b'"%s"' % name.encode() for name in ("stop", "finish", "clear", "arm") if wire.METHODS[name][2] >> state & 1)
    for state in range(len(wire.STATE_NAMES))
]
"""What takes a pen out of a state, said less often than the rest, so that it stays for some rows."""
ATHERIS_EACH = 100
"""Of so many shards one begins with what libFuzzer found, where it is installed; never with a commit."""
_ATHERIS = ":atheris"
_LEASED = (wire.ARMED, wire.RUNNING, wire.PAUSED)
_CLOCK = plain("clock.correct", time="1800000000", reason='"late"', key_id="0", hmac=f'"{"0" * 64}"')
_TIME_LATE = 4_000_000_000


class Walk:
    """A way through the states of one pen, with rows of lines in each; every act is kept, to be played again."""

    def __init__(self, shard: str, seed: int, corpus: Corpus, traced: float = TRACED_ROWS) -> None:
        self._rng = random.Random(f"lines {seed} {shard}")
        self._traced = traced
        self.kind = _KINDS[range_of(shard).start // SHARD_LINES % len(_KINDS)]
        self.corpus = corpus
        self.acts: list[Act] = []
        self.spoken = Spoken(self.kind, listener=corpus)

    def go_on(self, lines: int) -> None:
        """Say `lines` more lines, less those that the pen's way took anyhow."""
        goal = self.spoken.figures.lines + lines
        while (left := goal - self.spoken.figures.lines) > 0:
            if left > ROW_LINES and self._rng.random() < _STEPS.get(self.spoken.state, _STEP):
                self._step()
            else:
                self._row(min(left, FLOOD_LINES if self._rng.random() < 0.01 else ROW_LINES))

    def _do(self, act: Act) -> None:
        self.acts.append(act)
        self.spoken.play(act)

    # --- rows --------------------------------------------------------------------------------------------------------
    def _row(self, lines: int) -> None:
        rng = self._rng
        self.spoken.tracing = rng.random() < self._traced
        flavour = rng.random()
        foreign = flavour < (0.04 if self.spoken.state in _LEASED else 0.005)
        leaving = _LEAVING[self.spoken.state]
        for _ in range(lines):
            piece = noise(rng) if rng.random() < 0.02 else self._piece()
            while rng.random() < 0.95 and any(method in piece.body for method in leaving):
                piece = self._piece()
            if not foreign and rng.random() < 0.0005:
                piece = with_stop(rng, piece)
            self.acts.append(Say(piece))
            self.spoken.play(Say(piece))
        if foreign:
            self._do(Send(foreign_ms=2500))
        elif flavour < 0.09:
            self._do(Send(rng.choice((1, 7, 63, 64, 65, 511, 512, 513)), rng.choice((0, 1, 2))))
        else:
            self._do(Send(deaf=flavour < 0.12))
        self.spoken.tracing = False

    def _piece(self) -> Piece:
        rng = self._rng
        chance = rng.random()
        if chance < 0.02:
            return Piece(AGAIN)
        if chance < 0.2:
            return request(rng)
        if chance < 0.45:
            return changed(rng, request(rng), request(rng))
        return changed(rng, self.corpus.draw(rng), self.corpus.draw(rng))

    # --- from state to state -----------------------------------------------------------------------------------------
    def _step(self) -> None:
        """Take the pen to a state that follows on its own, mostly on the way of a session."""
        rng = self._rng
        state = self.spoken.state
        if rng.random() < 0.08:
            self._do(Hand(rng.choice(("power", "wait"))))
        elif state in (wire.HOMING, wire.SEALING):
            self._do(Hand("wait"))
        elif state == wire.SAFE:
            if self.spoken.greeting["time_floor"] > _TIME_LATE:
                self._say(_CLOCK)
            self._do(Load(rng.getrandbits(32), spoilt=rng.random() < 0.3))
        elif state == wire.LOADED:
            self._say(rng.choice((plain("arm", zone="null"), plain("arm", zone="0"), plain("arm", zone="1"))))
        elif state == wire.FAULT:
            if rng.random() < OVERTAKEN:
                self._do(Hand("overtake"))
            self._say(plain("clear"))
        elif state == wire.RUNNING:
            self._do(Hand("release")) if rng.random() < 0.6 else self._say(rng.choice((plain("pause"), plain("stop"))))
        elif rng.random() < 0.7:
            self._do(Hand("press"))
        else:
            self._say(
                rng.choice(
                    (plain("zone.select", zone="0"), plain("zone.select", zone="1"), plain("finish"), plain("stop"))
                )
            )

    def _say(self, piece: Piece) -> None:
        self._do(Say(piece))
        self._do(Send())


def play_acts(kind: Kind, acts: Sequence[Act]) -> None:
    """Play acts on a new pen of a kind; raises what is broken."""
    spoken = Spoken(kind)
    for act in acts:
        spoken.play(act)
    spoken.put_away()


def failure(kind: Kind, acts: Sequence[Act]) -> Exception | None:
    """Return what acts break, or None."""
    try:
        play_acts(kind, acts)
    except Exception as error:  # noqa: BLE001  # whatever a pen raises is what is looked for
        return error
    return None


def same_kind(one: Exception | None, other: Exception | None) -> bool:
    """Return whether two failures are of one kind: by type, and by the words they begin with."""
    if one is None or other is None or type(one) is not type(other):
        return False
    return _kind(one) == _kind(other)


def _kind(error: Exception) -> list[str]:
    said = str(error).splitlines() or [""]
    return [word for word in said[0].split()[:6] if word.isalpha()]


class Lines:
    """The campaign of lines."""

    NAME = "lines"
    ABOUT = (
        "lines, legal, changed and noise, to a pen in each state: answered as they must be, and nothing else happens"
    )

    def planned(self, size: Size, seed: int) -> Plan:
        """Return so many lines, 10,000 a pen."""
        return Plan(COUNTS[size], Ranges(COUNTS[size], SHARD_LINES), "lines")

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Say a shard's lines to its pen."""
        turn = range_of(shard).start // SHARD_LINES % ATHERIS_EACH == 0
        fuzzed = turn and size is not Size.COMMIT and lines_atheris.installed()
        return self._play(f"{shard}{_ATHERIS}" if fuzzed else shard, seed, deadline)

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play a shard's pen again, up to what it breaks."""
        found = self._play(case, seed, None)
        return found.violations[0] if found.violations else None

    def _play(self, case: str, seed: int, deadline: float | None) -> Done:
        shard = case.removesuffix(_ATHERIS)
        done = Done()
        kept = lines_atheris.found(range_of(shard).start + seed) if shard != case else []
        walk = Walk(shard, seed, Corpus((*frozen(), *kept)))
        total = len(range_of(shard))
        figures = walk.spoken.figures
        try:
            while figures.lines < total and not out_of_time(deadline):
                walk.go_on(min(1000, total - figures.lines))
            walk.spoken.put_away()
        except Exception as error:  # noqa: BLE001  # see `failure`
            done.violations.append(self._violation(case, walk, error))
        done.cases = min(figures.lines, total)
        self._tell(done, walk)
        done.count("kept by atheris", len(kept))
        return done

    def _violation(self, case: str, walk: Walk, error: Exception) -> Violation:
        what, trace = told(error)
        first = failure(walk.kind, walk.acts)
        if first is None:
            return Violation(case, f"{what} (not again when its acts are played alone)", trace)
        acts = shrunk(walk.acts, lambda some: same_kind(failure(walk.kind, some), first), SHRINK_TRIES)
        return Violation(case, what, (f"a {walk.kind} pen", *(str(act) for act in acts)))

    def _tell(self, done: Done, walk: Walk) -> None:
        figures = walk.spoken.figures
        for state, lines in figures.by_state.items():
            done.count(f"in {wire.STATE_NAMES[state]}", lines)
        for sort, lines in figures.sorts.items():
            done.count(sort.value, lines)
        for method, times in figures.acted.items():
            done.count(f"done: {method}", times)
        for name, times in figures.other.items():
            done.count(name, times)
        done.count(f"{walk.kind} pens")
        done.count("kept for what they reached", walk.corpus.found)


LINES = Lines()
