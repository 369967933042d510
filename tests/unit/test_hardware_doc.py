"""The hardware's page and drawing: made from the pins that are flashed and from the net list, and true to both."""

import re
from xml.etree import ElementTree

import pytest

from pencore.units import Geometry
from pensim.mechanics import Mechanics, PenParameters
from pinprick import firmware_files
from pinprick.wiring import pins as reading
from pinprick.wiring.circuit import MECHANICAL, PARTS, nets, parts
from pinprick.wiring.drawing import PATH as DRAWING
from pinprick.wiring.drawing import drawing
from pinprick.wiring.page import PATH, edge_us, filled_in
from pinprick.wiring.pins import FILE, pins
from tests.architecture.source import ROOT

BOARD = firmware_files()[FILE]
PAGE = (ROOT / PATH).read_text(encoding="utf-8")

# The Pico's header as its maker draws it: what each pin is, counted around the board from pin 1.
HEADER = [
    *("GP0", "GP1", "GND", "GP2", "GP3", "GP4", "GP5", "GND", "GP6", "GP7"),
    *("GP8", "GP9", "GND", "GP10", "GP11", "GP12", "GP13", "GND", "GP14", "GP15"),
    *("GP16", "GP17", "GND", "GP18", "GP19", "GP20", "GP21", "GND", "GP22", "RUN"),
    *("GP26", "GP27", "GND", "GP28", "VREF", "3V3", "3V3_EN", "GND", "VSYS", "VBUS"),
]


def moved(name: str, gpio: int) -> bytes:
    """Return board.py with a pin elsewhere."""
    changed, count = re.subn(rf"(?m)^{name} = const\(\d+\)$", f"{name} = const({gpio})", BOARD.decode())
    assert count == 1
    return changed.encode()


# --- pins ------------------------------------------------------------------------------------------------------------
def test_the_pins_are_those_that_the_firmware_uses() -> None:
    names: dict[str, object] = {"const": int}
    exec(BOARD.decode().replace("from pencore.compat import const", ""), names)  # noqa: S102  # the file that is flashed
    used = {name: value for name, value in names.items() if name.isupper()}
    found = pins()
    assert {pin.name: pin.gpio for pin in found} | dict(level for pin in found for level in pin.levels) == used


def test_each_gpio_is_on_its_header_pin() -> None:
    for pin in pins():
        assert HEADER[pin.header - 1] == f"GP{pin.gpio}"
    for gpio, header in reading._HEADER.items():
        assert HEADER[header - 1] == f"GP{gpio}"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"X = const(3)\n", "neither In nor Out"),
        (b'X = const(3)\n"""Perhaps."""\n', "neither In nor Out"),
        (b'X = const(3)\n"""In."""\nY = const(3)\n', "GPIO 3"),
        (b'X = const(25)\n"""Out. The light on the board."""\n', "GPIO 25"),
    ],
)
def test_a_pin_that_makes_no_sense_is_refused(source: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pins(source)


def test_levels_are_told_from_pins_by_their_names() -> None:
    (pin,) = pins(b'STOP = const(6)\n"""In, pulled up. High when pressed."""\nSTOP_OPEN = const(1)\n')
    assert (pin.is_output, pin.text, pin.levels) == (False, "pulled up. High when pressed.", (("STOP_OPEN", 1),))


# --- circuit ---------------------------------------------------------------------------------------------------------
def test_every_net_joins_at_least_two_terminals() -> None:
    assert {net: ends for net, ends in nets(pins()).items() if len(ends) < 2} == {}


def test_references_are_unique() -> None:
    refs = [part.ref for part in (*parts(pins()), *MECHANICAL)]
    assert len(set(refs)) == len(refs)


def test_every_pin_of_the_controller_goes_somewhere() -> None:
    joined = nets(pins())
    for pin in pins():
        assert len(joined[pin.name]) >= 2, pin.name
        assert f"U1.GP{pin.gpio} (pin {pin.header})" in joined[pin.name]


def ohms(ref: str) -> float:
    """Return a resistor's value."""
    (part,) = [part for part in PARTS if part.ref == ref]
    number, unit = part.value.split(",")[0].split(" (")[0].split()
    return float(number) * {"Ω": 1, "kΩ": 1000}[unit]


def test_the_driver_is_off_while_the_controller_sleeps() -> None:
    (pull_up,) = [part for part in PARTS if part.ref == "R1"]
    assert set(pull_up.terminals.values()) == {"3V3", "ENABLE"}
    assert ohms("R1") <= 10_000
    weakest_pull_down, high = 50_000, 0.7 * 3.3
    assert 3.3 * weakest_pull_down / (weakest_pull_down + ohms("R1")) > high + 0.4
    (enable,) = [pin for pin in pins() if pin.name == "ENABLE"]
    assert dict(enable.levels) == {"ENABLE_ON": 0, "ENABLE_OFF": 1}


def test_the_stop_button_breaks_the_motor_s_supply_and_the_line() -> None:
    (button,) = [part for part in PARTS if part.ref == "S1"]
    assert button.terminals == {"A1": "24V", "A2": "VM", "B1": "STOP_IN", "B2": "GND"}
    joined = nets(pins())
    fed = {terminal.partition(".")[0] for terminal in joined["VM"]}
    assert "U2" in fed
    assert not fed & {"U1", "PS1", "D2"}


@pytest.mark.parametrize("name", ["HOME", "STOP", "TRIGGER", "CARTRIDGE", "SERVICE"])
def test_an_input_torn_off_says_the_safer_thing(name: str) -> None:
    """Every input is pulled up on the sensor's side, and what it then reads is not what permits anything."""
    contact = nets(pins())[f"{name}_IN"]
    pulls = [part for part in PARTS if part.what == "Pull-up" and f"{name}_IN" in part.terminals.values()]
    assert len(pulls) == 1
    assert set(pulls[0].terminals.values()) == {"3V3", f"{name}_IN"}
    assert any(terminal.partition(".")[0] == pulls[0].ref for terminal in contact)
    (pin,) = [pin for pin in pins() if pin.name == name]
    ((level, value),) = pin.levels
    assert value == (1 if name == "STOP" else 0), level


def test_a_pad_reads_low_through_the_resistors() -> None:
    for number in (2, 3, 4, 5, 6):
        assert 3.3 * ohms(f"R{number + 10}") / (ohms(f"R{number + 10}") + 50_000) < 0.1


def test_the_spring_keeps_its_rule_in_the_model_that_the_page_quotes() -> None:
    model = PenParameters()
    assert model.spring_n >= 1.5 * (model.detent_n + model.friction_n)
    (spring,) = [part for part in MECHANICAL if part.ref == "X1"]
    assert spring.value.startswith(f"{model.spring_n:g} N at home, {model.spring_n_per_mm:g} N/mm")
    assert f"{model.detent_n:.1f} N of detent and {model.friction_n:g} N of friction" in PAGE
    (stop,) = [part for part in MECHANICAL if part.ref == "X2"]
    assert f"a depth of {model.stop_um / 1000:g} mm" in stop.value


def test_the_motor_s_force_is_what_the_page_says() -> None:
    model, geometry = PenParameters(), Geometry()
    deepest_mm = 2.5
    against = model.spring_n + model.spring_n_per_mm * 3.0 + model.friction_n + model.skin_n_per_mm * deepest_mm
    needed = Mechanics(model).mass_kg * geometry.a_max_mm_s2 / 1000 + against
    assert f"**{needed:.0f} N at the carriage" in PAGE
    screw = 6.2832 / (model.lead_um * 1e-6)
    assert f"the model assumes {model.pullout[0][1] * screw * model.screw_efficiency:.0f} N" in PAGE


# --- page and drawing ------------------------------------------------------------------------------------------------
def test_the_home_sensor_is_as_fast_as_the_carriage_at_its_edge() -> None:
    step_us, window_us = edge_us(Geometry())
    [sensor] = [part for part in PARTS if part.ref == "B1"]
    rated = re.search(r"(\d+) kHz or faster", sensor.value)
    assert rated is not None
    late_us = 500 // int(rated[1])
    assert late_us < step_us < window_us
    prose = " ".join(PAGE[PAGE.index("**B1, ") : PAGE.index("**X1, ")].split())
    assert f"a microstep takes {step_us} µs there" in prose
    assert f"{rated[1]} kHz or faster has followed within {late_us} µs" in prose
    assert f"{window_us / 1000:.1f} ms after the edge" in prose


def test_page_and_drawing_are_up_to_date() -> None:
    assert filled_in(PAGE) == PAGE
    assert (ROOT / DRAWING).read_text(encoding="utf-8") == drawing(pins())
    assert f"]({DRAWING.removeprefix('docs/')})" in PAGE


def test_the_page_says_that_nobody_has_built_it() -> None:
    assert "**Nobody has built this yet.**" in PAGE.split("##", maxsplit=1)[0]


@pytest.mark.parametrize("name", [pin.name for pin in pins()])
def test_a_pin_that_moves_moves_in_page_and_drawing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    changed = {**firmware_files(), FILE: moved(name, 22)}
    monkeypatch.setattr(reading, "firmware_files", lambda: changed)
    assert filled_in(PAGE) != PAGE
    page = filled_in(PAGE)
    assert f"| `{name}` | 22 | 29 |" in page
    assert "U1.GP22 (pin 29)" in page
    assert re.search(rf"GP22 {name}<|>{name} GP22<", drawing(pins()))


def test_a_pin_without_a_place_in_the_drawing_is_refused() -> None:
    more = pins(BOARD + b'\nLIGHT = const(22)\n"""Out."""\n')
    with pytest.raises(ValueError, match="LIGHT"):
        drawing(more)


def test_the_drawing_is_well_formed_and_shows_every_wired_part() -> None:
    tree = ElementTree.fromstring(drawing(pins()))
    said = " ".join(text for text in tree.itertext())
    for part in parts(pins()):
        assert re.search(rf"(?<!\w){re.escape(part.ref)}(?!\w)", said), part.ref


def test_a_mark_that_names_no_table_is_found() -> None:
    with pytest.raises(KeyError):
        filled_in("<!-- table: colours -->\n<!-- end of table -->")
