"""What this build calls itself on the wire and in records. Runs on pen and host; allocates nothing at run time."""

from pencore.compat import const

FIRMWARE = "0.1.0"
"""Version of the firmware, printed by `hello`; the release of the whole project carries the same number."""

PROTOCOL_MAJOR = const(1)
"""Wire protocol: another major number is refused by `hello` (nothing is understood across majors)."""

PROTOCOL_MINOR = const(0)
"""Wire protocol: a higher minor number only adds."""
