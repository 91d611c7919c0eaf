"""When a number cannot be trusted, the row says why."""

import importlib.util
from pathlib import Path

import pytest

from edgekd.benchmarking import trust
from edgekd.devices.document import Attended, Conditions, PhoneState

_spec = importlib.util.spec_from_file_location("hand_made_rows", Path(__file__).with_name("hand_made.py"))
hand_made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hand_made)


def changed(value, **changes):
    """A copy with other fields, `a__b` standing for `a.b`."""
    for name, new in changes.items():
        head, _, rest = name.partition("__")
        value = value.model_copy(update={head: changed(getattr(value, head), **{rest: new}) if rest else new})
    return value


ATTENDED = Attended(compiled="verify", before=PhoneState(), after=PhoneState())


@pytest.fixture
def row():
    found = hand_made.row("pi5", "tflite-int8", hand_made.hardware())
    return changed(found, system__governor="performance", measurement__processor_share=0.99)


def test_a_quiet_machine_gives_no_warning(row):
    assert trust.warnings(row) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"system__governor": "ondemand"}, "governed by 'ondemand'"),
        ({"ran__threads_ran": 2}, "2 of 1 threads"),
        ({"ran__name": "tflite-runtime", "ran__delegate": "built-in"}, "install ai-edge-litert"),
        ({"ran__delegate": "built-in"}, "built-in kernels"),
        ({"measurement__processor_share": 0.5}, "had 0.50 of 1"),
        ({"measurement__before": (Conditions(load_1min=3.0),)}, "load 3.0"),
        ({"measurement__after": (Conditions(throttled=True, throttling="under-voltage"),)}, "under-voltage"),
        ({"measurement__after": (Conditions(temperature_c=84.6),)}, "hot: 85 °C"),
        ({"measurement__after": (Conditions(battery_percent=12.0, charging=False),)}, "battery at 12 %"),
        ({"measurement__latency__round_medians_ms": (4.0, 5.0)}, "25% apart"),
        ({"measurement__latency__count": 30}, "30 runs"),
        ({"measurement__limit__ratio": 0.8}, "arithmetic limit"),
        ({"measurement__attended": (ATTENDED,)}, "compiled as 'verify'"),
        ({"measurement__sustained": hand_made.hardware(sustained=True).sustained}, "76% in the long run"),
    ],
)
def test_what_disturbs_is_said(row, changes, words):
    [warning] = trust.warnings(changed(row, **changes))
    assert words in warning


def test_what_a_machine_does_not_tell_is_no_warning(row):
    silent = (Conditions(),)
    quiet = changed(row, system__governor="", measurement__before=silent, measurement__after=silent)
    assert trust.warnings(changed(quiet, ran__threads_ran=None, measurement__processor_share=None)) == ()


def test_nobody_can_choose_the_governor_of_a_phone(row):
    assert trust.warnings(changed(row, system__governor="walt", system__system="Android 15")) == ()


def test_a_low_battery_that_is_being_charged_is_no_warning(row):
    charging = (Conditions(battery_percent=12.0, charging=True),)
    assert trust.warnings(changed(row, measurement__after=charging)) == ()


def test_emulated_numbers_are_exact():
    assert trust.warnings(hand_made.row("a76", "tflite-int8", hand_made.emulated())) == ()
