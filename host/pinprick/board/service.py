"""Taking a board over from the pen that may run on it, and giving it back. Host only.

A pen's port takes no files, and says nothing to an interpreter's keys: the service button inside the case, held while
the pen is switched on, keeps the port open. So there are two meetings with a pen: one before, only to say why the board
can't be had, and one afterwards, to hear from the pen itself which firmware it runs.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from pinprick.board.install import holds_pen
from pinprick.board.repl import ReplBoard
from pinprick.device import Pen
from pinprick.errors import BOARD_CLOSED, BOARD_DIFFERS, BOARD_NOT_UP, NOT_A_BOARD, Mismatch, NoDevice, PinprickError
from pinprick.told import PenInfo

START_S = 30.0
"""Longest wait for a pen after its reset: it checks every file against the manifest before it answers."""
PEN, PROMPT, START = "pen", "prompt", "start"
"""What is waited for: a pen's answer, MicroPython's prompt, a pen that starts."""
_PAUSE_S = 0.5
_SERVICE = "Hold the service button inside the case while you switch the pen off and on, then run this again."


def answering(port: str) -> PenInfo | None:
    """Return who the pen at `port` is; None when what is there is no pen that answers."""
    try:
        with Pen.open(port) as pen:
            return pen.info
    except PinprickError:
        return None


def taken(port: str, tell: Callable[[str], None] = lambda _what: None) -> ReplBoard:
    """Return the board at `port`, interrupted and not restarted; `tell` hears, before each wait, what for.

    Raises as `ReplBoard`, and BOARD_CLOSED when a pen answers there.
    """
    tell(PROMPT)
    try:
        return ReplBoard(port)
    except NoDevice as error:
        if error.code != NOT_A_BOARD:
            raise
        tell(PEN)
        info = answering(port)
        if info is None:
            raise
    name = f"Pen {info.serial}" if info.serial else "A pen without a serial number"
    raise PinprickError(
        BOARD_CLOSED, f"{name} runs at {port}, and its port takes no files.", field="--port", given=port, hint=_SERVICE
    )


def given_back(board: ReplBoard) -> None:
    """Start the pen on `board` again. A board that holds none is left at its prompt, and an error is nobody's news:
    what the board was taken for is done, or has failed with an error of its own.
    """
    with suppress(PinprickError):
        if holds_pen(board):
            board.reset()


def started(
    port: str,
    identity: str,
    *,
    within_s: float | None = None,
    ask: Callable[[str], PenInfo | None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> PenInfo:
    """Return what the pen at `port` says of itself once it answers after a reset; `ask` asks it, else `answering`.

    Raises NoDevice BOARD_NOT_UP when it doesn't within `within_s` (START_S when left out), and Mismatch BOARD_DIFFERS
    when the firmware that it runs is not the build `identity`.
    """
    asked = answering if ask is None else ask
    patience_s = START_S if within_s is None else within_s
    end_s = clock() + patience_s
    while True:
        info = asked(port)
        if info is not None:
            break
        if clock() >= end_s:
            message = f"All files are on the board, but no pen answers at {port} after {patience_s:.0f} s."
            raise NoDevice(BOARD_NOT_UP, message, field="--port", given=port)
        pause(_PAUSE_S)
    check_running(info, identity)
    return info


def check_running(info: PenInfo, identity: str, hint: str = "") -> None:
    """Refuse a pen that runs another build than `identity`; Mismatch BOARD_DIFFERS, with what to do if that isn't to
    install it once more.
    """
    if info.build != identity:
        message = f"The pen runs build {info.build}, not {identity}."
        raise Mismatch(BOARD_DIFFERS, message, field="build", given=info.build, limit=identity, hint=hint)
