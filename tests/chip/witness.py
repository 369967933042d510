"""Who looks at an emulated pen from outside: its ENABLE pad, all that it says, and what its flash counts.

Nothing here asks the firmware: edges are the pad's, words are the cable's, counts are read from the flash as another
program finds it. `reach` brings a pen into a state, so that something can be done to it there.
"""

from pencore import wire
from pencore.ledger import Ledger
from pensim.chip.pen import ENABLE, ChipHost
from pensim.flash import FlashDevice, FlashImage, SimStore
from tests.chip.bench import ChipBench
from tests.support import profiles

PROMPTS = (b">>>", b"raw REPL", b"MicroPython v", b'Type "help', b"paste mode", b"soft reboot", b"Traceback")
"""What an interpreter says, and a pen never."""
LONG_ZONE: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, profiles.NONE, 200, 60, 30),)
"""A session of two blocks in one zone."""


class _Overheard(ChipHost):
    """The host's end of the cable, of which all that arrives is kept."""

    def __init__(self, pen: ChipBench, said: bytearray) -> None:
        super().__init__(pen.usb_host, lambda: pen.oracle.host_heard(pen.clock.now))
        self._said = said

    def receive(self) -> bytes:
        data = super().receive()
        self._said += data
        return data


class Witness:
    """Sees every edge of the pad and every word of `pen` from now on; `edges`: (tick, driver on)."""

    def __init__(self, pen: ChipBench) -> None:
        self.pen = pen
        self.edges: list[tuple[int, bool]] = []
        self.said = bytearray()
        pen.on_enable = lambda on, at: self.edges.append((at, on))
        pen.host = _Overheard(pen, self.said)

    def forget(self) -> None:
        """Look at what comes from now on alone."""
        self.edges.clear()
        self.said.clear()

    def is_off(self) -> bool:
        """Return whether the pad holds the driver off now."""
        return bool(self.pen.emulator.level(ENABLE)) and not self.pen.plant.energised

    def was_on(self) -> list[int]:
        """Return the ticks at which the driver was switched on."""
        return [at for at, on in self.edges if on]

    def prompts(self) -> list[bytes]:
        """Return which words of an interpreter were said; what has arrived till now is taken in."""
        self.pen.listen()
        return [word for word in PROMPTS if word in self.said]

    def keeps_off_until_it_speaks(self) -> None:
        """Let the pen boot, greet it; AssertionError if the driver is on, or was, at any moment since `forget`."""
        assert self.is_off()
        self.pen.greet()
        assert self.is_off()
        assert self.was_on() == []
        assert self.prompts() == []


def reach(pen: ChipBench, state: int) -> None:
    """Bring a pen that is ARMED into `state`, by what people and hosts do."""
    if state == wire.RUNNING:
        pen.running()
    elif state in (wire.PAUSED, wire.SEALING):
        pen.running()
        pen.release()
        pen.wait_for(wire.PAUSED)
        pen.draw_in()
        pen.keep_inside()
        if state == wire.SEALING:
            pen.insist("finish")
            assert pen.run_until(lambda: pen.flash.busy, 1000)
    elif state != wire.ARMED:
        _reach_by_stop(pen, state)


def _reach_by_stop(pen: ChipBench, state: int) -> None:
    """Stop, and go from there to FAULT, SAFE, LOADED or HOMING."""
    pen.keep_inside()
    pen.stop_button(True)
    pen.wait_for(wire.FAULT)
    pen.stop_button(False)
    if state == wire.FAULT:
        return
    pen.hold(100)
    pen.insist("clear")
    pen.wait_for(wire.SAFE)
    if state == wire.SAFE:
        return
    pen.load_new()
    if state == wire.HOMING:
        pen.insist("arm", zone=0)
        assert pen.run_until(lambda: pen.plant.energised, 1000)


def counted(flash: FlashImage) -> int:
    """Return how many strokes of the open session a flash counts as made or perhaps made; -1 when none is open.

    Read by another program than the pen's, from a copy.
    """
    store = SimStore(FlashDevice(flash.clone()))
    try:
        book = Ledger(store)
        book.replay()
    finally:
        store.close()
    if book.open is None:
        return -1
    # What is reserved is counted from the first stroke on, what is confirmed as well.
    zones = range(len(book.open.reserved))
    return sum(max(book.open.reserved[zone], book.open.counted(zone)) for zone in zones)


def blink(pen: ChipBench, ms: float) -> None:
    """Take the supply away for `ms`."""
    pen.power_cut()
    pen.run_ms(ms)
    pen.power_on()
