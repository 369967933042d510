"""The wiring drawing, an SVG made from the pins and the circuit. Host only; pure.

The controller stands in the middle, what it listens to on the left, what it drives on the right, the way of the supply
along the top. Safety parts are drawn red. Supplies are flags, not wires.
"""

from collections.abc import Sequence
from html import escape

from pinprick.wiring.circuit import Part, parts
from pinprick.wiring.pins import Pin

PATH = "docs/hardware/wiring.svg"
"""Where the drawing lives, seen from the top of the project."""

_WIDTH = 1280
_TOP = 262
_LEFT_ROW = 96
_RIGHT_ROW = 50
_CHIP = (480, 720)
_STYLE = """
  svg { background: #fff; font: 12px sans-serif; }
  .box { fill: #f6f8fa; stroke: #24292f; stroke-width: 1.5; }
  .safe { fill: #fff0ee; stroke: #b3261e; stroke-width: 2; }
  .wire { fill: none; stroke: #24292f; stroke-width: 1.5; }
  .dot { fill: #24292f; }
  .ref { font-weight: bold; }
  .small { font-size: 10.5px; fill: #444; }
  .flag { font-size: 11px; fill: #0550ae; }
  .title { font-size: 17px; font-weight: bold; }
"""


class _Sheet:
    """Collects the drawing; coordinates in px, y downwards."""

    def __init__(self, table: Sequence[Part]) -> None:
        self.out: list[str] = []
        self._parts = {part.ref: part for part in table}
        self.drawn: set[str] = set()

    def part(self, ref: str) -> Part:
        """Return a part, which is drawn from now on."""
        self.drawn.add(ref)
        return self._parts[ref]

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start") -> None:
        self.out.append(f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def wire(self, *points: tuple[float, float]) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.out.append(f'<polyline class="wire" points="{path}"/>')

    def dot(self, x: float, y: float) -> None:
        self.out.append(f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="3"/>')

    def rect(self, x: float, y: float, width: float, height: float, safety: bool) -> None:
        style = "safe" if safety else "box"
        self.out.append(f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4"/>')

    def box(self, ref: str, x: float, y: float, width: float, height: float, lines: Sequence[str] = ()) -> None:
        """Draw a part as a box with its reference, what it is, and `lines`."""
        part = self.part(ref)
        self.rect(x, y, width, height, part.safety)
        self.text(x + 8, y + 16, f"{ref}  {part.what}", "ref")
        for number, line in enumerate(lines):
            self.text(x + 8, y + 31 + 13 * number, line, "small")

    def flag(self, x: float, y: float, net: str, up: bool) -> None:
        """Draw the end of a wire at a supply."""
        bar = y - 4 if up else y + 4
        self.wire((x - 9, bar), (x + 9, bar))
        self.wire((x, y), (x, bar))
        self.text(x, bar - 4 if up else bar + 12, net, "flag", "middle")

    def across(self, ref: str, x: float, y: float) -> None:
        """Draw a two-pole part lying in a wire, 50 px wide, its middle at `x`."""
        part = self.part(ref)
        self.rect(x - 25, y - 8, 50, 16, part.safety)
        self.text(x, y + 4, ref, "small ref", "middle")
        self.text(x, y - 12, _short(part), "small", "middle")

    def upright(self, ref: str, x: float, y: float, net: str, up: bool, side: int = 1) -> None:
        """Draw a two-pole part from the wire at `y` up or down to a supply; its words stand right or left of it."""
        part = self.part(ref)
        if net not in part.terminals.values():
            raise ValueError(f"{ref} is not at {net}")
        sign = -1 if up else 1
        near, far = y + sign * 8, y + sign * 26
        self.dot(x, y)
        self.wire((x, y), (x, near))
        self.rect(x - 7, min(near, far), 14, 18, part.safety)
        self.wire((x, far), (x, far + sign * 2))
        self.flag(x, far + sign * 2, net, up)
        anchor = "start" if side > 0 else "end"
        self.text(x + side * 11, (near + far) / 2 + 4, f"{ref} {_short(part)}", "small", anchor)


def _short(part: Part) -> str:
    """Return a value's first words: "220 µF" of "220 µF, 35 V, low impedance"."""
    return part.value.split(",")[0].split(" (")[0]


def drawing(pins: Sequence[Pin]) -> str:
    """Return the SVG; ValueError when a wired part or a pin has no place in it."""
    table = parts(pins)
    sheet = _Sheet(table)
    sheet.text(24, 34, "Pinprick, reference pen: wiring", "title")
    sheet.text(
        24,
        54,
        "Made from firmware/pendevice/board.py and the net list. Red: safety parts. Values: docs/hardware.md.",
        "small",
    )
    _supply(sheet)
    by_name = {pin.name: pin for pin in pins}
    rows = _chip(sheet, by_name)
    for name, ref in _INPUTS.items():
        _input(sheet, ref, name, rows[name])
    _driver(sheet, rows)
    _shown(sheet, rows)
    missing = {part.ref for part in table} - sheet.drawn
    if missing:
        raise ValueError(f"not drawn: {', '.join(sorted(missing))}")
    height = max(rows.values()) + 110
    box = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">'
    return "\n".join(
        [head, f"<title>Wiring of the reference pen</title>\n<style>{_STYLE}</style>", *sheet.out, "</svg>", ""]
    )


_INPUTS = {"HOME": "B1", "STOP": "S1", "TRIGGER": "S2", "CARTRIDGE": "S3", "SERVICE": "S4"}
"""Pin -> what is at its other end."""
_RIGHT = ("STEP", "DIR", "ENABLE", "UART_TX", "UART_RX", "LED_RED", "LED_GREEN", "LED_BLUE", "BUZZER")


def _chip(sheet: _Sheet, pins: dict[str, Pin]) -> dict[str, int]:
    """Draw the controller; return the height of each pin's wire."""
    if set(pins) != {*_INPUTS, *_RIGHT}:
        raise ValueError(f"pins without a place: {', '.join(sorted(set(pins) ^ {*_INPUTS, *_RIGHT}))}")
    left, right = _CHIP
    rows = {name: _TOP + 62 + _LEFT_ROW * number for number, name in enumerate(_INPUTS)}
    rows |= {name: _TOP + 40 + _RIGHT_ROW * number for number, name in enumerate(_RIGHT[:5])}
    rows |= {name: _TOP + 98 + _RIGHT_ROW * number for number, name in enumerate(_RIGHT) if number >= 5}
    bottom = max(rows.values()) + 34
    sheet.box("U1", left, _TOP, right - left, bottom - _TOP)
    sheet.text(left + 8, _TOP + 31, "Raspberry Pi Pico", "small")
    for name, y in rows.items():
        pin = pins[name]
        at_left = name in _INPUTS
        x, anchor = (left + 6, "start") if at_left else (right - 6, "end")
        sheet.text(x, y + 1, f"GP{pin.gpio} {name}" if at_left else f"{name} GP{pin.gpio}", "ref", anchor)
        sheet.text(x, y + 13, f"pin {pin.header}", "small", anchor)
    sheet.flag((left + right) / 2, bottom, "GND", up=False)
    sheet.text(left + 8, bottom - 8, "3V3: pin 36. GND: pins 3, 8, 13, 18, 23, 38", "small")
    return rows


def _supply(sheet: _Sheet) -> None:
    """Draw the way from the supply to VM along the top, with what branches off."""
    y = 122
    sheet.box("J1", 24, y - 26, 130, 52, ["24 V DC, 1.5 A", "-: GND"])
    sheet.wire((154, y), (1230, y))
    sheet.across("F1", 200, y)
    sheet.across("D1", 275, y)
    sheet.dot(340, y)
    sheet.text(340, y - 8, "24V", "flag", "middle")
    sheet.wire((340, y), (340, y + 54), (366, y + 54))
    sheet.box("PS1", 366, y + 30, 172, 48, ["24 V to 5 V, 0.5 A", "GND: GND"])
    sheet.wire((538, y + 54), (600, y + 54), (600, _TOP))
    sheet.dot(566, y + 54)
    sheet.text(566, y + 48, "5V", "flag", "middle")
    sheet.part("D2")
    sheet.rect(575, y + 72, 50, 16, safety=False)
    sheet.text(600, y + 84, "D2", "small ref", "middle")
    sheet.text(632, y + 84, "1 A, 20 V", "small")
    sheet.text(608, _TOP - 10, "VSYS, pin 39", "small")
    sheet.box("S1", 690, y - 34, 150, 52, ["pole A: 24V to VM", "latching, normally closed"])
    sheet.dot(900, y)
    sheet.text(900, y - 8, "VM", "flag", "middle")
    for ref, x in (("C20", 930), ("C21", 1015), ("R20", 1106)):
        sheet.upright(ref, x, y, "GND", up=False)
    sheet.wire((1230, y), (1230, y + 66), (1000, y + 66), (1000, _TOP - 20))
    sheet.text(1010, y + 80, "VM to U2", "small")


def _input(sheet: _Sheet, ref: str, name: str, y: float) -> None:
    """Draw an input's row: what is watched, its pull-up, its series resistor, its capacitor, the pin."""
    number = {"HOME": 2, "STOP": 3, "TRIGGER": 4, "CARTRIDGE": 5, "SERVICE": 6}[name]
    lines = {
        "HOME": ["+: 3V3   -: GND", "conducts at home"],
        "STOP": ["pole B: to GND", "normally closed"],
    }.get(name, ["to GND", "normally open"])
    sheet.box(ref, 24, y - 28, 176, 58, lines)
    sheet.wire((200, y), (_CHIP[0], y))
    sheet.upright(f"R{number}", 240, y, "3V3", up=True)
    sheet.across(f"R{number + 10}", 335, y)
    sheet.upright(f"C{number}", 400, y, "GND", up=False)


def _driver(sheet: _Sheet, rows: dict[str, int]) -> None:
    """Draw the motor's driver and the motor."""
    right = _CHIP[1]
    top, bottom = _TOP - 20, rows["UART_RX"] + 30
    sheet.box("U2", 930, top, 160, bottom - top, ["TMC2209 module"])
    sheet.text(938, rows["UART_TX"] - 4, "VIO: 3V3", "small")
    sheet.text(938, rows["UART_TX"] + 10, "MS1, MS2: GND", "small")
    for name, terminal in (("STEP", "STEP"), ("DIR", "DIR"), ("ENABLE", "EN"), ("UART_RX", "PDN_UART")):
        y = rows[name]
        sheet.wire((right, y), (930, y))
        sheet.text(936, y + 4, terminal, "ref")
    sheet.upright("R1", 790, rows["ENABLE"], "3V3", up=True)
    sheet.text(830, rows["ENABLE"] + 14, "low: on", "small")
    y = rows["UART_TX"]
    sheet.wire((right, y), (880, y), (880, rows["UART_RX"]))
    sheet.across("R7", 800, y)
    sheet.dot(880, rows["UART_RX"])
    sheet.flag(1010, bottom, "GND", up=False)
    sheet.box("M1", 1140, rows["DIR"] - 40, 120, 110, ["20 mm stepper,", "1.8°, 0.6 A,", "lead 4 mm"])
    for number, terminal in enumerate(("A1", "A2", "B1", "B2")):
        y = rows["DIR"] + 20 + 14 * number
        sheet.wire((1090, y), (1140, y))
        sheet.text(1115, y - 3, terminal, "small", "middle")


def _shown(sheet: _Sheet, rows: dict[str, int]) -> None:
    """Draw the light and the buzzer."""
    right = _CHIP[1]
    sheet.box("D3", 930, rows["LED_RED"] - 22, 130, rows["LED_BLUE"] - rows["LED_RED"] + 44, ["common cathode"])
    for ref, name in (("R8", "LED_RED"), ("R9", "LED_GREEN"), ("R10", "LED_BLUE")):
        sheet.wire((right, rows[name]), (930, rows[name]))
        sheet.across(ref, 830, rows[name])
    sheet.wire((1060, rows["LED_GREEN"]), (1085, rows["LED_GREEN"]), (1085, rows["LED_GREEN"] + 20))
    sheet.flag(1085, rows["LED_GREEN"] + 20, "GND", up=False)
    y = rows["BUZZER"]
    sheet.wire((right, y), (930, y))
    sheet.upright("R19", 790, y, "GND", up=False)
    sheet.box("Q1", 930, y - 20, 110, 44, ["2N7002; S: GND"])
    sheet.wire((1040, y), (1130, y))
    sheet.text(1048, y - 4, "D", "small")
    sheet.box("LS1", 1130, y - 22, 130, 44, ["active; +: 5V"])
    sheet.part("D4")
    sheet.dot(1085, y)
    sheet.wire((1085, y), (1085, y + 14))
    sheet.rect(1060, y + 14, 50, 16, safety=False)
    sheet.text(1085, y + 26, "D4", "small ref", "middle")
    sheet.text(1116, y + 38, "1N4148, K: 5V", "small")
