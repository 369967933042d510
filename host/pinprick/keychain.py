"""The computer's own keyring, where clinic keys lie when there is one that can be used. Host only; the only module that
imports the keyring library, and late: loading it takes a quarter of a second.

Only the keyrings of the operating systems themselves are taken (Keychain, Credential Manager, Secret Service, KWallet):
other ones that may be installed keep passwords in plain files, or ask for one at the terminal. What such a keyring says
of a failure is never passed on; it may hold what it was handed: only the kind of failure is told. None is waited for
without end, nor twice: one that wants to be unlocked may ask at a screen that nobody sits at.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from pinprick.errors import KEYRING_FAILED, PinprickError

SERVICE = "pinprick clinic key"
"""What an entry is filed under, with the key's number as its user name."""
_OF_THE_SYSTEM = (
    "keyring.backends.macOS",
    "keyring.backends.Windows",
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
)
"""Modules of the keyrings that are taken."""
_PATIENCE_S = 60.0
"""How long it is waited for somebody who unlocks a keyring, in all that a command asks of it."""
_SOON_S = 1.0
"""How long a keyring that nobody has to unlock takes at most; after that somebody is told what is waited for."""
_FAILURES = {
    "KeyringLocked": "it is locked",
    "PromptDismissedException": "it is locked, and its question was dismissed",
    "LockedException": "it is locked",
    "InitError": "none has been set up yet, or it can't be started",
    "NoKeyringError": "none has been set up yet",
    "SecretServiceNotAvailableException": "its service does not run",
    "DBusErrorResponse": "its service refuses, as one does whose wallet is closed or not set up",
    "PasswordSetError": "it does not take what it is given",
    "PasswordDeleteError": "it does not give up what it has",
}
"""Kind of failure, by the class that a keyring raises -> what that means."""
_SWITCHED_OFF = "keyring.backends.null"
_NONE_FOUND = "keyring.backends.fail"


class _Backend(Protocol):
    @property
    def name(self) -> str: ...

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class Keychain:
    """The keyring in use: `name` says which, "" when there is none that can be used, and `why_none` then says why.

    Its methods raise PinprickError KEYRING_FAILED for one that is locked, or fails otherwise. `waiting` is called once,
    if a keyring lets it be waited.
    """

    def __init__(self, waiting: Callable[[], object] | None = None) -> None:
        self._waiting = waiting
        self._backend, self.why_none = _found()
        self._given_up = False
        self.name = "" if self._backend is None else str(self._backend.name)

    def get(self, number: int) -> str | None:
        """Return what is kept under `number`, None for nothing."""
        backend = self._backend
        return None if backend is None else self._asked("read", lambda: backend.get_password(SERVICE, str(number)))

    def put(self, number: int, secret: str) -> None:
        """Keep `secret` under `number`, and see that it is there."""
        backend = self._backend
        if backend is None:
            raise self._failed("written", self.why_none)
        self._asked("written", lambda: backend.set_password(SERVICE, str(number), secret))
        if self.get(number) != secret:
            raise self._failed("written", "it does not give back what it was given")

    def remove(self, number: int) -> bool:
        """Forget what is kept under `number`; return whether there was anything."""
        backend = self._backend
        if backend is None or self.get(number) is None:
            return False
        self._asked("changed", lambda: backend.delete_password(SERVICE, str(number)))
        if self.get(number) is not None:
            raise self._failed("changed", "it keeps what it was told to forget")
        return True

    def _asked(self, what: str, act: Callable[[], str | None]) -> str | None:
        """Return what `act` does, in a thread that is left behind when it takes too long; nothing is asked then."""
        silent = f"it did not answer in {_PATIENCE_S:g} s"
        if self._given_up:
            raise self._failed(what, silent)
        said: list[str | None] = []
        failed: list[str] = []

        def ask() -> None:
            try:
                said.append(act())
            except Exception as error:  # noqa: BLE001  # each system's keyring raises errors of its own
                failed.append(type(error).__name__)

        asking = threading.Thread(target=ask, name="keyring", daemon=True)
        asking.start()
        asking.join(min(_SOON_S, _PATIENCE_S))
        if asking.is_alive():
            tell, self._waiting = self._waiting, None
            if tell is not None:
                tell()
            asking.join(max(0.0, _PATIENCE_S - _SOON_S))
        if failed:
            raise self._failed(what, f"{_FAILURES.get(failed[0], 'it failed')} ({failed[0]})")
        if not said:
            self._given_up = True
            raise self._failed(what, silent)
        return said[0]

    def _failed(self, what: str, why: str) -> PinprickError:
        message = f"The keyring ({self.name or 'none'}) could not be {what}: {why}."
        return PinprickError(KEYRING_FAILED, message, field="keyring", given=self.name)


def _found() -> tuple[_Backend | None, str]:
    """Return the keyring to use, or None and the reason."""
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend

        chosen = keyring.get_keyring()
        each = list(chosen.backends) if isinstance(chosen, ChainerBackend) else [chosen]
    except Exception:  # noqa: BLE001  # a keyring that can't even be looked for is none; its words may hold anything
        return None, "the keyring library finds none it can load"
    for backend in each:
        if type(backend).__module__.startswith(_OF_THE_SYSTEM):
            return backend, ""
    for backend in each:
        kind = type(backend)
        if kind.__module__ == _SWITCHED_OFF:
            return None, "it is switched off by PYTHON_KEYRING_BACKEND or the keyring library's settings"
        if kind.__module__ != _NONE_FOUND:
            return None, f"{kind.__name__} is not one that Pinprick uses"
    return None, "this computer offers none without a desktop session"
