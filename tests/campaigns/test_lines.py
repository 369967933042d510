"""The campaign of lines tells what is broken: bugs are planted in the firmware's logic, found, shrunk and played again.

And a small run of it, for what it reaches: each state, each sort of line, each request that may do something.
"""

import re
from collections.abc import Callable

import pytest

from pencore import faults, wire
from pencore.conversation import Conversation
from pencore.faults import Refusal
from pencore.lines import STOP_BYTE, LineRefusal, Walker
from pencore.runner import Runner
from tests.campaigns import lines, lines_corpus, lines_kinds
from tests.campaigns.frame import Done, Size
from tests.campaigns.lines_cover import Corpus
from tests.campaigns.lines_grammar import End, Piece, plain, rendered
from tests.campaigns.lines_model import MAY_ACT, Sort, Talk

SHARDS = ("0+4000", "10000+2000", "20000+4000", "50000+500")
"""Of a used pen, of one with a clinic key, of another used one, of one never provisioned."""


def test_a_small_run_reaches_every_state_and_sort_of_line() -> None:
    whole = Done()
    for shard in SHARDS:
        done = lines.LINES.play(shard, Size.COMMIT, 1, None)
        assert done.violations == []
        assert done.cases == int(shard.partition("+")[2])
        whole.add(done)
    for state in range(wire.SAFE, len(wire.STATE_NAMES)):
        assert whole.counts[f"in {wire.STATE_NAMES[state]}"] >= 10, wire.STATE_NAMES[state]
    assert {sort.value for sort in Sort} <= whole.counts.keys()
    seldom = {"clock.correct", "record.ack"}
    assert {f"done: {method}" for method in MAY_ACT - seldom} <= whole.counts.keys()
    for name in ("stops", "leases", "weighed", "kept for what they reached", "plain pens", "key pens", "blank pens"):
        assert whole.counts[name] > 0


def test_the_same_seed_is_the_same_run() -> None:
    one, other = (lines.LINES.play("30000+600", Size.COMMIT, 5, None).counts for _ in range(2))
    assert one == other
    assert one != lines.LINES.play("30000+600", Size.COMMIT, 6, None).counts


def test_what_is_planned_is_every_line_once() -> None:
    for size, count in ((Size.COMMIT, 200_000), (Size.NIGHTLY, 10_000_000), (Size.RELEASE, 200_000_000)):
        plan = lines.LINES.planned(size, 1)
        assert plan.total == count == len(plan.shards) * lines.SHARD_LINES


# --- planted bugs -----------------------------------------------------------------------------------------------------
def _no_crc(patch: pytest.MonkeyPatch) -> None:
    """Each line is taken, whatever its CRC."""
    patch.setattr(wire, "unframe", lambda line: line[:-10])


def _long_digits(patch: pytest.MonkeyPatch) -> None:
    """A number of eleven digits raises what nobody expects."""
    integer = Walker.integer

    def taken(self: Walker, field: str) -> int:
        if self.body[self.at : self.at + 11].isdigit():
            raise OverflowError("small int overflow")
        return integer(self, field)

    patch.setattr(Walker, "integer", taken)


def _any_state(patch: pytest.MonkeyPatch) -> None:
    """A record is acknowledged in the midst of strokes."""
    allowed = wire.allowed
    patch.setattr(wire, "allowed", lambda method, state: method == "record.ack" or allowed(method, state))


def _noise_is_heard(patch: pytest.MonkeyPatch) -> None:
    """What is refused keeps the lease, too."""
    refuse = Conversation._refuse

    def refused(self: Conversation, refusal: Refusal, now_ms: int) -> None:
        self.heard_ms = now_ms
        refuse(self, refusal, now_ms)

    patch.setattr(Conversation, "_refuse", refused)


def _kept_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Every refusal is remembered."""
    refuse = Conversation._refuse

    def refused(self: Conversation, refusal: Refusal, now_ms: int) -> None:
        vars(self).setdefault("kept", []).append(str(refusal.code) * 9)
        refuse(self, refusal, now_ms)

    patch.setattr(Conversation, "_refuse", refused)


def _stop_at_the_front(patch: pytest.MonkeyPatch) -> None:
    """A stop byte counts at the front of a packet only."""
    stop = Runner.stop

    def stopped(self: Runner, code: int) -> None:
        if STOP_BYTE not in self.talk._ahead or self.talk._ahead[0] == STOP_BYTE:
            stop(self, code)

    patch.setattr(Runner, "stop", stopped)


def _answered_again(patch: pytest.MonkeyPatch) -> None:
    """A repeated request is carried out once more."""
    request = Conversation._request

    def taken(self: Conversation, line: bytes, now_ms: int) -> None:
        self._last_crc = 0
        if wire.decode_request(line).id == self.last_id:
            self.last_id -= 1
        request(self, line, now_ms)

    patch.setattr(Conversation, "_request", taken)


def _writes(patch: pytest.MonkeyPatch) -> None:
    """A piece of a profile that nobody announced goes to the flash."""
    answer = Runner._answer

    def answered(self: Runner, request: wire.Request) -> object:
        if request.method == "load.chunk" and self.state == wire.SAFE and self.provision is not None:
            self.ports.store.append("note", b"x")
        return answer(self, request)

    patch.setattr(Runner, "_answer", answered)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (_no_crc, "answer|asked|Unicode"),
        (_long_digits, "OverflowError"),
        (_any_state, "answered with"),
        (_noise_is_heard, "kept the lease"),
        (_kept_for_ever, "the firmware holds"),
        (_stop_at_the_front, "stop"),
        (_answered_again, "answer"),
        (_writes, "wrote to the flash"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_bug_is_told_shrunk_and_played_again(
    plant: Callable[[pytest.MonkeyPatch], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SHRINK_TRIES", 30)
    lines_kinds.used_flash()
    plant(monkeypatch)
    found = next(
        violation
        for shard in ("0+2500", "20000+2500", "30000+2500")
        for violation in lines.LINES.play(shard, Size.COMMIT, 1, None).violations
    )
    assert re.search(words, found.what), found
    assert len(found.trace) <= 200 or plant is _kept_for_ever
    monkeypatch.setattr(lines, "SHRINK_TRIES", 1)
    again = lines.LINES.replay(found.case, 1)
    assert again is not None
    assert again.what == found.what
    monkeypatch.undo()
    assert lines.LINES.replay(found.case, 1) is None


# --- its parts --------------------------------------------------------------------------------------------------------
def test_a_piece_is_the_same_line_for_any_pen() -> None:
    talk = Talk()
    talk.greeted("0123456789abcdef", 41)
    line = rendered(plain("arm", zone="null"), talk)
    assert line == wire.encode_request("arm", 42, {"nonce": "0123456789abcdef", "zone": None})
    assert rendered(Piece(b"x", End.OPEN), talk) == b"x*8cdc1683"


def test_each_way_to_end_a_line_but_the_right_one_is_refused() -> None:
    talk = Talk()
    talk.greeted("0123456789abcdef", 0)
    for end in End:
        line = rendered(Piece(plain("ping").body, end), talk)
        line += b"" if line.endswith(b"\n") else b"\n"
        if end in (End.RIGHT, End.OPEN):
            assert wire.decode_request(line).method == "ping"
        else:
            with pytest.raises(LineRefusal) as refused:
                wire.decode_request(line)
            assert refused.value.code in (faults.WIRE_BAD_CRC, faults.WIRE_BAD_FORM)


def test_the_corpus_grows_by_what_is_new_and_by_nothing_else() -> None:
    corpus = Corpus()
    before = len(corpus.pieces)
    assert corpus.saw(Piece(b"one"), [1, 2])
    assert not corpus.saw(Piece(b"two"), [2, 1])
    assert corpus.saw(Piece(b"three"), [2, 3])
    assert not corpus.saw(Piece(b"three"), [4])
    assert [piece.body for piece in corpus.pieces[before:]] == [b"one", b"three"]
    assert corpus.features == 4


def test_the_frozen_corpus_is_there_and_every_piece_can_be_said() -> None:
    talk = Talk()
    pieces = lines_corpus.frozen()
    assert len(pieces) == len(set(pieces)) > 50
    assert all(len(rendered(piece, talk)) > 0 for piece in pieces)
