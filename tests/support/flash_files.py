"""The files of a pen that is switched off: read them from its flash, or put others in their place."""

from collections.abc import Iterator
from contextlib import contextmanager

from pencore.ledger import Ledger
from pensim.flash import FlashDevice, FlashImage, SimStore, Snapshot


@contextmanager
def _opened(image: FlashImage) -> Iterator[SimStore]:
    store = SimStore(FlashDevice(image))
    try:
        yield store
    finally:
        store.close()


def names(flash: Snapshot) -> list[str]:
    """Return the names of the files outside of folders."""
    with _opened(FlashImage(flash)) as store:
        return sorted(store.names())


def read(flash: Snapshot, name: str) -> bytes:
    """Return a file whole."""
    with _opened(FlashImage(flash)) as store:
        return store.read(name, 0, store.size(name))


def rewritten(flash: Snapshot, name: str, data: bytes) -> Snapshot:
    """Return the flash with other contents in a file."""
    image = FlashImage(flash)
    with _opened(image) as store:
        store.remove(name)
        store.append(name, data)
    return image.snapshot()


def journal(flash: Snapshot) -> Ledger:
    """Return what the journal says to a fresh reader."""
    with _opened(FlashImage(flash)) as store:
        book = Ledger(store)
        book.replay()
    return book
