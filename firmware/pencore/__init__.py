"""The pen's logic, pure: the same files run on the pen, in the simulator, under CPython and under MicroPython.

Nothing in here knows a clock, a pin or a file. Time, bytes and ports are arguments (`pencore.ports`), numbers are
integers whose unit ends their name, and a value out of range is refused (`pencore.faults.Refusal`), never clamped.
"""
