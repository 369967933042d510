"""The USB cable of a served pen, pulled and put back under a host that is connected."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pencore import wire
from pensim.ends import PtyEnd, TcpEnd
from pinprick import errors, link
from pinprick.device import Pen
from pinprick.errors import NoDevice
from tests.scenarios.test_serve import run_long_zone, strokes
from tests.support.served import Served, served, until


@pytest.fixture(params=["pty", "tcp"])
def stable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """Return a pen at a port whose name stays when it is unplugged."""
    with served(PtyEnd(tmp_path / "SIM-0001") if request.param == "pty" else TcpEnd()) as pen:
        yield pen


def opens(bench: Served) -> bool:
    """Return whether there is anything but nobody at the port."""
    try:
        Pen(bench.connect()).close()
    except NoDevice as error:
        return error.code not in (errors.NO_DEVICE, errors.LINK_LOST)
    return True


def ask_for_ever(pen: Pen) -> None:
    while True:
        pen.status()


def test_an_unplugged_host_hears_of_it_at_once_and_finds_the_pen_at_the_same_port_again(stable: Served) -> None:
    with Pen(stable.connect()) as pen:
        run_long_zone(stable, pen)
        begin = time.monotonic()
        stable.operator.do("usb", plugged=False)
        with pytest.raises(NoDevice) as caught:
            ask_for_ever(pen)
        assert caught.value.code == errors.LINK_LOST
        assert time.monotonic() - begin < link.ANSWER_S  # told, not waited for
    for _ in range(3):
        assert not opens(stable)
    stable.operator.do("wait", 5000)
    needle = stable.operator.needle()
    assert not needle.driver_on  # the pen has stopped by itself
    assert needle.violations == ()
    stable.operator.do("release")
    nonce = stable.world.runner.talk.nonce
    stable.operator.do("usb", plugged=True)
    until(lambda: opens(stable))
    with Pen(stable.connect()) as pen:
        assert pen.info.nonce == nonce  # it never lost its power
        assert pen.status().made[0] == needle.total.crossings
        pen.arm()
        stable.press()
        until(lambda: strokes(stable) > needle.total.crossings)


def test_a_cable_that_is_pulled_for_so_long_comes_back(stable: Served) -> None:
    with Pen(stable.connect()) as pen:
        stable.operator.do("usb", plugged=False, for_ms=300)
        with pytest.raises(NoDevice):
            ask_for_ever(pen)
    until(lambda: opens(stable))


def test_what_was_said_to_nobody_is_gone_when_the_cable_is_back(stable: Served) -> None:
    for _ in range(3):
        transport = stable.connect()
        transport.write(b"never mind")
        until(lambda: stable.server.end.present)
        stable.operator.do("usb", plugged=False)
        transport.close()
        stable.operator.do("usb", plugged=True)
    with Pen(stable.connect()) as pen:
        assert pen.status().state == wire.SAFE


def test_the_name_of_a_pseudo_terminal_goes_with_its_cable(tmp_path: Path) -> None:
    name = tmp_path / "pen"
    name.symlink_to("left behind")
    end = PtyEnd(name)
    assert end.address == str(name)
    assert name.resolve().is_char_device()
    end.plug(False)
    end.plug(False)
    assert not name.is_symlink()
    assert (end.receive(), end.send(b"x"), end.watched(), end.present) == (b"", 0, [], False)
    end.plug(True)
    end.plug(True)
    assert name.resolve().is_char_device()
    end.close()
    end.close()
    assert not name.is_symlink()
    with pytest.raises(FileNotFoundError):
        PtyEnd(tmp_path / "not" / "there")


def test_the_name_of_another_pen_s_port_is_left_alone(tmp_path: Path) -> None:
    name = tmp_path / "pen"
    first = PtyEnd(name)
    there = name.readlink()
    second = PtyEnd(name, plugged=False)
    assert (second.address, second.plugged, name.readlink()) == (str(name), False, there)
    second.close()
    assert name.readlink() == there
    second.plug(True)
    other = name.readlink()
    first.close()
    assert name.readlink() == other != there
    second.close()
    assert not name.is_symlink()


def test_a_pipe_can_be_unplugged_too() -> None:
    with served() as bench:
        with Pen(bench.connect()) as pen:
            bench.operator.do("usb", plugged=False)
            with pytest.raises(NoDevice):
                ask_for_ever(pen)
        assert not opens(bench)
        bench.operator.do("usb", plugged=True)
        until(lambda: opens(bench))
