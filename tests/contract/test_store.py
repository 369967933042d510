"""The words of the Store port, held by every store."""

import pytest

from tests.contract.rigs import Rig


def test_a_file_that_is_not_there(rig: Rig) -> None:
    assert rig.store.size("ledger.bin") == -1
    assert "ledger.bin" not in rig.store.names()
    with pytest.raises(OSError):  # noqa: PT011  # the number differs between flash and dict; the kind is the contract
        rig.store.read("ledger.bin", 0, 1)


def test_appending_makes_and_extends_a_file(rig: Rig) -> None:
    rig.store.append("ledger.bin", b"one")
    rig.store.append("ledger.bin", b"two")
    assert rig.store.size("ledger.bin") == 6
    assert rig.store.read("ledger.bin", 0, 6) == b"onetwo"
    assert rig.store.names() == ["ledger.bin"]


def test_reading_ends_with_the_file(rig: Rig) -> None:
    rig.store.append("ledger.bin", bytes(range(100)))
    assert rig.store.read("ledger.bin", 90, 20) == bytes(range(90, 100))
    assert rig.store.read("ledger.bin", 100, 20) == b""
    assert rig.store.read("ledger.bin", 10, 5) == bytes(range(10, 15))


def test_an_empty_append_makes_an_empty_file(rig: Rig) -> None:
    rig.store.append("empty.bin", b"")
    assert rig.store.size("empty.bin") == 0


def test_renaming_replaces(rig: Rig) -> None:
    rig.store.append("ledger.bin", b"old and long")
    rig.store.append("ledger.bin.new", b"new")
    rig.store.rename("ledger.bin.new", "ledger.bin")
    assert rig.store.names() == ["ledger.bin"]
    assert rig.store.read("ledger.bin", 0, 100) == b"new"


def test_removing(rig: Rig) -> None:
    rig.store.append("a.bin", b"a")
    rig.store.append("b.bin", b"b")
    rig.store.remove("a.bin")
    assert rig.store.names() == ["b.bin"]
    assert rig.store.size("a.bin") == -1


def test_a_file_of_many_blocks_is_read_as_it_was_written(rig: Rig) -> None:
    data = bytes(index * 7 % 251 for index in range(20_000))
    for at in range(0, len(data), 640):
        rig.store.append("big.bin", data[at : at + 640])
    assert rig.store.size("big.bin") == len(data)
    assert rig.store.read("big.bin", 0, len(data)) == data
    assert rig.store.read("big.bin", 4090, 20) == data[4090:4110]
