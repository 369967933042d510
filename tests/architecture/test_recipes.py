"""CONTRIBUTING.md's recipes, walked: each is carried out in a copy of the tree, and tests tell what is still missing.

After each step exactly the checks that the recipe names complain; each step quiets one at least; after the last, none.
"""

import json
import zlib
from pathlib import Path

import pytest

from tests.support.recipes import DOCS, PAGE, House, Recipe, Step, paragraph

CASE = "architecture/test_safety_doc.py::test_every_row_stands_on_something"
CASE_PAGE = "architecture/test_safety_doc.py::test_the_page_is_up_to_date"
PROTOCOL = "unit/test_wire_doc.py::test_page_is_up_to_date"
FAULT_PAGE = "unit/test_hands.py::test_the_page_holds_the_tables_as_they_are"
NONCE = "5e1f0c84a2b96d37"


# --- a limit ----------------------------------------------------------------------------------------------------------
def _number(house: House) -> None:
    house.insert("firmware/pencore/limits.py", "NEEDLES_MAX = ", "PUNCTURES_MAX = const(8_000_000)\n")


def _row(house: House) -> None:
    row = """[[limit]]
where = "pencore/limits.py: PUNCTURES_MAX"
value = 8_000_000
what = "most punctures of a session: strokes, times needles"
why = "The area that a session may cover."
tests = ["unit/test_profile.py::test_punctures_have_their_bound"]

"""
    house.insert("docs/safety/limits.toml", '[[limit]]\nwhere = "pencore/limits.py: NEEDLES_MAX"', row)


def _bound_test(house: House) -> None:
    test = """

def test_punctures_have_their_bound() -> None:
    bounds = samples.provisioned().bounds
    for strokes, codes in ((125_000, []), (125_001, [faults.STROKES_ABOVE_MAX])):
        made = samples.filled(needles=64, strokes=strokes)
        assert [told.code for told in profile.problems(made, bounds)] == codes
"""
    house.append("tests/unit/test_profile.py", test)


def _bound(house: House) -> None:
    check = """    if profile.needles * profile.strokes > limits.PUNCTURES_MAX:
        yield Refusal(faults.STROKES_ABOVE_MAX, "limits.strokes", profile.strokes, limits.PUNCTURES_MAX)
"""
    house.insert("firmware/pencore/profile.py", "    yield from _zone_problems(profile, bounds)\n", check)


BOUND_HOLDS = "unit/test_profile.py::test_punctures_have_their_bound"
LIMIT = Recipe(
    "A limit",
    (
        Step(("firmware/pencore/limits.py",), _number, wakes=(CASE,)),
        Step(("docs/safety/limits.toml",), _row, wakes=(CASE_PAGE,)),
        Step(("tests/unit/test_profile.py",), _bound_test, wakes=(BOUND_HOLDS,), ends=(CASE,)),
        Step(("firmware/pencore/profile.py",), _bound, ends=(BOUND_HOLDS,)),
        Step((DOCS,), House.make_case, ends=(CASE_PAGE,)),
    ),
)


# --- a code -----------------------------------------------------------------------------------------------------------
def _constant(house: House) -> None:
    house.insert("firmware/pencore/faults.py", "CARTRIDGE_EXPIRED = ", "COURSE_OVER = const(409)\n")


def _name(house: House) -> None:
    house.insert("firmware/pencore/faults.py", '    411: "CARTRIDGE_EXPIRED"', '    409: "COURSE_OVER",\n')


def _wording(house: House) -> None:
    words = '    faults.COURSE_OVER: Wording("The course is over.", _REFUSED, _EDIT),\n'
    house.insert("host/pinprick/wording/pen.py", "    faults.CARTRIDGE_EXPIRED: ", words)


def _code_test(house: House) -> None:
    test = """

def test_a_course_is_over_with_its_last_session() -> None:
    made = samples.filled(course_index=7, course_of=6)
    assert faults.COURSE_OVER in [told.code for told in profile.problems(made, samples.provisioned().bounds)]
"""
    house.append("tests/unit/test_profile.py", test)


def _given_out(house: House) -> None:
    give = """    if profile.course_index > profile.course_of:
        yield Refusal(faults.COURSE_OVER, "course.index", profile.course_index, profile.course_of)
"""
    house.insert("firmware/pencore/profile.py", "    if not 1 <= profile.course_index", give)


def _code_rows(house: House) -> None:
    row = 'COURSE_OVER = ["unit/test_profile.py::test_a_course_is_over_with_its_last_session"]\n'
    house.insert("docs/safety/codes.toml", "COURSE_CHANGED = ", row)
    house.insert("docs/safety/hazards.toml", '"DEPTH_TOO_SMALL", "DEPTH_ABOVE_SESSION", ', '"COURSE_OVER", ')


NAMED = "architecture/test_tree.py::test_every_code_has_its_name_and_its_family"
WORDED = "unit/test_explain.py::test_every_code_of_the_pen_is_worded_and_no_other"
BROUGHT_ABOUT = "unit/test_profile.py::test_a_course_is_over_with_its_last_session"
CODE = Recipe(
    "A refusal or a fault's code",
    (
        Step(("firmware/pencore/faults.py",), _constant, wakes=(NAMED, CASE)),
        Step(("NAMES",), _name, wakes=(WORDED, PROTOCOL), ends=(NAMED,)),
        Step(("host/pinprick/wording/pen.py",), _wording, ends=(WORDED,)),
        Step(("tests/unit",), _code_test, wakes=(BROUGHT_ABOUT,)),
        Step(("gives it out",), _given_out, ends=(BROUGHT_ABOUT,)),
        Step(("docs/safety/codes.toml", "docs/safety/hazards.toml"), _code_rows, wakes=(CASE_PAGE,), ends=(CASE,)),
        Step((DOCS,), House.make_docs, ends=(CASE_PAGE, PROTOCOL)),
    ),
)


# --- a message --------------------------------------------------------------------------------------------------------
def _messages(house: House) -> None:
    house.insert("firmware/pencore/wire.py", '    "stop": (', '    "blink": (_ONLY_NONCE, _ONLY_STATE, _EVER),\n')
    house.insert("firmware/pencore/wire.py", '    "telemetry": (', '    "blinked": (_STATE, _UPTIME),\n')


def _states(house: House) -> None:
    house.insert("tests/unit/test_wire.py", '        "stop": ever', '        "blink": ever,\n')


def _handler(house: House) -> None:
    function = '''def blink(pen: "Runner", _params: "Params") -> "Result":
    """Show which pen it is."""
    return _state(pen)


'''
    house.insert("firmware/pencore/requests.py", "def stop(", function)
    house.insert("firmware/pencore/requests.py", '    "stop": stop', '    "blink": blink,\n')


def _asked(house: House) -> None:
    method = '''    def blink(self) -> None:
        """Have the pen show which it is."""
        self._ask("blink")

'''
    house.insert("host/pinprick/device.py", "    def pause(self)", method)


def _message_texts(house: House) -> None:
    house.insert("host/pinprick/protocol_doc.py", '    "stop": "', '    "blink": "Shows which pen it is.",\n')
    house.insert("host/pinprick/protocol_doc.py", '    "telemetry": "', '    "blinked": "The pen has blinked.",\n')


def _line(body: str) -> str:
    return f"{body}*{zlib.crc32(body.encode()):08x}\n"


def _vector(house: House, before: str, vector: dict[str, object]) -> None:
    house.insert("tests/vectors/wire-v1.json", f'  {{"what": "{before}"', f"  {json.dumps(vector)},\n")


def _message_vectors(house: House) -> None:
    asked = f'{{"jsonrpc":"2.0","id":41,"method":"blink","params":{{"nonce":"{NONCE}"}}}}'
    common = {"id": 41, "line": _line(asked), "method": "blink", "params": {"nonce": NONCE}}
    _vector(house, "hello, typical", {"what": "blink, typical", **common})
    told = {"kind": "result", "id": 41, "name": "blink", "values": {"state": 6}, "pending": {"41": "blink"}}
    answer = _line('{"jsonrpc":"2.0","id":41,"result":{"state":6}}')
    _vector(house, "result of hello, typical", {"what": "result of blink, typical", "line": answer, **told})
    unasked = _line('{"jsonrpc":"2.0","method":"blinked","params":{"state":1,"uptime_ms":5}}')
    told = {"kind": "notification", "id": None, "name": "blinked", "values": {"state": 1, "uptime_ms": 5}}
    vector = {"what": "notification blinked, typical", "line": unasked, "pending": {}, **told}
    _vector(house, "notification state, typical", vector)


PINNED = "unit/test_wire.py::test_states_of_each_method_are_pinned"
HANDLED = "unit/test_requests.py::test_every_method_has_its_handler"
ASKED = "unit/test_device.py::test_every_method_is_asked_by_somebody"
TEXT = "unit/test_wire_doc.py::test_every_text_is_of_a_message_there_is"
VECTORS = "unit/test_wire_vectors.py::test_vectors_hold_every_message_of_this_version"
MESSAGE = Recipe(
    "A message",
    (
        Step(("firmware/pencore/wire.py",), _messages, wakes=(PINNED, HANDLED, ASKED, TEXT, VECTORS, PROTOCOL)),
        Step(("tests/unit/test_wire.py",), _states, ends=(PINNED,)),
        Step(("firmware/pencore/requests.py",), _handler, ends=(HANDLED,)),
        Step(("host/pinprick/device.py",), _asked, ends=(ASKED,)),
        Step(("host/pinprick/protocol_doc.py",), _message_texts, ends=(TEXT,)),
        Step(("tests/vectors/wire-v1.json",), _message_vectors, ends=(VECTORS,)),
        Step((DOCS,), House.make_pages, ends=(PROTOCOL,)),
    ),
)


# --- a fault of the virtual pen ---------------------------------------------------------------------------------------
def _kind(house: House) -> None:
    kind = '''@dataclass(frozen=True)
class DriverCold:
    """The motor driver loses what it was set to, as if it had been switched on anew."""

    NAME: ClassVar[str] = "driver-cold"
    CLASS: ClassVar[str] = "driver"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.reset_driver()


'''
    house.insert("sim/pensim/faults/driver.py", "KINDS: ", kind)


def _among_kinds(house: House) -> None:
    house.replace("sim/pensim/faults/driver.py", "    DriverSilent,\n)", "    DriverSilent,\n    DriverCold,\n)")


def _tried(house: House) -> None:
    house.replace("tests/unit/test_faults_pen.py", " driver-silent ", " driver-silent driver-cold ")


def _scenario(house: House) -> None:
    scenario = """schema = 1
name = "The motor driver starts cold"
summary = "Its settings are gone before anything is armed, and are written anew."
motion_s = 1
profile.file = "profiles/one-deep.toml"
act = [{ do = "load" }]
fault = [{ do = "driver-cold", when = "state == LOADED" }]
expect = [{ what = "state", op = "==", value = "LOADED" }]
"""
    house.append("tests/scenarios/files/driver-cold.toml", scenario)


KNOWN = "unit/test_faults_kinds.py::test_every_fault_of_a_class_is_in_its_module_and_among_its_kinds"
TRIED = "unit/test_faults_pen.py::test_each_fault_is_tried_here_or_with_the_parts"
DONE = "scenarios/test_scenario_files.py::test_every_fault_of_the_library_is_done_somewhere"
FAULT = Recipe(
    "A fault that can be done to a virtual pen",
    (
        Step(("sim/pensim/faults",), _kind, wakes=(KNOWN,)),
        Step(("KINDS",), _among_kinds, wakes=(TRIED, DONE, FAULT_PAGE), ends=(KNOWN,)),
        Step(("tests/unit/test_faults_pen.py",), _tried, ends=(TRIED,)),
        Step(("tests/scenarios/files",), _scenario, ends=(DONE,)),
        Step((DOCS,), House.make_pages, ends=(FAULT_PAGE,)),
    ),
)


# --- a head -----------------------------------------------------------------------------------------------------------
def _head(house: House) -> None:
    heads = 'HEAD_STAMP = const(2)\nHEADS = ("pen", "roller", "stamp")'
    house.replace("firmware/pencore/profile.py", 'HEADS = ("pen", "roller")', heads)


def _no_bound(house: House) -> None:
    house.replace("docs/safety/limits.toml", '"HEAD_ROLLER", ', '"HEAD_ROLLER", "HEAD_STAMP", ')


def _mistake(house: House) -> None:
    house.replace("tests/vectors/profile-mistakes.toml", 'allowed = "pen, roller"', 'allowed = "pen, roller, stamp"')


def _head_test(house: House) -> None:
    provisioned = """

def test_a_stamp_is_provisioned() -> None:
    stamp = samples.provisioned(head=2)
    assert provision.decode(provision.encode(stamp)).bounds.head == 2
"""
    house.append("tests/unit/test_provision.py", provisioned)


def _provisioned(house: House) -> None:
    path = "firmware/pencore/provision.py"
    house.replace(path, "    if bounds.head != HEAD_PEN:", "    if bounds.head not in (HEAD_PEN, HEAD_STAMP):")
    house.replace(path, "import HEAD_PEN, ", "import HEAD_PEN, HEAD_STAMP, ")


def _in_files(house: House) -> None:
    house.replace("host/pinprick/profiles/model.py", "_word_schema(HEADS[:1], ", '_word_schema(("pen", "stamp"), ')


MISTAKES = "unit/test_profiles_bad_input.py::test_one_mistake_has_its_own_message"
PROVISIONED = "unit/test_provision.py::test_a_stamp_is_provisioned"
SCHEMA = "unit/test_profiles_templates.py::test_generated_files_are_up_to_date"
HEAD = Recipe(
    "A head",
    (
        Step(("firmware/pencore/profile.py",), _head, wakes=(CASE, MISTAKES)),
        Step(("docs/safety/limits.toml",), _no_bound, ends=(CASE,)),
        Step(("tests/vectors/profile-mistakes.toml",), _mistake, ends=(MISTAKES,)),
        Step(("tests/unit/test_provision.py",), _head_test, wakes=(PROVISIONED,)),
        Step(("firmware/pencore/provision.py",), _provisioned, ends=(PROVISIONED,)),
        Step(("host/pinprick/profiles/model.py",), _in_files, wakes=(SCHEMA,)),
        Step((DOCS,), House.make_pages, ends=(SCHEMA,)),
    ),
)

RECIPES = {"limit": LIMIT, "code": CODE, "message": MESSAGE, "fault": FAULT, "head": HEAD}


# --- the walks --------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_leads_where_it_says(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    expected: set[str] = set()
    with House(tmp_path) as house:
        for step in recipe.steps:
            step.do(house)
            expected = (expected | {*step.wakes}) - {*step.ends}
            assert house.complaints(recipe.checks) == expected, f"after {' and '.join(step.where)}"
    assert not expected


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_names_the_places_of_a_recipe_in_their_order_and_every_check(name: str) -> None:
    recipe = RECIPES[name]
    said = paragraph(recipe.name)
    at = 0
    for place in (place for step in recipe.steps for place in step.where):
        assert place in said[at:], f"{PAGE} doesn't say {place} where it is its turn"
        at = said.index(place, at)
    for check in recipe.checks:
        file = Path(check.partition("::")[0]).stem
        assert file in said, f"{PAGE} doesn't say that {file} complains"


def test_each_step_but_what_begins_it_or_is_a_test_satisfies_somebody() -> None:
    for recipe in RECIPES.values():
        for step in recipe.steps:
            assert step.wakes or step.ends
        woken = {check for step in recipe.steps for check in step.wakes}
        assert woken == {check for step in recipe.steps for check in step.ends}
