"""Changing values in a profile file while its comments, order and spacing stay. Host only; pure."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from pinprick.errors import FIELD_PLACEHOLDER, TOML_SYNTAX, Problem, ValidationFailed
from pinprick.profiles.model import ProfileFile
from pinprick.profiles.positions import Path, path_text

PLACEHOLDERS: Mapping[Path, str] = {
    ("course", "id"): "COURSE-ID",
    ("cartridge", "id"): "CARTRIDGE-ID",
    ("cartridge", "lot"): "LOT",
}
"""What stands in a new file until somebody who knows better fills it in."""

_EXPIRES: Path = ("cartridge", "expires")
EXPIRES_NOTE = "# PLACEHOLDER (today): write the date on the pouch"
"""The comment beside an expiry that nobody has filled in; it goes when `edit` writes a date there."""


def edit(
    text: str,
    changes: Mapping[Path, int | str | date],
    file: str = "",
    *,
    placeholder_expires: date | None = None,
) -> str:
    """Return the TOML `text` with the value at each path of `changes` replaced; a path that isn't there is an error.

    An expiry written is noted as a placeholder when it is `placeholder_expires`, and no longer when it is not.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ValidationFailed([Problem(TOML_SYNTAX, f"{file} is not TOML: {error}.", file=file)]) from error
    for path, value in changes.items():
        table: Any = document
        for part in path[:-1]:
            table = table[part]
        if path[-1] not in table:
            raise KeyError(path)
        table[path[-1]] = value
        if path == _EXPIRES:
            _mark(table[path[-1]], value == placeholder_expires)
    return tomlkit.dumps(document)


def _mark(expires: Any, placeholder: bool) -> None:
    """Put EXPIRES_NOTE beside the tomlkit item `expires`, or take it away; other comments stay unless it needs the
    place.
    """
    if placeholder:
        expires.comment(EXPIRES_NOTE)
    elif expires.trivia.comment == EXPIRES_NOTE:
        expires.trivia.comment_ws = expires.trivia.comment = ""


def next_session(text: str, course_index: int, name: str, today: date, file: str = "") -> str:
    """Return the file for the session after `text`, a profile whose session is `course_index` and whose name is `name`.

    Depths and everything else stay as they are. The cartridge is blanked, for it has to be a new one: placeholders, and
    an expiry of `today`, so that the file is refused from tomorrow on unless somebody writes the real one.
    """
    changes: dict[Path, int | str | date] = {
        ("course", "index"): course_index + 1,
        ("cartridge", "id"): PLACEHOLDERS["cartridge", "id"],
        ("cartridge", "lot"): PLACEHOLDERS["cartridge", "lot"],
        _EXPIRES: today,
    }
    renamed = re.sub(rf"\bsession {course_index}\b", f"session {course_index + 1}", name)
    if renamed != name:
        changes[("name",)] = renamed
    return edit(text, changes, file, placeholder_expires=today)


def unfilled(profile_file: ProfileFile) -> list[tuple[Path, str]]:
    """Return the places that still hold a template's placeholder, and what stands there."""
    values = {
        ("course", "id"): profile_file.course.id,
        ("cartridge", "id"): profile_file.cartridge.id,
        ("cartridge", "lot"): profile_file.cartridge.lot,
    }
    return [(path, value) for path, value in values.items() if value == PLACEHOLDERS[path]]


def placeholder_problems(profile_file: ProfileFile) -> list[Problem]:
    """Return a Problem for each placeholder: a file may be checked with them, but no pen gets it."""
    found = []
    for path, value in unfilled(profile_file):
        place = profile_file.source.place(path)
        line = place.line if place else None
        found.append(
            Problem(
                FIELD_PLACEHOLDER,
                f'{path_text(path)} is still the placeholder "{value}".',
                field=path_text(path),
                given=value,
                file=profile_file.source.file,
                line=line,
                column=place.column if place else None,
                excerpt=profile_file.source.excerpt(line),
            )
        )
    return found


def remarks(profile_file: ProfileFile, today: date) -> list[str]:
    """Return what is still to be filled in: placeholders that form and limits have nothing against."""
    expires = "cartridge.expires is today's date, the placeholder; write the date on the pouch"
    return [
        f'{path_text(path)} is the placeholder "{value}"; write the real one' for path, value in unfilled(profile_file)
    ] + ([expires] if profile_file.cartridge.expires == today else [])
