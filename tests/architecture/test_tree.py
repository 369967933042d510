"""The rules, held against the tree as it is: layers, language, texts."""

import re
import tomllib
from collections.abc import Callable, Iterator

import pytest

from pencore import faults
from tests.architecture import language, layers, texts
from tests.architecture.source import PACKAGES, ROOT, Source, sources, tracked_texts

# What a person reads or runs; tests and the rules themselves are not shown to users.
_SHOWN = ("README", "CHANGELOG", "CONTRIBUTING", "docs/", "examples/", "host/", "sim/", "firmware/", "bench/")
_CODE = (".py", ".mjs")

FIRMWARE = ("pencore", "pendevice", "pen")

Rule = Callable[[Source], Iterator[str]]


def of(*packages: str) -> list[Source]:
    """Return the sources of `packages`."""
    return [source for source in sources() if source.package in packages]


def flashed() -> list[Source]:
    """Return the sources that go onto the pen."""
    return [source for source in of(*FIRMWARE) if source.module != "pencore.ports"]


def checked(found: Iterator[str]) -> None:
    """Fail with every finding, one a line."""
    findings = list(found)
    assert not findings, "\n" + "\n".join(findings)


def test_there_is_something_to_check() -> None:
    assert {"pencore", "pensim", "pinprick"} <= {source.package for source in sources()}
    assert len(of("pencore")) > 5


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_layers(package: str) -> None:
    checked(finding for source in of(package) for finding in layers.layer_findings(source))


def test_the_oracle_knows_nothing_of_pencore() -> None:
    checked(layers.oracle_findings(sources()))


def test_declared_libraries_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        found = {re.split(r"[<>=!~ \[;]", requirement)[0] for requirement in requirements}
        return {layers.IMPORT_NAMES.get(name, name) for name in found}

    assert names(project["dependencies"]) == layers.HOST_LIBRARIES
    assert names(project["dependencies"] + project["optional-dependencies"]["sim"]) == layers.SIM_LIBRARIES


@pytest.mark.parametrize(
    "rule", [language.integer_findings, language.portable_findings, language.explicit_findings, language.const_findings]
)
def test_the_pen_understands_its_code(rule: Rule) -> None:
    checked(finding for source in flashed() for finding in rule(source))


def test_pencore_is_pure() -> None:
    checked(finding for source in of("pencore") for finding in language.pure_findings(source))


def test_an_import_does_nothing() -> None:
    """But for the command line, whose commands register themselves, and for scripts, which nobody imports."""
    for source in sources():
        script = source.package == "pen" or source.module.endswith(".__main__")
        if not script and not source.module.startswith("pinprick.cli"):
            checked(language.import_findings(source))


def test_every_module_says_what_it_is_for() -> None:
    checked(finding for source in sources() for finding in language.docstring_findings(source))


def test_every_code_has_its_name_and_its_family() -> None:
    constants = {name: value for name, value in vars(faults).items() if name.isupper() and isinstance(value, int)}
    constants.pop("TYPE_CHECKING")
    assert {value: name for name, value in constants.items()} == faults.NAMES
    assert len(constants) == len(faults.NAMES), "a code is used twice"
    assert all(101 <= code <= 999 for code in faults.NAMES)


def test_a_code_file_stays_short() -> None:
    files = [(path, text) for path, text in tracked_texts() if path.endswith(_CODE)]
    checked(finding for path, text in files for finding in texts.length_findings(path, text))


def test_no_file_names_a_machine_or_a_registry() -> None:
    checked(finding for path, text in tracked_texts() for finding in texts.machine_findings(path, text))


def test_nothing_is_left_unfinished() -> None:
    checked(finding for path, text in tracked_texts() for finding in texts.unfinished_findings(path, text))


def test_no_test_is_skipped_or_run_again() -> None:
    files = [(path, text) for path, text in tracked_texts() if path.startswith("tests/") and path.endswith(".py")]
    checked(finding for path, text in files for finding in texts.skip_findings(path, text))


def test_whatever_is_ignored_has_its_reason() -> None:
    files = [(path, text) for path, text in tracked_texts() if path.endswith(".py")]
    checked(finding for path, text in files for finding in texts.reason_findings(path, text))


def shown() -> list[tuple[str, str]]:
    """Return what users read."""
    return [(path, text) for path, text in tracked_texts() if path.startswith(_SHOWN)]


def test_no_text_for_users_makes_a_claim() -> None:
    checked(finding for path, text in shown() for finding in texts.claim_findings(path, text))


def test_each_allowed_sentence_denies_and_stands_somewhere() -> None:
    everything = " ".join(texts.plain(text) for _, text in shown())
    for sentence in texts.ALLOWED_SENTENCES:
        assert texts.DENIALS.search(sentence), f"denies nothing: {sentence}"
        assert texts.plain(sentence) in everything, f"stands nowhere: {sentence}"
        assert list(texts.claim_findings("", sentence, allowed=())), f"needs no permission: {sentence}"
