"""The benchmark of access says what it measured, and loudly what it did not."""

import pytest

from bench import access
from pencore import profile
from pinprick.cli.chip_image import UF2_VARIABLE


def test_what_is_signed_is_a_profile_of_fourteen_zones() -> None:
    made = profile.decode(profile.encode(access.profile_of(access.ZONES), access.KEY_ID, access.KEY))
    assert (len(made.zones), made.key_id) == (14, access.KEY_ID)


def test_without_an_image_the_chip_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UF2_VARIABLE, raising=False)
    found = access.measure(1)
    assert found["chip_ticks"] is None
    assert all(value > 0 for value in found["host_us"].values())
    assert "NOTHING WAS MEASURED" in access.table(found)


def test_what_a_signature_costs_is_told_from_the_same_pen() -> None:
    names = ("unsigned, by a pen without a key", access.UNSIGNED, access.ANOTHER_KEY)
    ticks = {f"{zones} zones: {name}": 125_000 * (at + 1) for zones in access.SIZES for at, name in enumerate(names)}
    shown = access.table({"machine": {"cpu": "-"}, "host_us": {}, "chip_ticks": ticks})
    assert "HMAC and comparison with 14 zones: 1.00 ms" in shown
