"""The words of the Link port, held by every link."""

from tests.contract.rigs import Rig


def test_nothing_is_there_before_it_was_sent(rig: Rig) -> None:
    assert rig.link.read() == b""


def test_bytes_arrive_in_order_at_most_512_at_once(rig: Rig) -> None:
    sent = bytes(range(256)) * 5
    rig.send(sent)
    pieces = []
    while piece := rig.link.read():
        assert len(piece) <= 512
        pieces.append(piece)
    assert b"".join(pieces) == sent


def test_what_is_written_arrives_at_the_host(rig: Rig) -> None:
    assert rig.link.room() >= 1024
    assert rig.link.write(b"one line\n") == 9
    assert rig.received() == b"one line\n"


def test_a_host_that_does_not_read_leaves_no_room_and_nothing_blocks(rig: Rig) -> None:
    rig.host_reads(False)
    assert rig.link.room() == 0
    assert rig.link.write(b"lost?\n") == 0
    rig.host_reads(True)
    assert rig.link.write(b"said again\n") == 11
    assert rig.received() == b"said again\n"


def test_no_more_is_taken_than_there_is_room_for(rig: Rig) -> None:
    room = rig.link.room()
    data = b"x" * (room + 100)
    taken = rig.link.write(data)
    assert 0 < taken <= room
    assert rig.received() == data[:taken]
