"""What a virtual pen answers to its hands, for people and for programs. Host only."""

import json
from collections.abc import Mapping
from typing import Any

from pinprick.cli import pictures
from pinprick.cli.output import Output
from pinprick.profiles.units import counted, mm


def show(out: Output, answer: Mapping[str, Any]) -> None:
    """Print the answer to a command."""
    fields = dict(answer)
    out.event(fields.pop("event"), **fields)
    if "problem" in answer:
        out.say(str(answer["problem"]), style="red")
        return
    shown = {"oracle": _show_oracle, "pins": _show_pins, "faults": _show_faults}.get(answer["do"])
    if shown is not None and not out.json_lines:
        shown(out, answer)


def _show_oracle(out: Output, answer: Mapping[str, Any]) -> None:
    labels = answer["labels"]
    tallies = {"in all": answer["total"]}
    if set(labels) != {""}:
        tallies |= {label or "no zone": tally for label, tally in labels.items()}
    columns = [
        pictures.Column("needle", list(tallies), left=True),
        pictures.Column("strokes", [f"{tally['strokes']:,}" for tally in tallies.values()]),
        pictures.Column("begun", [f"{tally['begun']:,}" for tally in tallies.values()]),
        pictures.Column("deepest", [_mm(tally["deepest_um"]) for tally in tallies.values()]),
        pictures.Column("with coasting", [_mm(tally["deepest_coast_um"]) for tally in tallies.values()]),
    ]
    out.say(pictures.table(columns, out.console.width))
    if answer["crashes"]:
        out.say(f"the firmware gave up {counted(answer['crashes'], 'time')}", style="red")
    for violation in answer["violations"]:
        out.say(violation, style="red")


def _mm(um: float) -> str:
    return mm(round(um))


_LEVELS = {
    "driver_enable": ("driver enable", "on", "off"),
    "driver_on": ("motor current", "on", "off"),
    "home": ("home sensor", "sees home", "sees nothing"),
    "trigger": ("trigger", "pressed", "released"),
    "stop": ("stop button", "pressed", "released"),
    "cartridge": ("cartridge holder", "closed", "open"),
    "service": ("service button", "held", "released"),
    "usb": ("USB cable", "in", "out"),
    "power": ("supply", "on", "off"),
}


def _show_pins(out: Output, answer: Mapping[str, Any]) -> None:
    levels = {title: on if answer[name] else off for name, (title, on, off) in _LEVELS.items()}
    levels["depth now"] = _mm(answer["depth_um"])
    columns = [
        pictures.Column("pin", list(levels), left=True),
        pictures.Column("level", list(levels.values()), left=True),
    ]
    out.say(pictures.table(columns, out.console.width))


def _show_faults(out: Output, answer: Mapping[str, Any]) -> None:
    told = ""
    for fault in answer["known"]:
        if fault["class"] != told:
            told = fault["class"]
            out.say(f"{told}:")
        values = " ".join(f"{each['name']}={_word(each['default'])}" for each in fault["parameters"])
        out.say(f"{fault['name']} {values}".rstrip(), style="bold")
        out.say(f"  {fault['summary']}{'' if fault['mendable'] else ' It can not be mended.'}")
    for fault in answer["present"]:
        values = " ".join(f"{name}={_word(value)}" for name, value in fault["parameters"].items())
        out.say(f"The pen suffers from {fault['name']} {values}".rstrip(), style="red")


def _word(value: object) -> str:
    """Return a value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value)
