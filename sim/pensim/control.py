"""The control channel of a served pen: its hands, for other programs. Host only; a part of `PenServer`'s one loop.

A TCP port on 127.0.0.1. A client's first line is `{"token":"..."}`; with the right one the answer is a `hello`, or a
`refused` and the end when too many clients are there; with any other the connection is closed. From then on each line
is a command of `pensim.hands`, and each has one answer, in the order of that client's commands. Clients don't wait for
one another.

Nobody can hold up the pen or another client: nothing here waits, a line of any length takes no more than `LINE_MOST`
bytes, and from a client that gives commands faster than they are carried out, or doesn't take its answers, no more is
read. What was received whole is carried out even if its client is gone by then; half a line never is.
"""

import contextlib
import hmac
import json
import socket
from collections.abc import Callable, Collection, Iterator

from pensim.hands import Answer, BadCommand, Command

LINE_MOST = 65_536
"""Longest line of a client that has shown its token."""
TOKEN_LINE_MOST = 1024
"""Longest line before that."""
CLIENTS_MOST = 32
"""Clients that have shown the token; whoever else shows it is told so and let go."""
STRANGERS_MOST = 32
"""Connections that have not, yet; of more, the oldest is closed."""
PENDING_MOST = 64
"""Commands of one client that may wait for their answers."""
UNSENT_MOST = 262_144
"""Bytes of answers that may wait for one client before no more of its commands are read."""
_PIECE = 16_384

Sink = Callable[[Answer], None]


class Control:
    """The listening end; `address` is "127.0.0.1:PORT". OSError when `port` (0: any) is taken."""

    def __init__(self, token: str, hello: Answer, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._token = token
        self._hello = hello
        self._clients: list[_Client] = []

    def reading(self) -> list[int]:
        """Return the descriptors that are waited on for something to read."""
        return [self._listener.fileno(), *(client.fileno() for client in self._clients if client.hearing())]

    def writing(self) -> list[int]:
        """Return those that are waited on for room to write."""
        return [client.fileno() for client in self._clients if client.unsent()]

    def hear(self, readable: Collection[int]) -> Iterator[tuple[Command | BadCommand, Sink]]:
        """Take what has come on the `readable` descriptors; yield each command with where its answer goes."""
        for client in self._clients:
            if client.fileno() in readable:
                client.receive()
            for line in client.lines():
                if client.known:
                    yield _command(line), client.expect()
                elif self._right(line):
                    self._welcome(client)
                else:
                    client.close()
        if self._listener.fileno() in readable:
            self._accept()

    def speak(self) -> None:
        """Give every client what it takes of its answers, and let go of those that are done."""
        for client in self._clients:
            client.send()
        self._clients = [client for client in self._clients if not client.closed]

    def close(self) -> None:
        """Close the port and every connection, after a last word that needs no waiting for."""
        self.speak()
        self._listener.close()
        for client in self._clients:
            client.close()

    def _welcome(self, client: "_Client") -> None:
        """Greet a client that has shown the token, if there is room for one more."""
        if sum(other.known for other in self._clients) >= CLIENTS_MOST:
            problem = f"{CLIENTS_MOST} programs have their hands on this pen already"
            client.turn_away({"event": "refused", "do": None, "problem": problem})
            return
        client.known = True
        client.say({"event": "hello", **self._hello})

    def _right(self, line: bytes | None) -> bool:
        command = _command(line)
        given = command.get("token") if not isinstance(command, BadCommand) else None
        # The comparison takes as long for a token that is nearly right as for one that is not.
        return isinstance(given, str) and hmac.compare_digest(
            given.encode(errors="replace"), self._token.encode(errors="replace")
        )

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:
            return
        strangers = [client for client in self._clients if not client.known]
        if len(strangers) >= STRANGERS_MOST:
            strangers[0].close()
            self._clients.remove(strangers[0])
        self._clients.append(_Client(connected))


class _Client:
    """One connection. `known` once it has shown its token, `closed` when there is nothing more to do for it."""

    def __init__(self, connected: socket.socket) -> None:
        self.known = False
        self.closed = False
        self._socket = connected
        self._ended = False
        self._skipping = False
        self._unanswered = 0
        self._in = bytearray()
        self._out = bytearray()
        connected.setblocking(False)
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    def hearing(self) -> bool:
        """Return whether more may be read now."""
        return not self._ended and self._free() and len(self._in) <= LINE_MOST

    def unsent(self) -> bool:
        """Return whether something waits to be sent."""
        return bool(self._out)

    def _free(self) -> bool:
        return not self.closed and self._unanswered < PENDING_MOST and len(self._out) < UNSENT_MOST

    def receive(self) -> None:
        """Take what has come."""
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._ended = not data
        self._in += data

    def lines(self) -> Iterator[bytes | None]:
        """Yield the whole lines that may be acted on now, None for one that was too long; empty ones mean nothing."""
        most = LINE_MOST if self.known else TOKEN_LINE_MOST
        while self._free():
            end = self._in.find(b"\n")
            if end < 0:
                if len(self._in) > most:
                    self._skipping = True
                    self._in.clear()
                    if not self.known:
                        self.close()
                return
            line = bytes(self._in[:end])
            del self._in[: end + 1]
            too_long, self._skipping = self._skipping or len(line) > most, False
            if too_long or line.strip():
                yield None if too_long else line
            most = LINE_MOST if self.known else TOKEN_LINE_MOST

    def expect(self) -> Sink:
        """Note that one more answer is owed; return where it goes."""
        self._unanswered += 1
        return self.answer

    def answer(self, answer: Answer) -> None:
        """Give the answer to the first command that has none yet."""
        self._unanswered -= 1
        self.say(answer)

    def say(self, answer: Answer) -> None:
        """Send one line, as soon as the client takes it."""
        if not self.closed:
            self._out += json.dumps(answer, separators=(",", ":")).encode() + b"\n"

    def turn_away(self, answer: Answer) -> None:
        """Say one last line, and hear no more."""
        self.say(answer)
        self._ended = True
        self._in.clear()

    def send(self) -> None:
        """Send what the client takes; close when it will say no more and has all its answers."""
        try:
            while self._out and not self.closed:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
        if self._ended and not self._unanswered and not self._out and b"\n" not in self._in:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.closed = True
        self._in.clear()
        self._out.clear()
        self._socket.close()


def _command(line: bytes | None) -> Command | BadCommand:
    """Return the command in a line (None: one that was too long), or what is wrong with it."""
    if line is None:
        return BadCommand(f"a line has at most {LINE_MOST} bytes")
    try:
        command = json.loads(line)
    except (ValueError, RecursionError) as problem:
        return BadCommand(f"not JSON: {problem}")
    return command if isinstance(command, dict) else BadCommand("a command is a JSON object")
