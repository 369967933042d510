"""The pen's own half: what only runs on an RP2040 under MicroPython.

Each module is one port of `pencore.ports` or a part of one; `pendevice.app` joins them to the logic.
"""
