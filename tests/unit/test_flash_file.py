"""The flash in a file: written through, locked, told from what is none; and the pens that are made of it."""

import os
from pathlib import Path

import pytest

from pencore import wire
from pensim import flash_file
from pensim.flash import BLOCK_SIZE, FlashImage
from pensim.flash_file import FlashInUse, NotAFlash, create_flash, open_flash
from pensim.making import BadWish, Made, Wish, make
from pensim.world import World, default_provision, provision_in, write_provision
from tests.support import profiles
from tests.support.bench import Bench

KEY = (7, bytes(range(1, 33)))


def image() -> FlashImage:
    made = FlashImage()
    write_provision(made, default_provision())
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pen.flash"


def world(made: Made) -> World:
    """Return the pen as what it is."""
    assert isinstance(made.pen, World)
    return made.pen


def problem(wish: Wish, taken: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the option that is to blame for a wish, and why."""
    with pytest.raises(BadWish) as caught:
        make(wish, taken)
    return caught.value.option, str(caught.value)


# --- the file -------------------------------------------------------------------------------------------------------
def test_a_new_file_holds_the_image_and_nothing_is_left_beside_it(path: Path) -> None:
    made = create_flash(path, image())
    assert made.to_bytes() == path.read_bytes() == image().to_bytes()
    assert list(path.parent.iterdir()) == [path]
    made.close()
    with pytest.raises(FileExistsError):
        create_flash(path, FlashImage())
    assert list(path.parent.iterdir()) == [path]
    again = open_flash(path)
    assert again.to_bytes() == image().to_bytes()
    again.close()


def test_a_file_system_without_links_will_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    create_flash(path, image()).close()
    assert path.read_bytes() == image().to_bytes()
    with pytest.raises(FileExistsError):
        create_flash(path, FlashImage())
    assert list(path.parent.iterdir()) == [path]


def test_every_operation_of_a_session_is_in_the_file_before_the_next(path: Path) -> None:
    file = create_flash(path, image())
    bench = Bench(flash=file)
    seen = []

    def compare(_: object) -> None:
        seen.append(path.read_bytes() == file.to_bytes())

    bench.flash.before = compare
    bench.play_session(((profiles.CHEEK, 1, 400, 100, 20),))
    bench.check(exact=True)
    assert len(seen) > 20
    assert all(seen)
    assert path.read_bytes() == file.to_bytes()
    file.close()


def test_what_is_done_to_the_flash_is_done_to_the_file(path: Path) -> None:
    file = create_flash(path, image())
    before = path.read_bytes()
    file.flip(5000, 3)
    after = path.read_bytes()
    assert [at for at in range(len(before)) if before[at] != after[at]] == [5000]
    file.erase(0)
    assert path.read_bytes()[:BLOCK_SIZE] == b"\xff" * BLOCK_SIZE
    file.close()


def test_one_pen_at_a_time(path: Path) -> None:
    file = create_flash(path, image())
    with pytest.raises(FlashInUse, match="another virtual pen"):
        open_flash(path)
    file.close()
    open_flash(path).close()


@pytest.mark.parametrize("size", [0, 1, flash_file.SIZE - 1, flash_file.SIZE + 1])
def test_a_file_of_another_size_is_refused_and_left_alone(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))
    with pytest.raises(NotAFlash, match=f"has {size:,} bytes; the flash of a virtual pen has 1,441,792"):
        open_flash(path)
    assert path.read_bytes() == bytes(size)


def test_a_file_that_holds_something_else_is_refused_and_left_alone(path: Path) -> None:
    data = os.urandom(1) + bytes(flash_file.SIZE - 1)
    path.write_bytes(data)
    with pytest.raises(NotAFlash, match="holds no littlefs"):
        open_flash(path)
    assert path.read_bytes() == data


def test_a_flash_whose_first_block_is_damaged_is_still_one(path: Path) -> None:
    damaged = image()
    damaged.erase(0)
    create_flash(path, damaged).close()
    file = open_flash(path)
    assert provision_in(file) is not None
    file.close()
    path.write_bytes(b"\xff" * flash_file.SIZE)
    open_flash(path).close()  # erased: that of a pen that was never provisioned


def write_and_read(pen: World) -> None:
    pen.store.append("file", b"x" * 100)
    pen.store.read("file", 0, 100)


def test_a_change_that_does_not_reach_the_file_is_told_and_fails_on_the_pen(path: Path) -> None:
    file = create_flash(path, image())
    told: list[OSError] = []
    file.failed = told.append
    pen = World(flash=file, strict=False)
    pen.power_on()
    pen.run_ms(100)
    before = path.read_bytes()
    file._file.close()
    file._file = path.open("rb", buffering=0)
    with pytest.raises(OSError, match=r".+"):
        write_and_read(pen)
    assert told
    assert path.read_bytes() == file.to_bytes() == before
    file.close()


def test_a_file_that_somebody_cut_short_is_written_no_more(path: Path) -> None:
    file = create_flash(path, image())
    told: list[OSError] = []
    file.failed = told.append
    pen = World(flash=file, strict=False)
    pen.power_on()
    pen.run_ms(100)
    os.truncate(path, 1000)
    with pytest.raises(OSError, match=r".+"):
        write_and_read(pen)
    assert "changed its size to 1,000 bytes" in str(told[0])
    assert path.stat().st_size == 1000
    file.close()


def test_looking_for_the_provisioning_changes_nothing(path: Path) -> None:
    erased = create_flash(path, FlashImage())
    assert provision_in(erased) is None
    assert erased.to_bytes() == path.read_bytes() == b"\xff" * flash_file.SIZE
    erased.close()


# --- pens -----------------------------------------------------------------------------------------------------------
def test_a_pen_is_made_from_nothing_with_a_new_cartridge() -> None:
    made = make(Wish(build="b" * 16))
    assert (made.serial, made.seed, made.file) == ("SIM-0001", 0, None)
    assert world(made).runner.state == wire.SAFE
    assert world(made).plant.cartridge_seated
    made.close()


def test_a_free_serial_number_is_chosen_and_a_taken_one_refused() -> None:
    assert make(Wish(), ("SIM-0001", "SIM-0003")).serial == "SIM-0002"
    assert make(Wish("P-9"), ("SIM-0001",)).serial == "P-9"
    assert problem(Wish("P-9"), ("P-9",)) == ("--serial", "A simulated pen P-9 is running already")
    every = tuple(f"SIM-{number:04d}" for number in range(1, 10_000))
    assert problem(Wish(), every)[0] == "--serial"


def test_a_pen_without_a_cartridge_and_a_blank_one() -> None:
    assert not world(make(Wish(cartridge=False))).plant.cartridge_seated
    blank = make(Wish(blank=True))
    assert world(blank).runner.state == wire.SAFE
    assert provision_in(world(blank).image) is None
    assert problem(Wish(blank=True, key=KEY))[0] == "--key"


def restarted(made: Made, wish: Wish) -> Made:
    """Let go of a pen as a killed server does, and make it again."""
    made.close()
    return make(wish)


def test_a_pen_of_a_file_is_who_it_was(path: Path) -> None:
    first = make(Wish("P-9", flash=path, key=KEY))
    assert world(first).setup.key_id == 7
    again = restarted(first, Wish(flash=path))
    assert again.serial == world(again).setup.serial == "P-9"
    assert (world(again).setup.key_id, world(again).setup.key) == KEY
    assert world(again).plant.cartridge_seated
    again = restarted(again, Wish("P-9", flash=path, key=KEY))
    again.close()
    assert problem(Wish("P-8", flash=path)) == ("--serial", f"{path} is the flash of pen P-9")
    assert problem(Wish(flash=path), ("P-9",)) == ("--flash", "A simulated pen P-9 is running already")
    assert problem(Wish(flash=path, key=(8, KEY[1])))[0] == "--key"
    assert problem(Wish(flash=path, key=(7, KEY[1][::-1])))[1].endswith("provisioned with another key, number 7")
    assert problem(Wish(flash=path, blank=True))[0] == "--blank"
    open_flash(path).close()  # every refusal has let go of it


def test_a_key_can_not_be_added_to_a_flash_that_has_none(path: Path) -> None:
    make(Wish(flash=path)).close()
    assert problem(Wish(flash=path, key=KEY)) == ("--key", f"The pen in {path} was provisioned without a key")


def test_a_blank_pen_stays_blank(path: Path) -> None:
    first = make(Wish(flash=path, blank=True))
    again = restarted(first, Wish(flash=path, blank=True))
    assert provision_in(world(again).image) is None
    again.close()


def test_a_file_that_is_no_flash_is_blamed_on_its_option(path: Path) -> None:
    path.write_bytes(b"holiday")
    assert problem(Wish(flash=path)) == ("--flash", f"{path} has 7 bytes; the flash of a virtual pen has 1,441,792")
    with pytest.raises(FileNotFoundError):
        make(Wish(flash=path.parent / "not" / "there"))


def nonce(made: Made) -> str:
    found: str = world(made).runner.talk.nonce
    return found


def test_a_nonce_never_comes_again_from_a_flash_in_which_something_happened(path: Path) -> None:
    first = make(Wish(flash=path, seed=5))
    seen = [nonce(first)]
    world(first).store.append("file", b"x")
    second = restarted(first, Wish(flash=path, seed=5))
    seen.append(nonce(second))
    world(second).store.append("file", b"x")
    third = restarted(second, Wish(flash=path, seed=5))
    seen.append(nonce(third))
    assert len(set(seen)) == 3
    held = world(third).image.to_bytes()
    third.close()
    # The same seed and the same flash are the same run.
    other = path.with_name("copy")
    other.write_bytes(held)
    one, two = make(Wish(flash=path, seed=6)), make(Wish(flash=other, seed=6))
    assert nonce(one) == nonce(two)
    one.close()
    two.close()
    seeds = set()
    for _ in range(3):
        made = make(Wish(flash=path))
        seeds.add(made.seed)
        made.close()
    assert len(seeds) == 3
