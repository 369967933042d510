"""The tables of docs/safety.md, made from the rows, the code and the wording of the codes. Host only; deterministic.

The prose between them is written by hand in the page itself. What is read from the code (values, who gives a code out)
is checked against the rows before, by `check`; here it is only shown.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pensim.handbook import filled_in
from pinprick import wording
from tests.safety.check import CAMPAIGN, Case
from tests.safety.rows import CAP, CONSTANT, RANGE, Hazard
from tests.safety.suite import SCENARIO, TIERS, Named, named

PATH = Path("docs/safety.md")
_UP = "../"


def made_anew(case: Case) -> str:
    """Return the page with its tables made anew."""
    text = (case.root / PATH).read_text(encoding="utf-8")
    tables: dict[str, Callable[[], Iterator[str]]] = {
        "index": lambda: _index(case),
        "hazards": lambda: _hazards(case),
        "constants": lambda: _limits(case, CONSTANT),
        "caps": lambda: _limits(case, CAP),
        "ranges": lambda: _limits(case, RANGE),
        "codes": lambda: _codes(case),
    }
    return filled_in(text, tables)


def _index(case: Case) -> Iterator[str]:
    yield "| what happens | hazards |"
    yield "|---|---|"
    for group in case.rows.groups:
        rows = [hazard for hazard in case.rows.hazards if hazard.group == group]
        yield f"| {group} | {'<br>'.join(f'{_link(row)} {_cell(row.hazard)}' for row in rows)} |"


def _hazards(case: Case) -> Iterator[str]:
    for hazard in case.rows.hazards:
        yield f'<a id="{_anchor(hazard)}"></a>'
        yield ""
        yield f"### {hazard.number}. {hazard.hazard}"
        yield ""
        yield f"| {hazard.group} | |"
        yield "|---|---|"
        yield f"| cause | {_cell(hazard.cause)} |"
        yield f"| control | {_cell(hazard.control)} |"
        yield f"| where | {_places(case, hazard.where)} |"
        yield f"| residual risk | {_cell(hazard.residual)} |"
        if hazard.codes:
            yield f"| the pen says | {' '.join(f'`{code}`' for code in hazard.codes)} |"
        yield f"| proven by | {_proofs(hazard.tests)} |"
        yield ""


def _limits(case: Case, kind: str) -> Iterator[str]:
    yield "| limit | value | where | why this value | proven by |"
    yield "|---|---|---|---|---|"
    for limit in case.rows.limits:
        if limit.kind == kind:
            value = f"{limit.value:,}" if isinstance(limit.value, int) else f"`{limit.value}`"
            where = f"`{limit.where}`"
            yield f"| {_cell(limit.what)} | {value} | {where} | {_cell(limit.why)} | {_proofs(limit.tests, False)} |"


def _codes(case: Case) -> Iterator[str]:
    yield "| code | what it means | given out by | hazards | proven by |"
    yield "|---|---|---|---|---|"
    numbers = case.firmware.codes
    for row in sorted(case.rows.codes, key=lambda row: numbers[row.code]):
        answers = " ".join(_link(hazard) for hazard in case.rows.hazards if row.code in hazard.codes)
        givers: dict[str, list[str]] = {}
        for place in case.firmware.givers[row.code]:
            givers.setdefault(place.module, []).append(place.function)
        places = "<br>".join(f"`{module}`: {_ticked(functions)}" for module, functions in givers.items())
        told = _cell(wording.of(numbers[row.code]).what)
        yield f"| {numbers[row.code]} `{row.code}` | {told} | {places} | {answers} | {_proofs(row.tests, False)} |"


def _places(case: Case, places: tuple[str, ...]) -> str:
    """Return the places of a row, those of one file together."""
    files: dict[str, list[str]] = {}
    for place in places:
        path, _, name = place.partition(": ")
        files.setdefault(path, []).append(name)
    cells = []
    for path, names in files.items():
        if path.startswith("docs/"):
            page = path.partition("/")[2]
            cells.append(f"[{page}]({page}): {', '.join(names)}")
        else:
            cells.append(f"[`{path}`]({_UP}{case.firmware.home_of(path)}): {_ticked(names)}")
    return "<br>".join(cells)


def _proofs(tests: tuple[str, ...], linked: bool = True) -> str:
    """Return the proofs of a row: by tier with links, or, for a table of many rows, by file."""
    files: dict[str, list[Named]] = {}
    scenarios = []
    for test in filter(None, map(named, tests)):
        if test.base == SCENARIO and test.variant:
            scenarios.append(test.variant)
        else:
            files.setdefault(test.file, []).append(test)
    tiers: dict[str, list[str]] = {}
    for file, there in files.items():
        names = _ticked([_short(test) for test in there])
        told = f"[{file}]({_UP}tests/{file}) {names}" if linked else f"{file}: {names}"
        tiers.setdefault(there[0].tier, []).append(told)
    if scenarios:
        told = ", ".join(f"[{name}]({_UP}tests/scenarios/files/{name}.toml)" for name in scenarios)
        tiers.setdefault("scenarios", []).append("scenario files " + (told if linked else _ticked(scenarios)))
    cells = [(f"{TIERS.get(tier, tier)}: " if linked else "") + "; ".join(told) for tier, told in tiers.items()]
    campaigns = [test.removeprefix(CAMPAIGN) for test in tests if test.startswith(CAMPAIGN)]
    if campaigns:
        cells.append(f"campaigns: {_ticked(campaigns)}")
    return "<br>".join(cells)


def _short(test: Named) -> str:
    name = test.function.removeprefix("test_")
    return f"{name}[{test.variant}]" if test.variant else name


def _ticked(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(hazard: Hazard) -> str:
    return f"hazard-{hazard.number}"


def _link(hazard: Hazard) -> str:
    return f"[{hazard.number}](#{_anchor(hazard)})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
