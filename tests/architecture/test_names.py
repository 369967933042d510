"""The firmware's names fit the pools that they are in: one too many costs the heap as much as all of them together."""

from pinprick.board.build import build
from pinprick.firmware import firmware_files
from tests.architecture import names

UNITS = "pencore/units.py"


def test_the_names_fit_their_pools() -> None:
    taken, room = len(names.new(build())), names.room(names.POOLS)
    assert taken <= room, f"{taken - room} names too many: the next pool takes 7.7 kB of the heap"
    # A budget with room for as many again would be none.
    assert taken > names.room(names.POOLS - 1)


def test_there_is_room_for_all_pools_together() -> None:
    assert [names.room(pools) for pools in (1, 2, 6, 7)] == [20, 60, 1260, 2540]


def added(path: str, more: str) -> set[str]:
    """Return the names that `more` at the end of a file adds to the firmware's."""
    sources = dict(firmware_files())
    sources[path] += more.encode()
    return names.brought(build(sources)) - names.brought(build())


def test_every_name_in_a_module_is_counted_once() -> None:
    assert added(UNITS, "\nOAK = 'elm'\n\ndef birch(larch):\n    return larch.alder(OAK)\n") == {
        "OAK",
        "elm",
        "birch",
        "larch",
        "alder",
    }
    # Neither a constant of the module's own nor a long text is one, and a name that is there costs nothing.
    assert added(UNITS, "\n_OAK = const(5)\npencore = 'longer than ten'\n") == set()
    assert len(added(UNITS, "\n".join(["", *(f"OAK_{number} = {number}" for number in range(40)), ""]))) == 40


def test_every_name_in_a_script_is_counted() -> None:
    more = "\n# no name\noak = 'elm' 'and much more'\n"
    assert added("pen/boot.py", more) == {"oak", "elm"}


def test_a_module_brings_its_path_and_the_names_by_which_it_is_imported() -> None:
    found = names.brought(build())
    assert {"pencore", "pencore.units", "units", "pencore/units.mpy", "pencore/__init__.mpy", "main.py"} <= found
    assert "pencore.__init__" not in found


def test_what_is_listed_as_the_image_s_is_ours_too() -> None:
    listed = names.IMAGE_NAMES.read_text(encoding="utf-8").splitlines()
    assert listed == sorted(set(listed))
    assert names.in_image() <= names.brought(build())
