"""A board and what goes onto it: the compiled firmware, its manifest, the stock image, how they get there. Host only.

`build` makes the files, `install` puts them onto anything that is a `Board`, `repl` alone knows how a real board is
talked to, `service` meets the pen before and after, `image` knows which MicroPython a board has to run.
"""
