"""What no text of the project may hold: claims, machine paths, unfinished work. Host only.

Each rule takes a path and a text and yields what breaks it.
"""

import io
import re
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

LINES_MAX = 600
"""Longest code file: what no longer fits is two things."""

# Assembled, so that this file passes its own rule.
_MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:work|root|home|Users|opt|tmp|private|mnt)" + "/",
            r"[A-Z]:\\+" + "Users",
            r"\b(?:files\.pythonhosted|pypi|npmjs|crates|rubygems)\." + r"(?:org|com|io)\b",
            r"\bregistry\.\w+\." + r"(?:org|com)\b",
            r"\b(?:deb|security|ftp)\.debian\." + r"org\b",
        ]
    )
)
_IGNORED = re.compile(r"#\s*(?:type:\s*ignore(?:\[[\w, -]*\])?|noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?)")
_REASON = re.compile(r"\s{2,}# \S")
_UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
_SKIPPED = re.compile(
    r"pytest\.(?:mark\.)?(?:skip|xfail|importor" + r"skip)|unittest\.skip|\brer" + r"uns?\b|\bfla" + r"ky\b"
)

_CLAIMS = tomllib.loads((Path(__file__).parent / "claims.toml").read_text(encoding="utf-8"))
FORBIDDEN_CLAIMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (entry["why"], re.compile(entry["pattern"], re.IGNORECASE)) for entry in _CLAIMS["forbidden"]
)
ALLOWED_SENTENCES: tuple[str, ...] = tuple(_CLAIMS["allowed"])
DENIALS = re.compile(r"\b(?:no|not|never|nothing|neither|nor|refuses?)\b", re.IGNORECASE)


def machine_findings(path: str, text: str) -> Iterator[str]:
    """Yield paths of somebody's machine and hosts of package registries."""
    yield from _per_line(path, text, _MACHINE, "names a machine's path or a registry's host")


def unfinished_findings(path: str, text: str) -> Iterator[str]:
    """Yield marks of unfinished work."""
    yield from _per_line(path, text, _UNFINISHED, "unfinished work belongs into no file")


def skip_findings(path: str, text: str) -> Iterator[str]:
    """Yield tests that are skipped, expected to fail, or run again until they pass."""
    yield from _per_line(path, text, _SKIPPED, "a test runs, and passes at once")


def reason_findings(path: str, text: str) -> Iterator[str]:
    """Yield every comment `type: ignore` or `noqa` that has no reason beside it, after two spaces and a #."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        ignored = _IGNORED.search(token.string) if token.type == tokenize.COMMENT else None
        if ignored is not None and not _REASON.match(token.string, ignored.end()):
            yield f"{path}:{token.start[0]}: {ignored.group()!r} says no reason beside it"


def length_findings(path: str, text: str) -> Iterator[str]:
    """Yield a code file of more than LINES_MAX lines."""
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{path}: {lines} lines, at most {LINES_MAX}"


def plain(text: str) -> str:
    """Return `text` as one line without the marks of Markdown and comments, to compare sentences by."""
    unmarked = re.sub(r"^\s*(?:#+|>|[-*])\s+", "", text, flags=re.MULTILINE)
    return " ".join(re.sub(r"[*`\"]", "", unmarked).replace("|", " ").split())


def claim_findings(path: str, text: str, allowed: Sequence[str] = ALLOWED_SENTENCES) -> Iterator[str]:
    """Yield every claim the project must not make; a sentence of `allowed` is passed over where it stands whole."""
    rest = plain(text)
    for sentence in allowed:
        rest = rest.replace(plain(sentence), " ")
    for why, pattern in FORBIDDEN_CLAIMS:
        for match in pattern.finditer(rest):
            around = rest[max(0, match.start() - 60) : match.end() + 60]
            yield f"{path}: {match.group()!r} ({why}) in: ...{around}..."


def _per_line(path: str, text: str, pattern: re.Pattern[str], why: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        match = pattern.search(line)
        if match is not None:
            yield f"{path}:{number}: {match.group()!r}: {why}"
