"""The tool's own codes in words: one entry for each code of `pinprick.errors`. Host only; a table."""

from pinprick import errors
from pinprick.wording.shape import Wording

_FILE = "Yes. No pen was involved."
_LOCKED = "Yes. The pen stays still and makes no stroke until this is settled."
_BENCH = "Yes. Nothing on the board was changed, and nothing that this tool sent can start a pen."
_UNFINISHED = "Yes. A pen with unfinished firmware starts none of it, and its motor stays off."
_MAKER = "Please report it with the pen's serial number and the output of `--debug`."

TOOL = {
    # --- 10xx files
    errors.FILE_MISSING: Wording("There is no file of this name.", _FILE, "Check the name and the folder."),
    errors.FILE_IS_FOLDER: Wording("A folder was given where a file is due.", _FILE, "Name the file in it."),
    errors.FILE_UNREADABLE: Wording(
        "The file is there but cannot be read.", _FILE, "Check the file's permissions, and that nothing else holds it."
    ),
    errors.FILE_TOO_BIG: Wording(
        "The file is far bigger than what it should hold, so it was not read.",
        _FILE,
        "Check that it is the right file.",
    ),
    errors.FILE_EMPTY: Wording(
        "The file holds no profile.", _FILE, "Start one with `pinprick profile new --out FILE`."
    ),
    errors.FILE_NOT_TEXT: Wording(
        "The file is not plain text in UTF-8.",
        _FILE,
        "Check that it is the right file; if it is, save it as plain text, UTF-8, in the editor.",
    ),
    errors.FILE_EXISTS: Wording(
        "There is a file of this name already, and it was left as it is.",
        _FILE,
        "Choose another name, or add --force to replace the file.",
    ),
    errors.FILE_UNWRITABLE: Wording(
        "The file cannot be written.", _FILE, "Check that the folder exists and may be written to."
    ),
    errors.FILE_NOT_RECORDS: Wording(
        "The file holds neither a record nor an export of records.",
        _FILE,
        "Name a file that `pinprick records export --format json` wrote.",
    ),
    # --- 11xx profile file
    errors.TOML_SYNTAX: Wording(
        "The file breaks a rule of TOML, the plain-text form of profiles: `key = value` lines under [headers].",
        _FILE,
        "Correct the line named. `pinprick profile new` prints a file to compare with.",
    ),
    errors.FIELD_UNKNOWN: Wording(
        "The file holds a key that a profile does not have. Nothing is ignored silently.",
        _FILE,
        "Correct its spelling or remove the line; `pinprick profile schema` lists every key.",
    ),
    errors.FIELD_MISSING: Wording(
        "A key that every profile needs is not there.",
        _FILE,
        "Add the line; `pinprick profile new` prints a file to compare with.",
    ),
    errors.FIELD_TYPE: Wording(
        "A value is of the wrong kind: a text for a number, say, or a fraction for a count.",
        _FILE,
        "Write it as the message says.",
    ),
    errors.FIELD_UNIT: Wording(
        "A value is given with a unit, or in another unit than the key's name says.",
        _FILE,
        "Write the bare number in the unit that ends the key's name: `depth_mm = 1.5`.",
    ),
    errors.FIELD_TOO_FINE: Wording(
        "A depth has more than three decimals. Depths are whole thousandths of a millimetre, never rounded.",
        _FILE,
        "Write the depth with three decimals at most.",
    ),
    errors.FIELD_NOT_FINITE: Wording("A depth is infinite, or not a number.", _FILE, "Write a plain number."),
    errors.FIELD_PLACEHOLDER: Wording(
        "The profile still holds a placeholder of its template where the client's course or the cartridge belongs.",
        "Yes. Nothing was sent to the pen.",
        "Write the real one: a course or a cartridge that has been used up can't be named anew.",
    ),
    # --- 12xx the command
    errors.USAGE: Wording(
        "The command line is not one that the tool understands.", _FILE, "Add --help to the command to see its options."
    ),
    errors.CODE_UNKNOWN: Wording(
        "There is no such code.", _FILE, "`pinprick explain` without a code lists all of them."
    ),
    errors.INTERRUPTED: Wording(
        "The tool was ended from outside, with Ctrl-C or by a signal.",
        "Yes. A pen that was running hears the tool no more and pauses within two seconds.",
        "Start the command again when you are ready.",
    ),
    errors.GENERATED_STALE: Wording(
        "A generated file differs from what its source makes of it.", _FILE, "Generate the files anew and commit them."
    ),
    errors.EXTRA_MISSING: Wording(
        "Virtual pens need a library that is not installed; everything else works without it.",
        _FILE,
        "Install it: `pip install littlefs-python`.",
    ),
    errors.KEY_MISSING: Wording(
        "The pen takes only signed profiles, and the clinic's key to sign with is not here.",
        "Yes. Nothing was sent to the pen.",
        "Bring the clinic's key here with `pinprick key import FILE`, or name its file with --key. `pinprick key list`"
        " shows the keys that are here.",
    ),
    errors.KEY_BAD: Wording(
        "The key file is not one, holds another key than the pen wants, or can be read by others.",
        "Yes. Nothing was sent to the pen.",
        'A key file has two lines, `key_id = 7` and `key = "64 hex digits"`, and only its owner may read it.',
    ),
    errors.KEY_TAKEN: Wording(
        "There is another key of that number here, and no key takes the place of another one.",
        "Yes. No pen was involved; the key that is here stays as it is.",
        "Compare their fingerprints with `pinprick key list`. One that no pen uses any more can go: `pinprick key"
        " forget NUMBER --yes`.",
    ),
    errors.KEYRING_FAILED: Wording(
        "This computer's keyring could not be used.",
        "Yes. Nothing was sent to the pen.",
        "Unlock the keyring, as after logging in at the computer's own screen, and try again.",
    ),
    # --- 13xx finding a pen, comparing with it
    errors.NO_DEVICE: Wording(
        "No pen was found.", "Yes. No pen was reached.", "Plug the pen in, or name its port with --port."
    ),
    errors.PEN_SILENT: Wording(
        "The pen does not answer.",
        "A pen that was running pauses by itself within two seconds, needles at home. Lift it off the skin.",
        "Check the cable, close other programs that use the port, and try again.",
    ),
    errors.CHECK_FAILED: Wording(
        "What the virtual needle did and what was recorded of it, or expected, are not the same.",
        "Yes. No real pen was involved.",
        _MAKER,
    ),
    errors.RECORD_MISMATCH: Wording(
        "A record does not match its checksum, its chain or its signature.",
        "Yes. Nothing moves while records are compared.",
        "Pull the record again. If it differs again, keep both and have a technician look at the pen.",
    ),
    errors.PORT_DENIED: Wording(
        "The port is there, but this account may not use it.",
        "Yes. No pen was reached.",
        "Give the account the right to use serial ports (on Linux: add it to the group that owns the port, often "
        "`dialout`, and log in again).",
    ),
    errors.PORT_IN_USE: Wording(
        "Another program holds the port.", "Yes. This tool said nothing to the pen.", "Close the other program."
    ),
    errors.NOT_A_PEN: Wording(
        "Something is connected to the port, but it does not answer as a pen does.",
        "Yes. Nothing that this tool sent there can start a pen.",
        "Check that it is the pen's port. A board with other software has to be flashed first.",
    ),
    errors.LINK_LOST: Wording(
        "The connection to the pen broke off.",
        "A pen that was running pauses by itself within two seconds, needles at home. Lift it off the skin.",
        "Plug the pen in again and connect. An interrupted session can be armed again with what is left, or finished.",
    ),
    errors.RECORDS_AHEAD: Wording(
        "This computer keeps records of the pen that the pen itself has no memory of: its memory was set back.",
        _LOCKED,
        "Do not use the pen: have a technician look at it. Strokes that were made would not count. A simulated pen "
        "forgets when it ends: serve it with --flash FILE, or under a new --serial.",
    ),
    errors.RECORDS_FORK: Wording(
        "Pen and computer hold different records of one and the same session.",
        _LOCKED,
        "Keep both records and do not use the pen: have a technician look at it.",
    ),
    errors.SEVERAL_PENS: Wording(
        "More than one pen is connected, and the tool never chooses between pens.",
        "Yes. No pen was told to do anything.",
        "Name one with --serial-number or --port; `pinprick devices` lists them.",
    ),
    errors.WRONG_PEN: Wording(
        "The pen at this port is another one than was asked for.",
        "Yes. The pen was only asked for its name.",
        "Check with `pinprick devices` which pen is on which port.",
    ),
    errors.SESSION_ELSEWHERE: Wording(
        "A session is open on the pen whose profile this computer has not sent, so it cannot go on with it.",
        _LOCKED,
        "Go on with it from the computer that began it, or seal it with `pinprick finish`; what was made counts.",
    ),
    errors.SIM_UNREACHABLE: Wording(
        "The simulated pen does not answer on its control channel.",
        "Yes. No real pen was involved.",
        "See with `pinprick devices` whether it still runs; start one with `pinprick sim serve`.",
    ),
    errors.NOT_DONE: Wording(
        "The pen took the request, but says that it has not done what was asked.",
        "Do not rely on it. Lift the pen off the skin and take its power away.",
        "Do not use the pen until a technician has looked at it.",
    ),
    errors.NOT_REACHED: Wording(
        "The pen did not get to the awaited state in time.",
        "The pen goes on by its own rules; what it is doing is in the message.",
        "See with `pinprick status` what it waits for, or give it more time.",
    ),
    errors.PEN_RESTARTED: Wording(
        "The pen was restarted meanwhile: its power was cut, or it was reset.",
        "The motor is off, and the spring draws the needles in. Lift it off the skin and see that they are inside.",
        "Connect again and see with `pinprick status` what is left. Strokes that may have been made count as made.",
    ),
    errors.CLOCK_WRONG: Wording(
        "This computer's clock shows a time that cannot be.",
        "Yes. Nothing was sent to the pen.",
        "Set the computer's date and time, then try again.",
    ),
    # --- 14xx scenarios
    errors.SCENARIO_BAD: Wording(
        "The scenario file is not one that can be run.", _FILE, "Correct the line named; docs/scenarios.md lists all."
    ),
    errors.EXPECTATION_BROKEN: Wording(
        "The scenario ran, and something it expects did not happen, or something that must never happen did.",
        "Yes, if the target was simulated. With a board: lift it off the skin.",
        "Read the events around it; the line shown runs it again.",
    ),
    errors.TARGET_LACKS: Wording(
        "The scenario needs what this target does not have: hands to command, or a needle to ask.",
        _FILE,
        "Run it with --target inproc, or against a pen of `pinprick sim serve`.",
    ),
    # --- 15xx boards
    errors.NOT_A_BOARD: Wording(
        "What is connected to the port answers neither like a board with MicroPython nor like a pen.",
        _BENCH,
        "See with `pinprick devices --all` which port it is. A new board needs MicroPython first (docs/hardware.md); a"
        " pen that stays dark, because its firmware is unfinished, has to be switched on with its service button held.",
    ),
    errors.BOARD_CLOSED: Wording(
        "A pen runs on the board, and a pen's port takes no files.",
        _BENCH,
        "Open the case, hold the service button, switch the pen off and on, and run the command again.",
    ),
    errors.BOARD_WRONG: Wording(
        "The board runs another MicroPython than the firmware is built for, or it is another board.",
        _BENCH,
        "Put the image that firmware/image.lock names onto a Raspberry Pi Pico (docs/hardware.md).",
    ),
    errors.BOARD_FAILED: Wording(
        "The board could not do what the installation needs.",
        _UNFINISHED,
        "Run the command again: it goes on where it ended. When that fails too, the board's flash may be worn or full.",
    ),
    errors.BOARD_DIFFERS: Wording(
        "A file on the board is not what it has to be.",
        _UNFINISHED,
        "Run `pinprick board install` again. When it happens again, replace the board: its flash is not to be trusted.",
    ),
    errors.BOARD_NOT_UP: Wording(
        "All files are on the board, but the pen did not start.",
        "Yes. A pen that does not start makes no stroke, and its motor stays off.",
        "Let go of the service button, switch the pen off and on, and look with `pinprick devices`.",
    ),
    errors.BUILD_FAILED: Wording(
        "The firmware could not be compiled.", _FILE, "Install the tool anew; in a checkout, correct the file named."
    ),
    errors.IMAGE_BAD: Wording(
        "The file is no UF2 image for an RP2040, or only a part of one.", _FILE, "Fetch the image again."
    ),
    errors.IMAGE_UNKNOWN: Wording(
        "The image's official SHA-256 is not known to this tool, so it can vouch for no file.",
        _FILE,
        "Compare its SHA-256 with that of a second download. firmware/image.lock says how the official one is entered.",
    ),
    errors.IMAGE_DIFFERS: Wording(
        "The file is an image, but not the official one of the release that the firmware is built for.",
        _FILE,
        "Do not flash it. Fetch the file that firmware/image.lock names from the page it names.",
    ),
    errors.BOARD_LOST: Wording(
        "The connection to the board broke off, so the command was not finished.",
        _UNFINISHED,
        "Plug the board in again and run the command again: it goes on where it ended. When the port stays away, switch"
        " the pen on with its service button held.",
    ),
    errors.PROVISION_LOOSER: Wording(
        "The pen is provisioned already, and what it allows may only be tightened from then on.",
        _BENCH,
        "Leave out the option named, or give a tighter value.",
    ),
    errors.PROVISION_OTHER_PEN: Wording(
        "The board is that of a pen with another serial number.",
        _BENCH,
        "Look at the label of the board in hand, and name its serial number. A pen keeps its number for good.",
    ),
    errors.PEN_MEMORY_BROKEN: Wording(
        "A part of what the pen remembers is missing or not whole, and no tool may make up for it.",
        _BENCH,
        "Pull what records it still gives, and take it out of use; docs/security.md tells how it becomes a new pen.",
    ),
}
"""Code -> Wording."""
