"""The whole chip: a stock MicroPython image and the pen's own files on an emulated RP2040, with the plant on its pins.

Host only, and the only part of the simulator that knows the emulator. Time is the virtual clock's; the same run twice
is the same to the cycle.
"""
