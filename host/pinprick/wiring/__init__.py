"""How a pen is wired: pins, parts and nets as tables, and the page and the drawing made from them. Host only; pure.

The pins are read from `pendevice/board.py`, the file that is flashed, so that no drawing can show another one.
"""
