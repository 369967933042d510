"""The pen's codes in words: one entry for each code of `pencore.faults`. Host only; a table."""

from pencore import faults
from pinprick.wording.shape import Wording

_REFUSED = "Yes. The pen refused before anything moved; nothing was changed."
_UNCHANGED = "Yes. The pen did nothing with it and stays as it was; a stop still works."
_PAUSED = "Yes. The stroke in progress was finished, the needles are back at home and the driver is off."
_STOPPED = (
    "The pen has stopped and switched its motor off. Lift it off the skin and see that the needles are inside the nose "
    "piece: the motor or, when the position is no longer trusted, the spring draws them back."
)
_LOCKED = "Yes. The pen stays still and makes no stroke until this is settled."
_LIFT = "Lift the pen off the skin. "
_CLEAR = "When the cause is gone, `clear` the fault and arm again; the pen looks for home anew."
_SERVICE = "If it comes again, do not use the pen: have a technician look at it."
_RETRY = "The tool repeats the request by itself. If it goes on, try another cable or port, away from strong motors."
_MAKER = "Please report it with the pen's serial number and the output of `--debug`."
_EDIT = "Correct the value in the profile file and check it with `pinprick profile check`."

PEN = {
    # --- 1xx wire
    faults.WIRE_TOO_LONG: Wording("A line longer than the pen reads arrived and was dropped.", _UNCHANGED, _RETRY),
    faults.WIRE_BAD_CRC: Wording("A line was damaged on its way to the pen and was dropped.", _UNCHANGED, _RETRY),
    faults.WIRE_BAD_FORM: Wording(
        "A line was not in the one form the pen accepts and was dropped.",
        _UNCHANGED,
        "Use this tool to talk to the pen; another program on the same port must be closed.",
    ),
    faults.WIRE_UNKNOWN_METHOD: Wording(
        "The pen was asked for something its firmware does not know.",
        _UNCHANGED,
        "Tool and firmware are of different versions: update the older one.",
    ),
    faults.WIRE_BAD_PARAM: Wording(
        "A request, or a field of a profile, holds a value outside the range its place can carry.",
        _UNCHANGED,
        "Give a value inside the range that the message names.",
    ),
    faults.WIRE_BAD_NONCE: Wording(
        "The request belongs to an earlier start of the pen: it was reset or replugged in between.",
        _UNCHANGED,
        "Connect again. An interrupted session can be armed again with what is left of its budget, or finished.",
    ),
    faults.WIRE_STALE_ID: Wording(
        "A request arrived whose number the pen had long passed.",
        _UNCHANGED,
        "Close other programs on this port and connect again.",
    ),
    faults.WIRE_ID_REUSED: Wording(
        "Two different requests came with the same number.",
        _UNCHANGED,
        "Close other programs on this port and connect again.",
    ),
    faults.WIRE_PROTOCOL: Wording(
        "Tool and pen speak different versions of the protocol.",
        _UNCHANGED,
        "Update the older of the two: `pinprick --version` names the tool's.",
    ),
    faults.LOAD_NOT_BEGUN: Wording(
        "A piece of a profile came without the beginning of one.", _REFUSED, "Load the profile again from its start."
    ),
    faults.LOAD_OFFSET: Wording(
        "A piece of a profile came out of its order.", _REFUSED, "Load the profile again from its start."
    ),
    faults.LOAD_SIZE: Wording(
        "The pieces of the profile do not add up to the size announced.",
        _REFUSED,
        "Load the profile again from its start.",
    ),
    faults.LOAD_DIGEST: Wording(
        "The profile that arrived is not the one that was announced; its checksum differs.",
        _REFUSED,
        "Load the profile again. If it goes on, try another cable or port.",
    ),
    # --- 2xx profile
    faults.PROFILE_MAGIC: Wording(
        "What was loaded is not a profile.", _REFUSED, "Load a profile file with this tool; it makes the pen's form."
    ),
    faults.PROFILE_SCHEMA: Wording(
        "The profile is written in a form that this version does not know.",
        _REFUSED,
        "Write `schema = 1`; if the file comes from a newer tool, update this one and the pen.",
    ),
    faults.PROFILE_SIZE: Wording(
        "The profile's size does not fit the number of its zones.", _REFUSED, "Load the profile again from its file."
    ),
    faults.PROFILE_DIGEST: Wording(
        "The profile was changed after it was made; its checksum differs.",
        _REFUSED,
        "Load the profile again from its file.",
    ),
    faults.PROFILE_HEAD: Wording(
        "The profile is made for another kind of head than this pen drives.",
        _REFUSED,
        'Use a profile with `head = "pen"`; the roller is not supported yet.',
    ),
    faults.PROFILE_RESERVED: Wording(
        "The profile uses places that must be empty in this version.",
        _REFUSED,
        "Load the profile again from its file; if it comes from a newer tool, update the pen.",
    ),
    faults.PROFILE_TEXT: Wording(
        "A name in the profile is empty, too long, or holds a character that the pen cannot carry.",
        _REFUSED,
        "Use plain letters, digits, spaces and signs, without accents, quotation marks or backslash.",
    ),
    faults.PROFILE_ZONE_COUNT: Wording("The profile has no zone, or more than 32.", _REFUSED, _EDIT),
    faults.PROFILE_ZONE_AREA: Wording(
        "A zone names a body area that this version does not know.",
        _REFUSED,
        "Choose one of the areas that `pinprick profile schema` lists.",
    ),
    faults.PROFILE_ZONE_SIDE: Wording(
        "A zone's side is not one of none, left and right.", _REFUSED, "Write left, right, or none for the middle."
    ),
    faults.PROFILE_ZONE_TWICE: Wording(
        "The same area and side appear in two zones of the profile.",
        _REFUSED,
        "Put the strokes of both into one zone, or give one of them the other side.",
    ),
    faults.PROFILE_SERIAL: Wording(
        "The profile was filled in for another pen.", _REFUSED, "Load the profile file again, with this pen connected."
    ),
    faults.PROFILE_SESSION_ID: Wording(
        "The profile was filled in for a session that is not the pen's next one; it may have been made already.",
        _REFUSED,
        "Load the profile file again: the tool then asks the pen which session comes next.",
    ),
    faults.PROFILE_LEDGER_HEAD: Wording(
        "The profile was filled in for an earlier state of the pen's memory.",
        _REFUSED,
        "Load the profile file again. If it goes on, compare the records of pen and computer before any session.",
    ),
    # --- 3xx limits
    faults.DEPTH_TOO_SMALL: Wording("A depth is smaller than the shallowest stroke there is.", _REFUSED, _EDIT),
    faults.DEPTH_ABOVE_SESSION: Wording(
        "A zone is deeper than the session's own limit, `depth_mm` under [limits].",
        _REFUSED,
        "Lower the zone's depth or, if it is meant, raise the session's limit; caps hold whatever the session says.",
    ),
    faults.DEPTH_ABOVE_ZONE_CAP: Wording(
        "A zone is deeper than the cap of its area. No profile can raise a cap.",
        _REFUSED,
        "Lower the zone's depth to the cap or less.",
    ),
    faults.DEPTH_ABOVE_CEILING: Wording(
        "A depth is beyond what the device allows at all.", _REFUSED, "Lower the depth to the ceiling or less."
    ),
    faults.DEPTH_ABOVE_CALIBRATION: Wording(
        "A depth is beyond what this pen was calibrated for.",
        _REFUSED,
        "Lower the depth, or have a technician calibrate the pen.",
    ),
    faults.STROKES_TOO_FEW: Wording("A stroke budget is below one stroke.", _REFUSED, _EDIT),
    faults.STROKES_ABOVE_SESSION: Wording(
        "The zones' strokes add up to more than the session allows, `strokes` under [limits].",
        _REFUSED,
        "Lower the zones' strokes or, if it is meant, raise the session's.",
    ),
    faults.STROKES_ABOVE_MAX: Wording("A stroke budget is above the most that any session may hold.", _REFUSED, _EDIT),
    faults.STROKES_ABOVE_CARTRIDGE: Wording(
        "The session holds more strokes than one cartridge may make.",
        _REFUSED,
        "Lower the session's strokes; a cartridge serves one session.",
    ),
    faults.RATE_TOO_LOW: Wording("A rate is below one stroke per second.", _REFUSED, _EDIT),
    faults.RATE_TOO_HIGH: Wording(
        "A zone asks for more strokes per second than the motor can make at that depth.",
        _REFUSED,
        "Lower `rate_per_s` to the highest rate that the message names, or make the zone shallower.",
    ),
    # --- 4xx course and cartridge
    faults.COURSE_INDEX: Wording(
        "The session's number is not one of the course's sessions.",
        _REFUSED,
        "Correct `index` and `of` under [course]: the first session is 1, the last is `of`.",
    ),
    faults.COURSE_OF: Wording("A course has 1 to 12 sessions.", _REFUSED, "Correct `of` under [course]."),
    faults.COURSE_INDEX_DONE: Wording(
        "The pen has made this session of the course already, or a later one.",
        _REFUSED,
        "Load the course's next session; for a new course choose a new course id.",
    ),
    faults.COURSE_TOO_EARLY: Wording(
        "The course's interval since its last session is not over yet.",
        _REFUSED,
        "Wait until the day the interval ends; the pen enforces it.",
    ),
    faults.COURSE_STEP: Wording(
        "The depth grows by more, from one session to the next, than the course allows.",
        _REFUSED,
        "Lower the depths, or correct `max_step_mm` under [course].",
    ),
    faults.COURSE_CHANGED: Wording(
        "The course was begun with other values than this profile gives.",
        _REFUSED,
        "Give the course's values as in its first session; for another plan choose a new course id.",
    ),
    faults.COURSE_INTERVAL: Wording(
        "The course's interval is shorter than this pen allows, or longer than a year.",
        _REFUSED,
        "Correct `interval_days` under [course].",
    ),
    faults.COURSE_MEMORY_FULL: Wording(
        "The pen's memory for courses is full.",
        _REFUSED,
        "Have a technician service the pen; no course is forgotten silently.",
    ),
    faults.CARTRIDGE_EXPIRED: Wording(
        "The cartridge's expiry date has passed.",
        _REFUSED,
        "Take a cartridge that is in date, and write its id, lot and expiry date under [cartridge]. If this one is in"
        " date, set the computer's clock right.",
    ),
    faults.CARTRIDGE_USED: Wording(
        "This cartridge was used in an earlier session. A cartridge serves one session.",
        _REFUSED,
        "Fit a new sterile cartridge, and write its id, lot and expiry date under [cartridge].",
    ),
    faults.CARTRIDGE_NOT_CHANGED: Wording(
        "The pen has not seen the cartridge being changed since its last session.",
        _REFUSED,
        "With the pen switched on, take the cartridge out and fit a new sterile one.",
    ),
    faults.CARTRIDGE_OPEN: Wording(
        "There is no cartridge in the pen, or it is not fully seated.",
        _LOCKED,
        "Fit a new sterile cartridge until it clicks.",
    ),
    faults.CARTRIDGE_MEMORY_FULL: Wording(
        "The pen's memory for used cartridges is full.",
        _REFUSED,
        "Have a technician service the pen; no used cartridge is forgotten silently.",
    ),
    faults.CARTRIDGE_NEEDLES: Wording(
        "The number of needles is not one that a cartridge can have.", _REFUSED, "Correct `needles` under [cartridge]."
    ),
    # --- 5xx state and session
    faults.STATE_FORBIDS: Wording(
        "The pen cannot do this in the state it is in.",
        _UNCHANGED,
        "Look at `pinprick status`: it names the state and what can follow.",
    ),
    faults.SESSION_OPEN: Wording(
        "An interrupted session is still open on the pen.",
        _REFUSED,
        "Arm the same profile again to use what is left of its budget, or finish the session; then load the next.",
    ),
    faults.ZONE_UNKNOWN: Wording(
        "The profile has no zone of this number.", _UNCHANGED, "Choose one of the zones of the loaded profile."
    ),
    faults.ZONE_SPENT: Wording(
        "This zone's strokes are used up.",
        _UNCHANGED,
        "Choose another zone, or finish the session.",
    ),
    faults.TRIGGER_HELD: Wording(
        "The trigger was down while the pen was being armed.",
        _LOCKED,
        "Let go of the trigger and arm again. Strokes start only at a fresh press.",
    ),
    faults.NOT_AT_HOME: Wording(
        "The needles are not at home, the place inside the nose piece where every stroke begins.",
        _LOCKED,
        "Arm again; the pen looks for home anew. " + _SERVICE,
    ),
    faults.BUSY: Wording(
        "The pen is still busy with the last request.", _UNCHANGED, "Try again in a moment; the tool does so by itself."
    ),
    faults.NOT_PROVISIONED: Wording(
        "This pen has not been set up: it does not know its serial number, geometry and limits.",
        _LOCKED,
        "Have a technician provision the pen.",
    ),
    faults.NO_PROFILE: Wording("No profile is loaded.", _UNCHANGED, "Load a profile first."),
    faults.OPERATOR_STOP: Wording("The operator stopped the pen.", _STOPPED, _CLEAR),
    faults.STOP_BUTTON: Wording(
        "The stop button on the pen was pressed.", _STOPPED, "Release the stop button. " + _CLEAR
    ),
    faults.CARTRIDGE_OPENED: Wording(
        "The cartridge was opened or taken out in the middle of a session; the session ends with it.",
        _STOPPED,
        "Dispose of the cartridge. The session is sealed; go on with a new cartridge in a new session.",
    ),
    faults.LEASE_EXPIRED: Wording(
        "The pen heard nothing from the computer for two seconds.",
        _PAUSED,
        "Look after cable and computer, connect and arm again: what is left of the session's budget remains.",
    ),
    faults.IDLE_TIMEOUT: Wording(
        "No stroke was made for 15 minutes.", _PAUSED, "Arm again: what is left of the session's budget remains."
    ),
    faults.STOP_STILL_PRESSED: Wording(
        "The stop button is still pressed, or its wire is broken.",
        _LOCKED,
        "Release the stop button, then clear again. " + _SERVICE,
    ),
    faults.SESSION_SPENT: Wording("All strokes of the session are used up.", _UNCHANGED, "Finish the session."),
    # --- 6xx ledger and record
    faults.LEDGER_MISSING: Wording(
        "The pen's journal of strokes is gone, on a pen that had one.",
        _LOCKED,
        "Do not use the pen: have a technician look at it. The journal is never started anew silently.",
    ),
    faults.LEDGER_CORRUPT: Wording(
        "The pen's journal of strokes cannot be read.", _LOCKED, "Do not use the pen: have a technician look at it."
    ),
    faults.LEDGER_SHORT: Wording(
        "The pen's journal of strokes is shorter than it was.",
        _LOCKED,
        "Do not use the pen: have a technician look at it.",
    ),
    faults.LEDGER_READ_BACK: Wording(
        "What the pen wrote into its journal could not be read back, so it made no stroke on it.", _STOPPED, _SERVICE
    ),
    faults.LEDGER_ONE_COPY: Wording(
        "One of two copies of an entry in the pen's journal is damaged; the other one is good and was used.",
        "Yes. Nothing is lost, and the pen works on.",
        "Note it. If it happens more often, the pen's flash is wearing out: have a technician look at it.",
    ),
    faults.STORE_FAILED: Wording("The pen's flash memory reports an error.", _STOPPED, _SERVICE),
    faults.STORE_FULL: Wording(
        "The pen's memory is full.",
        _LOCKED,
        "Pull the records with `pinprick records pull`; the pen lets go of what was pulled and verified.",
    ),
    faults.RECORDS_FULL: Wording(
        "The pen holds as many records as it can and refuses a new session rather than forget one.",
        _REFUSED,
        "Pull the records with `pinprick records pull`, then load again.",
    ),
    faults.RECORD_UNKNOWN: Wording(
        "The pen has no record of this number.", _UNCHANGED, "List the pen's records and choose one of them."
    ),
    faults.RECORD_ACK_ORDER: Wording(
        "Records are acknowledged in their order, oldest first.", _UNCHANGED, "Pull the older records first."
    ),
    faults.RECORD_DIGEST: Wording(
        "The record acknowledged is not the one the pen holds; their checksums differ.",
        _UNCHANGED,
        "Pull the record again; the pen keeps it until the checksums agree.",
    ),
    faults.RECORD_CORRUPT: Wording(
        "A record on the pen cannot be read or was changed.",
        _LOCKED,
        "Keep the pen as it is and have a technician look at it; older records can still be pulled.",
    ),
    faults.PROVISION_MISSING: Wording(
        "The pen's set-up file is missing.", _LOCKED, "Have a technician provision the pen."
    ),
    faults.PROVISION_CORRUPT: Wording(
        "The pen's set-up file is damaged, or holds a value out of range.",
        _LOCKED,
        "Have a technician provision the pen again.",
    ),
    faults.POWER_LOST: Wording(
        "The pen lost its power, or was reset, in the middle of a session.",
        "Lift the pen off the skin. Without power the spring draws the needles back. "
        "Strokes that were set aside and perhaps not made count as made.",
        "Arm the same profile again to use what is left of its budget, or finish the session.",
    ),
    # --- 7xx motion
    faults.HOME_NOT_FOUND: Wording(
        "The needles did not come home within the longest way there is.",
        _STOPPED,
        "Look for something that blocks the needles; a broken sensor wire looks the same. " + _SERVICE,
    ),
    faults.HOME_NOT_CLEARED: Wording(
        "The home sensor stayed on although the motor moved away from it.",
        _STOPPED,
        "The sensor is stuck or dirty, or the motor does not turn. " + _SERVICE,
    ),
    faults.HOME_LOST: Wording("The needles were not at home when they had to be.", _STOPPED, _CLEAR + " " + _SERVICE),
    faults.LOST_STEPS: Wording(
        "The motor lost steps: a stroke came home later or earlier than it should.",
        _STOPPED,
        "Press less, and see that nothing blocks the cartridge. " + _CLEAR + " " + _SERVICE,
    ),
    faults.DEPTH_GUARD: Wording(
        "The depth guard, which watches the motor's own lines, cut the motor off before it went past the limit.",
        _STOPPED,
        "Look at the skin and note what you see. Do not use the pen: have a technician look at it.",
    ),
    faults.COUNT_GUARD: Wording(
        "The count guard cut the motor off: more strokes were coming than were set aside.",
        _STOPPED,
        "Do not use the pen: have a technician look at it.",
    ),
    faults.STOP_GUARD: Wording(
        "The stop line cut the motor off at once.",
        _STOPPED,
        "Release the stop button; a broken wire looks the same. " + _CLEAR,
    ),
    faults.DRIVER_RESET: Wording(
        "The motor driver was reset in operation; a dip of the supply does that.",
        _STOPPED,
        "Check the power supply and its plug. " + _CLEAR + " " + _SERVICE,
    ),
    faults.DRIVER_FAULT: Wording(
        "The motor driver reports a fault: too hot, a short circuit, or no answer.",
        _STOPPED,
        "Let the pen cool down and check the motor's plug. " + _CLEAR + " " + _SERVICE,
    ),
    faults.TABLE_CORRUPT: Wording(
        "The table of steps for a stroke had changed in memory, so no stroke was made from it.",
        _STOPPED,
        _CLEAR + " " + _SERVICE,
    ),
    faults.STROKE_SEQUENCE: Wording(
        "Strokes were reported out of their order, or twice.", _STOPPED, _CLEAR + " " + _SERVICE
    ),
    faults.STROKE_RATE: Wording(
        "Strokes came faster or slower than the zone's rate allows.", _STOPPED, _CLEAR + " " + _SERVICE
    ),
    faults.STROKE_OVERDUE: Wording(
        "A stroke did not end in the time it should have.",
        _STOPPED,
        "See that nothing blocks the cartridge. " + _CLEAR + " " + _SERVICE,
    ),
    faults.NET_STEPS: Wording(
        "A stroke's steps out and back were not the same number.", _STOPPED, _CLEAR + " " + _SERVICE
    ),
    # --- 8xx access and time
    faults.SIGNATURE_MISSING: Wording(
        "This pen takes only profiles that are signed with the clinic's key, and this one is not signed.",
        _REFUSED,
        "Load it from a computer that holds the clinic's key.",
    ),
    faults.SIGNATURE_WRONG: Wording(
        "The profile's signature is wrong: it was changed after signing, or another key has the same number.",
        _REFUSED,
        "Load the profile file again from a computer that holds the clinic's key. Where that fails too, compare the"
        " fingerprints that `pinprick key list` shows on both.",
    ),
    faults.KEY_UNKNOWN: Wording(
        "The profile is signed with a key that this pen does not know.",
        _REFUSED,
        "Use the key of the clinic that this pen was set up for.",
    ),
    faults.SIGNATURE_WAIT: Wording(
        "The pen has seen too many wrong signatures lately, and doesn't look at another one yet.",
        _REFUSED,
        "Wait for as many seconds as it gives, a minute at most, and load with the clinic's key.",
    ),
    faults.TIME_BACK: Wording(
        "The time is earlier than the latest time that the pen was told, or than its calibration.",
        _REFUSED,
        "Set the computer's clock right and load again; if the pen is wrong: `pinprick clock correct --reason TEXT`.",
    ),
    faults.TIME_JUMP: Wording(
        "The profile was issued more than 45 days after the pen's last known time.",
        _REFUSED,
        "Set the computer's clock right and load again; after a long pause: `pinprick clock correct --reason TEXT`.",
    ),
    # --- 9xx internal
    faults.INTERNAL: Wording(
        "A part of the program did what its makers did not expect, and gave up.",
        "A pen that meets this in itself stops and switches its motor off; without its computer it pauses after two "
        "seconds. Lift the pen off the skin.",
        _MAKER,
    ),
    faults.MEMORY_CORRUPT: Wording(
        "A value in the pen's memory changed by itself; the pen keeps a second copy and compares.",
        _STOPPED,
        _CLEAR + " " + _SERVICE,
    ),
    faults.WATCHDOG_RESET: Wording(
        "The pen's program hung, and the watchdog reset it. An open session is kept as interrupted.",
        _LIFT + "The motor is off; strokes that were set aside and perhaps not made count as made.",
        "Arm the same profile again to use what is left of its budget, or finish the session. " + _SERVICE,
    ),
    faults.FLASH_IN_MOTION: Wording(
        "The pen was about to write its memory while the motor ran, and did not.", _STOPPED, _MAKER
    ),
}
"""Code -> Wording."""
