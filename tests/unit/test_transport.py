"""Ways to a pen: bytes arrive as they were sent, nothing waits for ever, every trouble has a code of its own."""

import errno
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from pinprick import errors
from pinprick.errors import InputError, NoDevice
from pinprick.transport import POLL_S, WRITE_TIMEOUT_S, PipeTransport, SerialTransport, Transport

ALL_BYTES = bytes(range(256))


class Pty:
    """A pseudo-terminal whose master the test holds."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        os.close(slave)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.master, size - len(data))
        return data

    def leave(self) -> None:
        os.close(self.master)
        self.master = -1

    def end(self) -> None:
        if self.master >= 0:
            os.close(self.master)


class Peer:
    """A socket that the test holds: the other end of a pipe or of a TCP connection."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.socket.recv(size - len(data))
        return data

    def leave(self) -> None:
        self.socket.close()

    end = leave


Joined = tuple[Transport, Pty | Peer]


@pytest.fixture(params=["pty", "tcp", "pipe"])
def joined(request: pytest.FixtureRequest) -> Iterator[Joined]:
    """Return a transport and what is at its other end."""
    peer: Pty | Peer
    transport: Transport
    if request.param == "pty":
        peer = Pty()
        transport = SerialTransport(peer.name)
    elif request.param == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as server:
            transport = SerialTransport(f"socket://127.0.0.1:{server.getsockname()[1]}")
            peer = Peer(server.accept()[0])
    else:
        ours, theirs = socket.socketpair()
        transport, peer = PipeTransport(ours), Peer(theirs)
    yield transport, peer
    transport.close()
    peer.end()


def insist(act: Callable[[], object], times: int = 3) -> None:
    """Do it some times: a connection that breaks is not always noticed at the first."""
    for _ in range(times):
        act()


def read_all(transport: Transport, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = transport.read(5.0)
        assert piece, f"{len(data)} of {size} bytes"
        data += piece
    return data


def test_every_byte_arrives_as_it_was_sent_both_ways(joined: Joined) -> None:
    transport, peer = joined
    transport.write(ALL_BYTES)
    assert peer.receive(256) == ALL_BYTES
    peer.send(ALL_BYTES)
    assert read_all(transport, 256) == ALL_BYTES


def test_much_arrives_in_few_reads(joined: Joined) -> None:
    transport, peer = joined
    data = bytes(index % 251 for index in range(100_000))
    sender = threading.Thread(target=peer.send, args=(data,))
    sender.start()
    received, reads = b"", 0
    while len(received) < len(data):
        received += transport.read(5.0)
        reads += 1
    sender.join()
    assert received == data
    assert reads < 1000  # never byte by byte


def test_a_read_waits_no_longer_than_it_is_told(joined: Joined) -> None:
    transport, _ = joined
    begin = time.monotonic()
    assert transport.read(0.1) == b""
    assert 0.09 <= time.monotonic() - begin < 1.0
    begin = time.monotonic()
    assert transport.read(0.0) == b""
    assert time.monotonic() - begin < 0.1


def test_a_read_returns_at_the_first_byte(joined: Joined) -> None:
    transport, peer = joined
    timer = threading.Timer(0.05, peer.send, (b"x",))
    timer.start()
    begin = time.monotonic()
    assert transport.read(5.0) == b"x"
    assert time.monotonic() - begin < 2.0


def test_the_other_end_going_away_is_a_lost_link(joined: Joined) -> None:
    transport, peer = joined
    peer.leave()
    with pytest.raises(NoDevice) as caught:
        insist(lambda: transport.read(0.5))
    assert caught.value.code == errors.LINK_LOST
    with pytest.raises(NoDevice) as caught:
        insist(lambda: transport.write(b"x"))
    assert caught.value.code == errors.LINK_LOST


def test_a_write_gives_up_on_a_reader_that_does_not_read(joined: Joined) -> None:
    transport, _ = joined
    begin = time.monotonic()
    with pytest.raises(NoDevice) as caught:
        insist(lambda: transport.write(bytes(100_000)), 1000)
    assert caught.value.code == errors.LINK_LOST
    assert "does not take" in caught.value.message
    assert time.monotonic() - begin < 10 * WRITE_TIMEOUT_S


def test_closing_twice_and_using_it_afterwards(joined: Joined) -> None:
    transport, _ = joined
    begin = time.monotonic()
    transport.close()
    transport.close()
    assert time.monotonic() - begin < 0.25  # pyserial alone sleeps 0.3 s after closing a socket
    for use in (lambda: transport.write(b"x"), lambda: transport.read(0.0)):
        with pytest.raises(NoDevice) as caught:
            use()
        assert caught.value.code == errors.LINK_LOST


def test_a_port_in_use_is_not_shared() -> None:
    peer = Pty()
    first = SerialTransport(peer.name)
    with pytest.raises(NoDevice) as caught:
        SerialTransport(peer.name)
    assert caught.value.code == errors.PORT_IN_USE
    assert caught.value.exit_code == errors.EXIT_NO_DEVICE
    first.close()
    SerialTransport(peer.name).close()
    peer.end()


@pytest.mark.parametrize("port", ["/dev/there-is-no-such-port", "COM99", "relative/name"])
def test_a_port_that_is_not_there(port: str) -> None:
    with pytest.raises(NoDevice) as caught:
        SerialTransport(port)
    assert caught.value.code == errors.NO_DEVICE
    assert port in caught.value.message
    assert caught.value.given == port


def test_a_file_or_a_folder_is_no_port(tmp_path: Path) -> None:
    file = tmp_path / "profile.toml"
    file.write_text("schema = 1")
    for path in (file, tmp_path):
        with pytest.raises(NoDevice) as caught:
            SerialTransport(str(path))
        assert caught.value.code == errors.NO_DEVICE
        assert "is not a serial port" in caught.value.message
    assert file.read_text() == "schema = 1"


@pytest.mark.parametrize(
    ("port", "error", "code"),
    [
        ("/dev/ttyACM0", serial.SerialException(errno.EACCES, "could not open port"), errors.PORT_DENIED),
        ("/dev/ttyACM0", serial.SerialException(errno.EBUSY, "could not open port"), errors.PORT_IN_USE),
        # What Windows says of a port that another program holds.
        (
            "COM3",
            serial.SerialException("could not open port: PermissionError(13, 'Access denied')"),
            errors.PORT_IN_USE,
        ),
        ("COM3", serial.SerialException("could not open port: FileNotFoundError(2, ...)"), errors.NO_DEVICE),
    ],
)
def test_what_the_system_says_of_a_port(
    monkeypatch: pytest.MonkeyPatch, port: str, error: Exception, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(NoDevice) as caught:
        SerialTransport(port)
    assert caught.value.code == code
    assert port in caught.value.message


def test_nobody_listens_at_a_tcp_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(NoDevice) as caught:
        SerialTransport(port)
    assert caught.value.code == errors.NO_DEVICE
    assert port in caught.value.message


@pytest.mark.parametrize("port", ["nonsense://x", ""])
def test_what_cannot_be_a_port_is_a_wrong_argument(port: str) -> None:
    with pytest.raises(InputError) as caught:
        SerialTransport(port)
    assert caught.value.code == errors.USAGE


@pytest.mark.parametrize("port", ["socket://127.0.0.1", "SOCKET://pen", "socket://127.0.0.1:", "socket://[::1]"])
def test_a_tcp_port_without_its_number_says_what_it_lacks(port: str) -> None:
    with pytest.raises(InputError) as caught:
        SerialTransport(port)
    assert caught.value.code == errors.USAGE
    assert "no port number" in caught.value.message
    assert "socket://host:port" in caught.value.hint


def test_a_port_that_was_named_is_not_asked_for_again() -> None:
    with pytest.raises(NoDevice) as caught:
        SerialTransport("/dev/there-is-no-such-port")
    assert "--port" not in caught.value.hint
    assert "devices --all" in caught.value.hint


def test_a_port_without_a_descriptor_is_read_in_slices() -> None:
    # As on Windows; pyserial's loop-back port has none either.
    transport = SerialTransport("loop://")
    begin = time.monotonic()
    assert transport.read(4 * POLL_S) == b""
    assert 3 * POLL_S < time.monotonic() - begin < 1.0
    transport.write(ALL_BYTES)
    assert read_all(transport, 256) == ALL_BYTES
    transport.close()


def test_what_a_tcp_port_sends_at_once_is_kept_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever never stops sending would else keep even a stop from being sent."""
    connect = socket.create_connection
    greeting = ALL_BYTES * 40
    with socket.create_server(("127.0.0.1", 0)) as server:
        peers = []

        def greeted(*arguments: Any, **more: Any) -> socket.socket:
            connected = connect(*arguments, **more)
            peers.append(Peer(server.accept()[0]))
            peers[0].send(greeting)
            assert select.select([connected], [], [], 5.0)[0]
            return connected

        monkeypatch.setattr(socket, "create_connection", greeted)
        transport = SerialTransport(f"socket://127.0.0.1:{server.getsockname()[1]}")
    assert read_all(transport, len(greeting)) == greeting
    transport.close()
    peers[0].end()


def test_a_stop_byte_over_tcp_waits_for_no_acknowledgement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = SerialTransport(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer = Peer(server.accept()[0])
    assert transport._socket is not None
    assert transport._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.close()
    peer.end()
