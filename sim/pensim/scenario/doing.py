"""What a scenario's host does, act by act. Host only.

Each method raises the pen's Refusal, TimeoutError when the pen says nothing, ValueError for what can't be said at all.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pencore import course, faults, wire
from pencore.digest import sha256, to_hex
from pencore.faults import Refusal
from pencore.lines import STOP_BYTE
from pencore.profile import Profile
from pencore.units import DAY_S
from pensim.scenario import profiles
from pensim.scenario.client import hello_params
from pensim.scenario.form import Finding
from pensim.scenario.model import Act
from pensim.scenario.profiles import Filling
from pensim.scenario.targets import CHANGE_MS

if TYPE_CHECKING:
    from pensim.scenario.run import Player

FIRST_DAY_S = 1_800_000_000
"""When a scenario's first session is issued on a pen without a past: January 2027, in seconds since 1970."""
_CHUNK = 384
_VISIT_MS = 60_000
_STATES = wire.STATE_NAMES
_RUNNING = _STATES[wire.RUNNING]
_NAMES = {name: code for code, name in faults.NAMES.items()}
_DEFAULT_REASON = "scenario"

Keys = Mapping[str, Any]


class HostActs:
    """The host of one run; remembers what it has loaded."""

    def __init__(self, run: "Player") -> None:
        self._run = run
        self._day = 0
        self._first_day_s = 0
        self._accepted = b""
        self._visits = 0
        self._within_ms = 0
        self._insist = True
        self._wanted = ""
        self._acts: dict[str, Callable[[Keys], object]] = {
            "wait": lambda _: None,
            "hello": self._hello,
            "load": self._load,
            "arm": self._arm,
            "zone": self._zone,
            "pause": lambda _: self._ask("pause"),
            "stop": self._stop,
            "stop_request": lambda _: self._ask("stop"),
            "finish": self._finish,
            "clear": lambda _: self._ask("clear"),
            "clock_correct": self._clock_correct,
            "ping": lambda _: self._ask("ping"),
            "status": lambda _: self._ask("status"),
            "pull": lambda _: run.pull(self._within_ms),
            "ack": self._ack,
            "visit": self._visit,
            "ask": lambda keys: self._ask(keys["method"], **_params(keys)),
            "line": self._line,
            "bytes": self._bytes,
            "damaged": self._damaged,
            "wrong_nonce": self._wrong_nonce,
            "stale_id": self._stale_id,
            "reused_id": self._reused_id,
            "replay": self._replay,
            "silent": lambda _: self._silent(True),
            "back": lambda _: self._silent(False),
            "deaf": lambda _: self._read(False),
            "hearing": lambda _: self._read(True),
            "unplug": lambda _: self._plug(False),
            "plug": lambda _: self._plug(True),
            "tamper": self._tamper,
        }

    def do(self, act: Act) -> None:
        """Carry out one act."""
        self._within_ms = act.timing.within_ms
        self._wanted = act.refused
        # Whoever wants to see a pen that is BUSY must not ask until it isn't.
        self._insist = act.refused != faults.NAMES[faults.BUSY]
        self._acts[act.do](act.keys)

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._run.ask(method, params, self._within_ms, insist=self._insist)

    def _told(self, what: str) -> None:
        self._run.log("host", what)

    # --- who, what, when ---------------------------------------------------------------------------------------------
    def _hello(self, keys: Keys) -> None:
        if "protocol_major" in keys:
            self._ask("hello", **hello_params(keys["protocol_major"]))
        else:
            self._ask("hello", **hello_params())

    def _filling(self) -> Filling:
        """Return what the pen's hello says must be filled in; remembers the scenario's first session and day."""
        run = self._run
        hello = run.client.hello
        if not hello:
            raise ValueError("the pen was never greeted")
        if not self._first_day_s:
            floor_s = hello["time_floor"]
            self._first_day_s = max(FIRST_DAY_S, floor_s + DAY_S if floor_s else 0, hello["calibrated_at"])
            run.first_session = hello["session_id"]
        suffix = f"~{run.first_session}" if run.first_session > 1 else ""
        issued_at = self._first_day_s + self._day * DAY_S + run.target.clock_off_s
        return Filling(
            hello["serial"] or "-", hello["session_id"], bytes.fromhex(hello["ledger_head"]), issued_at, suffix
        )

    # --- load --------------------------------------------------------------------------------------------------------
    def _load(self, keys: Keys) -> None:
        if keys.get("again"):
            if not self._accepted:
                raise ValueError("the pen has accepted no profile yet")
            self._transfer(self._accepted, keys)
            return
        day = self._day
        self._day = keys.get("day", self._day)
        try:
            # What the pen names has moved on since: the host asks again, as it does before every load.
            if self._run.client.greeted:
                self._run.quiet("hello", hello_params())
            made = self._made(keys)
            try:
                data = profiles.encode(made, self._run.scenario.key_id, keys.get("sign", "right"))
            except Refusal as refusal:
                raise ValueError(f"this profile has no binary form: {refusal}") from None
            if "patch" in keys:
                data = profiles.patched(data, keys["patch"], keys.get("reseal", False))
            data = data[: len(data) - keys.get("drop", 0)]
            self._transfer(data, keys)
        except BaseException:
            self._day = day
            raise
        self._remember(made, data)

    def _made(self, keys: Keys) -> Profile:
        table = profiles.changed(self._run.scenario.profile, keys.get("with", {}), ())
        if isinstance(table, Finding):
            raise ValueError(table.message)
        made = profiles.fill(table, self._filling())
        made.session_id = keys.get("session_id", made.session_id)
        made.serial = keys.get("serial", made.serial)
        if "ledger_head" in keys:
            made.ledger_head = bytes.fromhex(keys["ledger_head"])
        return made

    def _transfer(self, data: bytes, keys: Keys) -> None:
        digest = keys.get("announce_sha256", to_hex(sha256(data)))
        self._ask("load.begin", size=keys.get("announce_size", len(data)), sha256=digest)
        for offset in range(0, len(data), _CHUNK):
            self._ask("load.chunk", offset=offset, data=data[offset : offset + _CHUNK])
        self._ask("load.commit")

    def _remember(self, made: Profile, data: bytes) -> None:
        run = self._run
        self._accepted = data
        run.session = made.session_id
        for zone, budget in enumerate(profiles.budgets(made, run.client.hello)):
            run.budgets[run.label(zone)] = budget
        run.keep_inside()

    # --- the session -------------------------------------------------------------------------------------------------
    def _arm(self, keys: Keys) -> None:
        run = self._run
        if run.client.state == _STATES[wire.LOADED]:
            run.keep_inside()
        self._ask("arm", zone=keys.get("zone"))
        if not keys.get("wait", True):
            return
        if not run.wait_for(lambda: run.client.state != _STATES[wire.HOMING], self._within_ms):
            raise TimeoutError("the pen is homing without end")
        if run.client.state in (_STATES[wire.LOADED], _STATES[wire.FAULT]):
            code = run.client.fault if run.client.state == _STATES[wire.FAULT] else run.client.code
            raise Refusal(_NAMES.get(code, faults.INTERNAL), "arm")
        run.allow_zone(self._zone_at_work())

    def _zone_at_work(self) -> int:
        number = self._run.client.request("status", {}, quiet=True)
        values = self._run.answered(number, self._within_ms).values
        return -1 if values.get("zone") is None else int(values["zone"])

    def _zone(self, keys: Keys) -> None:
        run = self._run
        self._ask("zone.select", zone=keys["zone"])
        if not keys.get("wait", True):
            return
        end = run.now_ms() + self._within_ms
        while self._zone_at_work() != keys["zone"]:
            if run.now_ms() >= end:
                raise TimeoutError("the zone does not change")
            run.wait_for(lambda: False, 20)
        run.allow_zone(keys["zone"])

    def _stop(self, _: Keys) -> None:
        self._told("the stop byte")
        self._run.client.send(bytes((STOP_BYTE,)))

    def _finish(self, keys: Keys) -> None:
        run = self._run
        self._ask("finish")
        sealing = _STATES[wire.SEALING]
        if keys.get("wait", True) and not run.wait_for(lambda: run.client.state != sealing, self._within_ms):
            raise TimeoutError("the pen is sealing without end")

    def _clock_correct(self, keys: Keys) -> None:
        self._hello({})
        hello = self._run.client.hello
        self._filling()
        time_s = self._first_day_s + keys["day"] * DAY_S + self._run.target.clock_off_s
        reason = keys.get("reason", _DEFAULT_REASON)
        key_id = self._run.scenario.key_id
        sign = keys.get("sign", "right")
        key = profiles.KEY if sign != "wrong" else bytes(32)
        signed = sign != "none" and (key_id or sign != "right")
        number = key_id + 1 if sign == "unknown-key" else key_id

        def correction(request_id: int) -> dict[str, Any]:
            hmac = course.correction_hmac(key, hello["serial"], hello["nonce"], request_id, time_s, reason)
            said = {"key_id": number, "hmac": to_hex(hmac)} if signed else {"key_id": 0, "hmac": "00" * 32}
            return {"time": time_s, "reason": reason, **said}

        self._run.ask("clock.correct", correction, self._within_ms, insist=self._insist)

    def _ack(self, keys: Keys) -> None:
        run = self._run
        if not run.records and "sha256" not in keys:
            raise ValueError("no record was pulled")
        last = run.records[-1].session if run.records else run.first_session
        session = run.first_session + keys["session"] - 1 if "session" in keys else last
        found = [sealed.digest for sealed in run.records if sealed.session == session]
        digest = keys.get("sha256", to_hex(found[0]) if found else "00" * 32)
        self._ask("record.ack", session=session, sha256=digest)

    def _visit(self, keys: Keys) -> None:
        """Work through whole sessions; of each, every zone in turn."""
        run = self._run
        for _ in range(keys.get("count", 1)):
            self._visits += 1
            name = f"visit-{self._visits}"
            run.hands("cartridge", {"closed": False}, ())
            run.wait_for(lambda: False, CHANGE_MS)
            run.hands("cartridge", {"closed": True}, ())
            run.wait_for(lambda: False, 50)
            self._load({"with": {"course.id": name, "course.index": 1, "cartridge.id": name}})
            zones = len(run.scenario.profile["zone"])
            self._arm({})
            for zone in range(zones):
                if zone:
                    self._zone({"zone": zone})
                run.wait_for(lambda: False, 150)
                run.hands("press", {}, ())
                run.wait_for(lambda: run.client.state == _RUNNING, self._within_ms)
                if not run.wait_for(lambda: run.client.state != _RUNNING, _VISIT_MS):
                    raise TimeoutError("the zone is not spent")
                run.hands("release", {}, ())
            if not run.wait_for(lambda: run.client.state == _STATES[wire.SAFE], self._within_ms):
                raise TimeoutError("the session is not sealed")

    # --- lines and bytes ---------------------------------------------------------------------------------------------
    def _outcome(self, number: int, complaints: int) -> None:
        """Wait for the answer under `number` (0: none) or a complaint, if a refusal is wanted; raise it."""
        run = self._run
        client = run.client

        def told() -> bool:
            return len(client.complaints) > complaints or number in client.answers

        if not self._wanted and not number:
            return
        if not run.wait_for(told, self._within_ms):
            raise TimeoutError("no answer, no complaint")
        if number in client.answers:
            refusal = client.answers[number].refusal
            if refusal is not None:
                raise refusal
            run.answer = dict(client.answers[number].values)
        elif len(client.complaints) > complaints:
            # It counts among the refusals already.
            refusal = client.complaints.pop()
            raise refusal

    def _line(self, keys: Keys) -> None:
        client = self._run.client
        complaints = len(client.complaints)
        line, number = client.framed(keys["text"])
        self._told(f"the line {keys['text']}")
        if number:
            client.send_line(line, number, "ping")
        else:
            client.send(line)
        self._outcome(number, complaints)

    def _bytes(self, keys: Keys) -> None:
        client = self._run.client
        complaints = len(client.complaints)
        data = bytes.fromhex(keys["hex"]) if "hex" in keys else str(keys.get("text", "")).encode()
        repeat = keys.get("repeat", 1)
        self._told(f"{len(data) * repeat} bytes: {data[:16]!r}")
        client.send(data * repeat)
        self._outcome(0, complaints)

    def _damaged(self, keys: Keys) -> None:
        client = self._run.client
        complaints = len(client.complaints)
        method = keys.get("method", "ping")
        line = client.damaged(method, _params(keys), keys.get("at", 30), keys.get("mask", 1))
        self._told(f"{method}, damaged on the way")
        client.send(line)
        self._outcome(0, complaints)

    def _forged(self, keys: Keys, nonce: str | None = None, number: int = 0) -> None:
        client = self._run.client
        complaints = len(client.complaints)
        sent = client.forged(keys.get("method", "ping"), _params(keys), nonce=nonce, number=number)
        self._outcome(sent, complaints)

    def _wrong_nonce(self, keys: Keys) -> None:
        self._forged(keys, nonce=self._run.client.other_nonce)

    def _stale_id(self, keys: Keys) -> None:
        self._ask("ping")
        self._ask("ping")
        self._forged(keys, number=self._run.client.last_id - 1)

    def _reused_id(self, keys: Keys) -> None:
        self._ask("ping")
        # Another request under that id, not the same one again.
        self._forged({"method": "status", **keys}, number=self._run.client.last_id)

    def _replay(self, _: Keys) -> None:
        run = self._run
        client = run.client
        if not client.last_line:
            raise ValueError("no request was made yet that could be sent once more")
        number = client.last_id
        before = client.raw(number)
        client.answers.pop(number, None)
        self._told("the last line once more")
        client.send(client.last_line)
        message = run.answered(number, self._within_ms)
        run.same = client.same_again(number, before)
        if message.refusal is not None:
            raise message.refusal

    # --- the host itself ---------------------------------------------------------------------------------------------
    def _silent(self, silent: bool) -> None:
        self._told("falls silent" if silent else "is back")
        self._run.client.silent = silent

    def _read(self, reading: bool) -> None:
        self._told("reads again" if reading else "reads no more")
        self._run.target.reading = reading

    def _plug(self, plugged: bool) -> None:
        run = self._run
        self._told("puts the cable back" if plugged else "pulls the cable")
        run.client.forget_line()
        run.plugged = plugged
        run.target.plug(plugged)

    def _tamper(self, keys: Keys) -> None:
        how = keys["how"]
        self._told(f"tampers with {keys['file']}: {how}")

        def change(data: bytes) -> bytes | None:
            if how == "remove":
                return None
            if how == "cut":
                return data[: max(0, len(data) - keys.get("bytes", 1))]
            body = bytearray(data)
            for at, bit in keys.get("at", [[0, 0]]):
                if not -len(body) <= at < len(body) or not 0 <= bit < 8:
                    raise ValueError(f"{keys['file']} has {len(body)} bytes: there is no bit {bit} of byte {at}")
                body[at] ^= 1 << bit
            return bytes(body)

        try:
            self._run.target.tamper(keys["file"], change)
        except OSError as error:
            raise ValueError(f"{keys['file']} can't be tampered with: {error.strerror or error}") from None


def _params(keys: Keys) -> dict[str, Any]:
    """Return the params of a request as the wire takes them: bytes for what is given as hex digits."""
    params = dict(keys.get("params", {}))
    if "data" in params:
        if not isinstance(params["data"], str):
            raise ValueError("data is given as hex digits")
        params["data"] = bytes.fromhex(params["data"])
    if keys.get("method") in ("arm",) and "zone" not in params:
        params["zone"] = None
    return params
