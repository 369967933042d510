"""`pinprick key`: the clinic keys on this computer made, listed, copied, forgotten. Host only.

A key goes from here into the keyring, into a file of its own, or onto a pen at provisioning; never to a screen, a log
or a command line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pencore.faults import SIGNATURE_WRONG
from pencore.units import U32_MAX
from pinprick.cli import pictures
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pictures import Column
from pinprick.errors import KEY_MISSING, USAGE, InputError, PinprickError
from pinprick.keys import FILE, ClinicKey, KeyStore, Listed, load_key, save_key
from pinprick.profiles.units import counted

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make, list, copy and forget the clinic keys that sessions are signed with.",
)

_NumberOption = Annotated[
    int | None,
    typer.Option("--number", metavar="NUMBER", min=1, max=U32_MAX, show_default=False, help="The key's number."),
]
_BACKUP = "A lost key can't be had back from a pen: `pinprick key export FILE` makes a copy, to be locked away."
_NONE = "No clinic key is on this computer."
_MAKE_ONE = "`pinprick key new` makes one, `pinprick key import FILE` brings one."
_WAITING = "Waiting for the keyring to be unlocked, a minute at most."


@app.command()
def new(number: _NumberOption = None, json_lines: JsonOption = False) -> None:
    """Make a clinic key and keep it here: in the computer's keyring, or in a file of your own where there is none.

    Its number is drawn unless one is named; a pen and a signed profile name it. No pen has it yet: `pinprick board
    provision --key NUMBER` puts it onto one.
    """
    with reporting(json_lines) as out:
        made = KeyStore(keyring_waiting(out)).make(number)
        out.result(**as_fields(made))
        out.say(Text(f"Made key {made.key_id}, fingerprint {made.fingerprint}.", "bold green"))
        say_where(out, made)
        out.say(_BACKUP, style="dim")


def as_fields(key: ClinicKey) -> dict[str, object]:
    """Return all of a key that is no secret."""
    kept = key.kept
    return {
        "key_id": key.key_id,
        "fingerprint": key.fingerprint,
        "made_at": key.made_at or None,
        "kept": None if kept is None else kept.how,
        "place": None if kept is None else kept.place,
        "why_file": (kept.why_file or None) if kept is not None else None,
    }


def keyring_waiting(out: Output) -> Callable[[], None]:
    """Return what says that a keyring lets it be waited: beside the results, which may go into a file."""

    def tell() -> None:
        out.event("waiting", what="keyring")
        if not out.json_lines:
            out.error_console.print(Text(_WAITING, "dim"))

    return tell


@contextmanager
def signing_told(key: ClinicKey | None, named: Path | None) -> Iterator[None]:
    """Say of a signature that the pen calls wrong which key made it, and what can be done; `named` is the key's file if
    somebody named one.
    """
    try:
        yield
    except PinprickError as error:
        if error.code == SIGNATURE_WRONG and key is not None:
            place = f"the file {named}" if key.kept is None else str(key.kept)
            error.message += f" It was made with key {key.key_id}, fingerprint {key.fingerprint}, of {place}."
            error.hint = (
                f"Compare {key.fingerprint} with the fingerprint that `pinprick key list` shows on the computer that"
                " the pen was provisioned from. Are they equal, try again. Do they differ, the pen has that computer's"
                f" key: `pinprick key export FILE --number {key.key_id}` there, and here name FILE with --key."
            )
        raise


def of_place(key: ClinicKey | None) -> str:
    """Return where a key was found, to be said after its number: " of the file keys/key-7.toml"; "" for none, and for
    one that somebody named.
    """
    return "" if key is None or key.kept is None else f" of {printable(str(key.kept))}"


def say_where(out: Output, key: ClinicKey) -> None:
    """Say where a key lies now, and why it is no keyring."""
    if key.kept is None:
        return
    own = ", which only you can read" if key.kept.how == FILE else ""
    out.say(f"It is kept in {printable(str(key.kept))}{own}.")
    if key.kept.why_file:
        out.say(Text(f"No keyring was used: {printable(key.kept.why_file).rstrip('.')}.", "yellow"))


@app.command("list")
def list_(json_lines: JsonOption = False) -> None:
    """List the clinic keys that are kept here: number, fingerprint, where, when made.

    Keys of one number are the same if and only if their fingerprints are. That there is none is an answer too.
    """
    with reporting(json_lines) as out:
        store = KeyStore(keyring_waiting(out))
        found = store.listed()
        for each in found:
            out.event("key", **_listed_fields(each))
        keyring = store.keychain
        out.result(keys=len(found), keyring=keyring.name or None, why_none=keyring.why_none or None)
        out.result(keyring_problem=store.unasked or None)
        if not found:
            out.say(f"{_NONE} {_MAKE_ONE}")
            return
        out.say(pictures.table(_columns(found), out.console.width, ("made",)))
        for each in found:
            if each.problem:
                out.say(Text(f"Key {each.key_id}: {printable(each.problem)}", "yellow"))
        if store.unasked:
            out.say(Text(f"Whether a keyring has any of them, too, is not known. {printable(store.unasked)}", "yellow"))


def _listed_fields(each: Listed) -> dict[str, object]:
    return {
        "key_id": each.key_id,
        "fingerprint": each.fingerprint or None,
        "made_at": each.made_at or None,
        "kept": each.kept.how,
        "place": each.kept.place,
        "problem": each.problem or None,
    }


def _columns(found: list[Listed]) -> list[Column]:
    return [
        Column("number", [str(each.key_id) for each in found]),
        Column("fingerprint", [each.fingerprint or "-" for each in found], left=True),
        Column("made", [_day(each.made_at) for each in found], left=True),
        Column("kept in", [printable(f"{each.kept.how}: {each.kept.place}") for each in found], left=True),
    ]


def _day(made_at: int) -> str:
    return datetime.fromtimestamp(made_at, UTC).date().isoformat() if made_at else "unknown"


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; nothing is written over.", readable=False)],
    number: _NumberOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Copy a key into a file that only you can read: for a second computer, or to be locked away.

    Whoever has the file can sign. `--number` says which key, when there are several.
    """
    with reporting(json_lines) as out:
        key = _chosen(KeyStore(keyring_waiting(out)), number)
        save_key(key, file, "FILE")
        out.result(**as_fields(key), file=file)
        out.say(Text(f"Key {key.key_id}, fingerprint {key.fingerprint}, is in {printable(str(file))}.", "bold green"))
        out.say("Whoever has this file can sign: carry it by hand, lock it away or destroy it.", style="yellow")


def _chosen(store: KeyStore, number: int | None) -> ClinicKey:
    """Return the key of this number; without one, the only one."""
    if number is None:
        numbers = sorted(store.numbers())
        if not numbers:
            raise InputError(KEY_MISSING, _NONE, field="--number", hint=_MAKE_ONE)
        if len(numbers) > 1:
            message = f"There are {counted(len(numbers), 'key')} here; say which with --number."
            known = f"Their numbers are {', '.join(map(str, numbers))}."
            raise InputError(USAGE, message, field="--number", hint=known)
        number = numbers[0]
    return store.find(number)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A key file that only you can read.", readable=False)],
    json_lines: JsonOption = False,
) -> None:
    """Keep the key in FILE here: in the computer's keyring, or in a file of your own where there is none.

    FILE stays where it is. A key that is here already stays as it is; another one of the same number is refused.
    """
    with reporting(json_lines) as out:
        key = KeyStore(keyring_waiting(out)).keep(load_key(file, "FILE"))
        out.result(**as_fields(key), file=file)
        out.say(Text(f"Key {key.key_id}, fingerprint {key.fingerprint}, can be used here.", "bold green"))
        say_where(out, key)
        out.say(f"{printable(str(file))} still has it too: lock it away or destroy it.", style="yellow")


@app.command()
def forget(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, max=U32_MAX, help="The key's number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it: nothing is asked, and nothing brings it back.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Remove a key from this computer. Pens that have it keep it; without a copy nobody can load them any more."""
    with reporting(json_lines) as out:
        if not yes:
            message = f"Forgetting key {number} can't be taken back; add --yes to do it."
            hint = f"Make a copy first if a pen still has it: pinprick key export FILE --number {number}"
            raise InputError(USAGE, message, field="--yes", hint=hint)
        store = KeyStore(keyring_waiting(out))
        was = store.forget(number)
        out.result(key_id=number, removed=[{"kept": each.how, "place": each.place} for each in was])
        out.result(keyring_problem=store.unasked or None)
        nowhere = "the notes" if store.unasked else "the notes: it was nowhere else any more"
        where = " and ".join(str(each) for each in was) or nowhere
        out.say(Text(f"Key {number} is removed from {printable(where)}.", "bold"))
        if store.unasked:
            out.say(Text(f"Whether a keyring has it, too, is not known. {printable(store.unasked)}", "yellow"))
