"""Reading and checking profile files, and filling them in for a pen. Host only; reads files, asks the clock once.

`load_profile` makes a ProfileFile of a file, or raises ValidationFailed with all that is wrong with it; `to_core` makes
of that the profile which `pencore.profile.encode` turns into the pen's bytes.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from pencore import faults
from pencore import profile as core
from pencore.digest import ZERO_DIGEST
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.units import Geometry
from pinprick.clock import now_s
from pinprick.errors import Problem, ValidationFailed
from pinprick.profiles.fill import fill
from pinprick.profiles.findings import form_problems, limit_problem, refusal_path
from pinprick.profiles.model import ProfileFile
from pinprick.profiles.positions import Path
from pinprick.profiles.source import Source, parse, read


def default_bounds() -> Bounds:
    """Return the widest bounds there are: the absolute ones, with the geometry of the reference pen."""
    return Bounds(Geometry())


def load_profile(path: FilePath | str, bounds: Bounds | None = None, issued_at: int | None = None) -> ProfileFile:
    """Return the profile in the file at `path`, checked in form and against `bounds` (the widest when left out).

    `issued_at` (seconds since 1970; now, when left out) is the time that the cartridge's expiry is held against, as a
    UTC day. Raises ValidationFailed with every problem found, InputError CLOCK_WRONG when `now` can't be told.
    """
    return parse_profile(read(FilePath(path)), str(path), bounds, issued_at)


def parse_profile(text: str, file: str = "", bounds: Bounds | None = None, issued_at: int | None = None) -> ProfileFile:
    """Return the profile in `text`, which came from `file`; checked as by `load_profile`."""
    document, source = parse(text, file)
    found, profile_file = _inspect(document, source, bounds or default_bounds(), issued_at)
    if profile_file is None or found:
        raise ValidationFailed(found)
    return profile_file


def check(profile_file: ProfileFile, bounds: Bounds | None = None, issued_at: int | None = None) -> list[Problem]:
    """Return every problem that a pen with `bounds` would have with `profile_file` at `issued_at`; none is []."""
    document = profile_file.model_dump(by_alias=True)
    return _limits(document, profile_file.source, bounds or default_bounds(), issued_at, set())


def to_core(
    profile_file: ProfileFile, serial: str, session_id: int, ledger_head: bytes, issued_at: int
) -> core.Profile:
    """Return `profile_file` filled in for one pen and one session, ready for `pencore.profile.encode`.

    `serial`, `session_id` and `ledger_head` (32 bytes) are what the pen's `hello` names, `issued_at` is in seconds
    since 1970. Nothing is checked here; `check` and the pen itself do that.
    """
    profile = fill(profile_file.model_dump(by_alias=True))
    profile.serial = serial
    profile.session_id = session_id
    profile.ledger_head = ledger_head
    profile.issued_at = issued_at
    return profile


def _inspect(
    document: dict[str, Any], source: Source, bounds: Bounds, issued_at: int | None
) -> tuple[list[Problem], ProfileFile | None]:
    """Return all problems of `document` in the order of its lines, and the ProfileFile if its form is right."""
    found: list[Problem] = []
    unusable: set[Path] = set()
    profile_file = None
    try:
        profile_file = ProfileFile.model_validate(document)
        profile_file._source = source
    except ValidationError as error:
        found, unusable = form_problems(error, document, source)
        # Without its area a zone is nobody's double: its side shall count for nothing either.
        unusable |= {(*path[:-1], "side") for path in unusable if path[0] == "zone" and path[-1] == "area"}
    found += _limits(document, source, bounds, issued_at, unusable)
    found.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return found, profile_file


def _limits(
    document: Mapping[str, Any], source: Source, bounds: Bounds, issued_at: int | None, unusable: set[Path]
) -> list[Problem]:
    profile = fill(document, unusable)
    profile.issued_at = now_s() if issued_at is None else issued_at
    refusals = [refusal for refusal in core.problems(profile, bounds) if not _hearsay(refusal, unusable)]
    if not refusals and not unusable:
        refusals = _unencodable(profile)
    return [limit_problem(refusal, profile, bounds, document, source) for refusal in refusals]


def _unencodable(profile: core.Profile) -> list[Refusal]:
    """Return what the binary form cannot hold although no limit forbids it: an expiry beyond its two bytes, say."""
    try:
        profile.serial = "-"
        profile.ledger_head = ZERO_DIGEST
        core.encode(profile)
    except Refusal as refusal:
        return [refusal]
    return []


_DEPENDS: dict[int, tuple[tuple[str, ...], ...]] = {
    faults.COURSE_INDEX: (("course", "of"),),
    faults.STROKES_ABOVE_SESSION: (("limits", "strokes"),),
}


def _hearsay(refusal: Refusal, unusable: set[Path]) -> bool:
    """Return whether a refusal rests on a value that is unusable, so that what it says may be wrong."""
    rests_on: list[Path] = [refusal_path(refusal), *_DEPENDS.get(refusal.code, ())]
    if refusal.code == faults.RATE_TOO_HIGH:
        rests_on.append(("zone", refusal.zone or 0, "depth_mm"))
    if refusal.code == faults.DEPTH_ABOVE_ZONE_CAP:
        rests_on.append(("zone", refusal.zone or 0, "area"))
    if refusal.code == faults.PROFILE_ZONE_TWICE:
        rests_on += [("zone", index or 0, "side") for index in (refusal.given, refusal.limit)]
    return any(path[:length] in unusable for path in rests_on for length in range(1, len(path) + 1))
