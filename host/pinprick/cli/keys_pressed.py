"""Single keys from the terminal, as they are pressed. Host only; reads in a thread of its own.

On POSIX the terminal is told to hand over each key at once, not to show it, and not to let Ctrl-Z or Ctrl-S hold up
somebody who watches a pen; Ctrl-C stays what it is. It is put back afterwards. On Windows keys come from the console.
Where there is no terminal to read, no keys come.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_JOIN_S = 2.0
_POLL_S = 0.03
_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.)")
"""What arrows and function keys send: no letter in it is a key."""


def keys_of(text: str) -> str:
    """Return the keys in what a terminal sent, in lower case; arrows and function keys are none of ours."""
    return _SEQUENCE.sub("", text).lower()


if sys.platform == "win32":
    import msvcrt

    def available() -> bool:
        """Return whether keys can be read."""
        return bool(sys.stdin) and sys.stdin.isatty()

    @contextmanager
    def following_keys(pressed: Callable[[str], None]) -> Iterator[None]:
        """Call `pressed` with each key, in a thread of its own, until the block ends."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(_POLL_S):
                while msvcrt.kbhit():
                    char = msvcrt.getwch()
                    if char in "\x00\xe0":
                        msvcrt.getwch()
                    else:
                        pressed(char.lower())

        thread = threading.Thread(target=follow, name="keys", daemon=True)
        if available():
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if thread.is_alive():
                thread.join(_JOIN_S)

else:
    import select
    import termios

    def available() -> bool:
        """Return whether keys can be read: a terminal is there, and this program is the one in front of it."""
        if sys.stdin is None:
            return False
        try:
            descriptor = sys.stdin.fileno()
            return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
        except (OSError, ValueError):
            return False

    @contextmanager
    def following_keys(pressed: Callable[[str], None]) -> Iterator[None]:
        """Call `pressed` with each key, in a thread of its own, until the block ends."""
        if not available():
            yield
            return
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        wake_in, wake_out = socket.socketpair()

        def follow() -> None:
            while True:
                ready = select.select([descriptor, wake_in], [], [])[0]
                if wake_in in ready:
                    return
                try:
                    data = os.read(descriptor, 1024)
                except OSError:
                    return
                if not data:
                    return
                for key in keys_of(data.decode(errors="replace")):
                    pressed(key)

        thread = threading.Thread(target=follow, name="keys", daemon=True)
        termios.tcsetattr(descriptor, termios.TCSANOW, _each_key(before))
        thread.start()
        try:
            yield
        finally:
            wake_out.send(b"\x00")
            thread.join(_JOIN_S)
            wake_in.close()
            wake_out.close()
            with suppress(termios.error):
                # The terminal may be gone.
                termios.tcsetattr(descriptor, termios.TCSANOW, before)

    def _each_key(before: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
        """Return the terminal's settings with which keys come one by one, unseen, and nothing holds up the program."""
        changed = list(before)
        if isinstance(changed[0], int):
            changed[0] &= ~termios.IXON
        if isinstance(changed[3], int):
            changed[3] &= ~(termios.ICANON | termios.ECHO)
        if isinstance(changed[6], list):
            characters = list(changed[6])
            characters[termios.VMIN], characters[termios.VTIME] = 1, 0
            characters[termios.VSUSP] = b"\x00"
            changed[6] = characters
        return changed
