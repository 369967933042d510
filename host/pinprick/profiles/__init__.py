"""Session profiles as files: reading, checking with line and field, filling in for a pen, comparing, making new ones.

Host only. The limits are pencore's: a file is held to the very code that the pen itself runs.
"""

from pinprick.profiles.check import check, default_bounds, load_profile, parse_profile, to_core
from pinprick.profiles.compare import Change, changes
from pinprick.profiles.edit import placeholder_problems
from pinprick.profiles.model import Cartridge, Course, Limits, ProfileFile, ZoneEntry
from pinprick.profiles.source import SIZE_MAX, Source

__all__ = [
    "SIZE_MAX",
    "Cartridge",
    "Change",
    "Course",
    "Limits",
    "ProfileFile",
    "Source",
    "ZoneEntry",
    "changes",
    "check",
    "default_bounds",
    "load_profile",
    "parse_profile",
    "placeholder_problems",
    "to_core",
]
