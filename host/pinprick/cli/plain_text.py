"""Texts on a command line that a pen has to hold: plain characters, few enough. Host only."""

from pencore.digest import text_problem
from pinprick.errors import USAGE, InputError

_GIVEN_MOST = 80


def plain_text(text: str, most: int, option: str, what: str, hint: str) -> str:
    """Return `text`, given by `option` as `what` ("A reason"); InputError USAGE unless it says something and a pen
    takes it for a text of at most `most` characters.
    """
    given: int | str = text[:_GIVEN_MOST]
    limit = None
    # Bytes of a command line that are no text come as characters that can't even be encoded.
    strange = next((char for char in text if not char.isascii() or text_problem(char, 1)), "")
    if not text.strip(" "):
        message = f"{what} has 1 to {most} plain characters, and not only spaces."
    elif strange:
        given = strange
        message = f"{what} has plain characters, no quotes and no backslash; {strange} (U+{ord(strange):04X}) is none."
    elif len(text) > most:
        given, limit = len(text), most
        message = f"{what} has {most} characters at most; this one has {len(text)}."
    else:
        return text
    raise InputError(USAGE, message, field=option, given=given, limit=limit, hint=hint)
