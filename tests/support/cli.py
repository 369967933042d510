"""One command line, run within the test's process, and what it said."""

import json
from typing import Any

import pytest

from pinprick.cli import main

RESULT_KEYS = {"event", "ok", "exit"}
ERROR_KEYS = {"code", "name", "field", "given", "limit", "hint", "message"}


def settle_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> None:
    """Let the test run in a terminal of so many columns, no colour, whatever terminal it was started in."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "PINPRICK_DEBUG", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)


class Run:
    """What one command line did."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *argv: str) -> None:
        self.exit = main(argv)
        self.out, self.err = capsys.readouterr()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on standard output, each a right event, the last one the result."""
        assert self.err == ""
        events = [json.loads(line) for line in self.out.splitlines()]
        assert [event["event"] == "result" for event in events] == [False] * (len(events) - 1) + [True]
        assert set(events[-1]) >= RESULT_KEYS
        assert events[-1]["exit"] == self.exit
        assert events[-1]["ok"] == (self.exit == 0)
        if self.exit:
            assert set(events[-1]["error"]) == ERROR_KEYS
        return events

    @property
    def result(self) -> dict[str, Any]:
        """The last JSON line."""
        return self.lines[-1]

    @property
    def text(self) -> str:
        """Everything said, without the blanks at the ends of lines; no line wider than the terminal, no trace."""
        said = self.out + self.err
        assert "Traceback" not in said
        return "\n".join(line.rstrip() for line in said.splitlines())
