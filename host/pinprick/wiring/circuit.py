"""The circuit of the reference pen: every part with its value, its terminals and the net of each. Host only; a table.

Nets are named after the Pico's pins in board.py, after supplies (24V, VM, 5V, VSYS, 3V3, GND), and after what joins
parts off the Pico. A part's `why` is what the bill of materials says of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pinprick.wiring.pins import Pin

SUPPLIES = ("24V", "VM", "5V", "VSYS", "3V3", "GND")


@dataclass(frozen=True, slots=True)
class Part:
    """A part: reference ("R1"), what it is, its value or an example of its type, why it is there; terminal -> net."""

    ref: str
    what: str
    value: str
    why: str
    terminals: dict[str, str] = field(default_factory=dict)
    safety: bool = False


def pico(pins: Iterable[Pin]) -> Part:
    """Return the controller, its terminals as board.py has them."""
    terminals = {f"GP{pin.gpio} (pin {pin.header})": pin.name for pin in pins}
    terminals |= {"VSYS (pin 39)": "VSYS", "3V3 (pin 36)": "3V3", "GND (pins 3, 8, 13, 18, 23, 38)": "GND"}
    return Part("U1", "Controller", "Raspberry Pi Pico (RP2040)", "USB goes to the host, through the case", terminals)


def _input(
    number: int, net: str, ohm: str, farad: str, pull_why: str, filter_why: str, safety: bool = False
) -> list[Part]:
    """Return what stands between a contact off the board and its pin: pull-up, series resistor, capacitor."""
    contact = f"{net}_IN"
    return [
        Part(f"R{number}", "Pull-up", ohm, pull_why, {"1": "3V3", "2": contact}, safety),
        Part(
            f"R{number + 10}",
            "Series resistor",
            "1 kΩ",
            "keeps a discharge on the cable off the pin",
            {"1": contact, "2": net},
        ),
        Part(f"C{number}", "Capacitor", farad, filter_why, {"1": net, "2": "GND"}),
    ]


_BOUNCE = "takes noise off a cable; bounces are settled by the firmware"
_TO_PULL = "the pad's own 50 to 80 kΩ are too weak against noise on a cable"

PARTS: tuple[Part, ...] = (
    # --- supply
    Part("J1", "Supply", "24 V DC, 1.5 A, insulated from mains by a safety-extra-low-voltage unit",
         "5,000 full steps/s need more than the motor's nominal voltage", {"+": "J1+", "-": "GND"}),
    Part("F1", "Fuse", "1 A, slow, 32 V or more", "a short circuit anywhere behind it",
         {"1": "J1+", "2": "F1_OUT"}, True),
    Part("D1", "Schottky diode", "3 A, 40 V (SS34)", "a supply with its poles swapped", {"A": "F1_OUT", "K": "24V"}),
    Part("S1", "Stop button", "latching, two normally closed poles, 24 V DC 3 A; gold contacts on pole B",
         "pole A takes the motor's supply away, pole B opens the stop line: neither needs the other, nor software",
         {"A1": "24V", "A2": "VM", "B1": "STOP_IN", "B2": "GND"}, True),
    Part("C20", "Capacitor", "220 µF, 35 V, low impedance",
         "takes up what a driven-back motor returns (about 10 mJ): VM stays below 26 V", {"+": "VM", "-": "GND"}),
    Part("C21", "Capacitor", "100 nF, 50 V, at the driver", "chopper edges", {"1": "VM", "2": "GND"}),
    Part("R20", "Resistor", "4.7 kΩ, 0.25 W", "empties C20 within 5 s of a stop", {"1": "VM", "2": "GND"}, True),
    Part("PS1", "Step-down module", "24 V to 5 V, 0.5 A",
         "in front of the stop button: the controller stays awake, latches the stop and writes it down",
         {"IN": "24V", "OUT": "5V", "GND": "GND"}),
    Part("D2", "Schottky diode", "1 A, 20 V (1N5817)", "USB and 5 V never feed each other", {"A": "5V", "K": "VSYS"}),
    # --- driver and motor
    Part("U2", "Motor driver", "TMC2209 module, sense resistors of 0.11 Ω",
         "straps MS1 and MS2 at GND: 8 microsteps and address 0, so that a driver that was reset keeps the geometry",
         {"VM": "VM", "GND": "GND", "VIO": "3V3", "EN": "ENABLE", "STEP": "STEP", "DIR": "DIR", "PDN_UART": "UART_RX",
          "MS1": "GND", "MS2": "GND", "A1": "COIL_A1", "A2": "COIL_A2", "B1": "COIL_B1", "B2": "COIL_B2"}),
    Part("R1", "Pull-up", "4.7 kΩ (10 kΩ at most)",
         "holds the driver off while the controller is in reset, unprogrammed or absent",
         {"1": "3V3", "2": "ENABLE"}, True),
    Part("R7", "Series resistor", "1 kΩ", "the driver may answer on the line that the controller talks on",
         {"1": "UART_TX", "2": "UART_RX"}),
    Part("M1", "Motor", "20 mm (NEMA 8) hybrid stepper or linear actuator, 1.8°, 0.6 A, lead screw of 4 mm",
         "a lead that the spring can drive back",
         {"A1": "COIL_A1", "A2": "COIL_A2", "B1": "COIL_B1", "B2": "COIL_B2"}),
    # --- what is watched
    Part("B1", "Home sensor",
         "Hall switch, open drain, unipolar, 10 kHz or faster (DRV5023); or a photo interrupter behind a slit",
         "conducts only while it sees the carriage: dark, unpowered or torn off it reads as not home",
         {"+": "3V3", "OUT": "HOME_IN", "-": "GND"}, True),
    *_input(2, "HOME", "4.7 kΩ", "1 nF", "a torn wire reads as not home",
            "6 µs: a tenth of a microstep at the sensor's edge", True),
    *_input(3, "STOP", "2.2 kΩ", "10 nF", "a torn wire reads as pressed; 1.5 mA keep the contact clean",
            "the stop line is seen open 30 µs after the contact opens", True),
    Part("S2", "Trigger", "momentary, normally open, in the grip", "the only thing that starts strokes",
         {"1": "TRIGGER_IN", "2": "GND"}),
    *_input(4, "TRIGGER", "4.7 kΩ", "100 nF", _TO_PULL, _BOUNCE),
    Part("S3", "Cartridge switch", "momentary, normally open, closed by a seated cartridge",
         "torn off it reads as no cartridge", {"1": "CARTRIDGE_IN", "2": "GND"}),
    *_input(5, "CARTRIDGE", "4.7 kΩ", "100 nF", _TO_PULL, _BOUNCE),
    Part("S4", "Service button", "momentary, normally open, inside the case",
         "only who opens the case puts other firmware on", {"1": "SERVICE_IN", "2": "GND"}),
    *_input(6, "SERVICE", "4.7 kΩ", "100 nF", _TO_PULL, _BOUNCE),
    # --- what is shown
    Part("D3", "RGB light", "common cathode, 5 mm, diffuse", "the state, by colour and by rhythm",
         {"R": "D3_R", "G": "D3_G", "B": "D3_B", "K": "GND"}),
    Part("R8", "Resistor", "330 Ω", "4 mA, what a pad gives", {"1": "LED_RED", "2": "D3_R"}),
    Part("R9", "Resistor", "100 Ω", "3 mA", {"1": "LED_GREEN", "2": "D3_G"}),
    Part("R10", "Resistor", "100 Ω", "3 mA", {"1": "LED_BLUE", "2": "D3_B"}),
    Part("LS1", "Buzzer", "active, 5 V, 30 mA at most", "the state, by sound", {"+": "5V", "-": "LS1-"}),
    Part("Q1", "Transistor", "N-channel MOSFET, logic level (2N7002)", "a pad gives no 30 mA",
         {"G": "BUZZER", "D": "LS1-", "S": "GND"}),
    Part("R19", "Resistor", "100 kΩ", "no sound while the controller is in reset", {"1": "BUZZER", "2": "GND"}),
    Part("D4", "Diode", "1N4148", "what a magnetic buzzer gives back", {"A": "LS1-", "K": "5V"}),
)  # fmt: skip
"""Every part that is wired, but the controller."""

MECHANICAL: tuple[Part, ...] = (
    Part("X1", "Return spring", "6.5 N at home, 0.3 N/mm; the rule: 1.5 times detent and friction, as measured",
         "retracts the needles when the motor is off, whatever the reason", safety=True),
    Part("X2", "Mechanical stop", "steel or filled plastic, at a depth of 2.6 mm",
         "what no electronics can exceed, coasting and lost steps included", safety=True),
    Part("X3", "Rear stop", "0.06 mm behind home", "where the spring rests the carriage, inside the sensor's window"),
    Part("X4", "Nose piece and cartridge holder", "home lies 0.5 mm behind the nose's plane",
         "needles at home are inside the nose", safety=True),
    Part("X5", "Case", "the service button and BOOTSEL behind screws", "who opens it can replace the firmware"),
)  # fmt: skip
"""What is not wired."""


def parts(pins: Iterable[Pin]) -> tuple[Part, ...]:
    """Return every wired part, the controller first."""
    return (pico(pins), *PARTS)


def nets(pins: Iterable[Pin]) -> dict[str, list[str]]:
    """Return {net: its terminals ("R1.2", "U1.GP5 (pin 7)")}, supplies first, then as the parts name them."""
    found: dict[str, list[str]] = {name: [] for name in SUPPLIES}
    for part in parts(pins):
        for terminal, net in part.terminals.items():
            found.setdefault(net, []).append(f"{part.ref}.{terminal}")
    return found
