"""Which pin is what, and which level means what. Runs on the pen; the drawing and the pin table are made from it.

GPIO numbers as the RP2040 names them. STEP, DIR and HOME lie in a row, in this order: the programs of `stroke_pio` read
them as one group. Levels are chosen so that a broken wire says the safer thing. Allocates nothing.
"""

from pencore.compat import const

STEP = const(2)
"""Out, PIO 0. A rising edge is one microstep."""
DIR = const(3)
"""Out, PIO 0. 1 extends, 0 retracts, as in the stroke table."""
HOME = const(4)
"""In, pulled up. The home sensor conducts while it sees the carriage: dark, unpowered or broken off it reads away."""
ENABLE = const(5)
"""Out, PIO 1, with an external pull-up. The driver's enable: low switches it on, and a floating pin off."""
STOP = const(6)
"""In, pulled up. The stop button's normally closed pole to ground: pressed or broken off it reads high."""
TRIGGER = const(7)
"""In, pulled up. The trigger's switch to ground: down it reads low, broken off it is not pressed."""
CARTRIDGE = const(8)
"""In, pulled up. The cartridge's switch to ground: seated it reads low, broken off there is none."""
SERVICE = const(9)
"""In, pulled up. The service button to ground, inside the case: held it reads low."""

HOME_SEEN = const(0)
ENABLE_ON = const(0)
ENABLE_OFF = const(1)
STOP_OPEN = const(1)
TRIGGER_DOWN = const(0)
CARTRIDGE_SEATED = const(0)
SERVICE_HELD = const(0)
UART_TX = const(12)
"""Out, UART 0, through 1 kOhm to the driver's one-wire line PDN_UART."""
UART_RX = const(13)
"""In, UART 0, on that line."""
LED_RED = const(16)
"""Out. High is lit, as the other two."""
LED_GREEN = const(17)
LED_BLUE = const(18)
BUZZER = const(19)
"""Out, through a transistor. High sounds."""
