"""What a code's wording is made of. Host only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """A code in words: `what` happened, `client`: is the client safe, `todo`: what to do next."""

    what: str
    client: str
    todo: str
