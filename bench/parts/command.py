"""What every benchmark's command does around its measuring: an option for how often, and a file of the result."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def carry_out(
    arguments: list[str] | None,
    what: str,
    option: tuple[str, int, str] | None,
    measure: Callable[[int], Figures],
    table: Callable[[Figures], str],
    result: Path,
) -> int:
    """Measure, show, and write `result` if asked to; `option`: its name, its default, what it says; None
    where once is enough. Returns 0.
    """
    parser = argparse.ArgumentParser(description=f"Measure {what}.")
    parser.set_defaults(times=1)
    if option is not None:
        name, default, text = option
        parser.add_argument(f"--{name}", dest="times", type=int, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--json", action="store_true", help=f"also write build/{result.name}")
    options = parser.parse_args(arguments)
    figures = measure(max(1, options.times))
    print(table(figures))
    if options.json:
        result.parent.mkdir(exist_ok=True)
        result.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0
