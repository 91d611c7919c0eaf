"""The documents: round trips, refusals, and that emulation has no time."""

import json

import pytest
from pydantic import ValidationError

from edgekd.benchmarking import schema as s
from edgekd.devices import document as d
from edgekd.errors import EdgekdError
from edgekd.section import validate

SYSTEM = d.System(machine="aarch64", system="Linux 6.12", cpu="Cortex-A76")
RAN = d.RuntimeFacts(name="LiteRT", version="2.3.0", delegate="XNNPACK", threads_asked=1, threads_ran=1)
GOLDEN = d.GoldenCheck(images=4, largest_change=0.0, tolerance=0.1)
STATE = d.Conditions(load_1min=0.1)
TIMES = d.Times(
    import_ms=50.0,
    load_ms=4.0,
    first_ms=9.0,
    warmup_runs=10,
    inference_ms=(3.0, 4.0),
    decode_ms=(1.0,),
    preprocess_ms=(2.0,),
    bare_rss_mib=50.0,
    peak_rss_mib=60.0,
    before=STATE,
    after=STATE,
)
HEAD = {"key": "k", "round": 0, "system": SYSTEM, "runtime": RAN, "golden": GOLDEN}
EMULATION = d.Emulation(emulator="qemu-aarch64 10.0.2", cpu_model="cortex-a76", instructions={"total": 49_100_000})


def test_a_device_document_survives_the_way_through_json():
    document = d.DeviceDocument(provenance="hardware", times=TIMES, probs=((0.25, 0.75),), **HEAD)
    assert d.read_document(document.text(), "test") == document
    emulated = d.DeviceDocument(provenance="emulated", emulation=EMULATION, **HEAD)
    assert d.read_document(emulated.text(indent=1).encode(), "test") == emulated


def test_what_phones_tell_survives_and_may_be_absent():
    phone = d.Conditions(battery_percent=81.0, charging=False, throttled=False, throttling="light")
    times = TIMES.model_copy(update={"before": phone, "pss_before_mib": 20.5, "pss_after_mib": 31.25})
    document = d.DeviceDocument(provenance="hardware", times=times, **HEAD)
    assert d.read_document(document.text(), "test") == document
    values = json.loads(document.text())
    for name in ("pss_before_mib", "pss_after_mib"):
        del values["times"][name]
    for name in ("battery_percent", "charging"):
        del values["times"]["before"][name]
    found = d.read_document(json.dumps(values), "test").times
    assert (found.pss_after_mib, found.before.battery_percent, found.before.charging) == (None, None, None)


@pytest.mark.parametrize("wrong", [{"battery_percent": 101.0}, {"battery_percent": float("nan")}, {"charging": 1}])
def test_a_battery_is_a_percentage(wrong):
    with pytest.raises(ValidationError):
        d.Conditions.model_validate(wrong, strict=True)


def test_an_unknown_key_is_refused_with_the_nearest_one():
    values = json.loads(d.DeviceDocument(provenance="hardware", times=TIMES, **HEAD).text())
    values["times"]["first_msec"] = 3
    with pytest.raises(EdgekdError, match="first_ms"):
        d.read_document(json.dumps(values), "test")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema": "edgekd.device/2"}', "null", "NaN"])
def test_what_is_no_document_is_one_clear_error(text):
    with pytest.raises(EdgekdError):
        d.read_document(text, "the phone's result")


def test_probabilities_that_are_no_numbers_are_refused():
    text = d.DeviceDocument(provenance="hardware", times=TIMES, probs=((0.25, 0.75),), **HEAD).text()
    with pytest.raises(EdgekdError):
        d.read_document(text.replace("0.75", "NaN"), "test")


@pytest.mark.parametrize("wrong", ["NaN", "-1.0", "Infinity", '"3"', "null", "true"])
@pytest.mark.parametrize("field", ["load_ms", "first_ms", "peak_rss_mib"])
def test_times_are_finite_and_not_negative(field, wrong):
    text = d.DeviceDocument(provenance="hardware", times=TIMES, **HEAD).text()
    number = json.dumps(getattr(TIMES, field))
    with pytest.raises(EdgekdError, match=field):
        d.read_document(text.replace(f'"{field}": {number}', f'"{field}": {wrong}'), "test")


def test_text_of_a_device_cannot_steer_the_terminal():
    failure = d.Failure(stage="runtime", reason="\x1b[2J\x07gone\nnext")
    assert failure.reason == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}gone\nnext"
    assert d.Failure.model_validate(failure.model_dump()) == failure


def test_an_emulated_document_cannot_carry_times():
    with pytest.raises(ValidationError, match="emulated time means nothing"):
        d.DeviceDocument(provenance="emulated", times=TIMES, emulation=EMULATION, **HEAD)
    with pytest.raises(ValidationError, match="what was emulated"):
        d.DeviceDocument(provenance="emulated", **HEAD)
    with pytest.raises(ValidationError, match="hardware document"):
        d.DeviceDocument(provenance="hardware", emulation=EMULATION, times=TIMES, **HEAD)


def test_an_emulated_measurement_has_no_field_for_time_or_memory():
    assert set(s.EmulatedMeasurement.model_fields) == {"provenance", "emulation"}
    for field in set(s.HardwareMeasurement.model_fields) - {"provenance"}:
        with pytest.raises(ValidationError, match=field):
            s.EmulatedMeasurement(emulation=EMULATION, **{field: 1.0})


def test_a_report_with_emulated_latency_is_refused():
    class Holder(s.Section):
        measurement: s.Measurement

    values = {"measurement": {"provenance": "emulated", "emulation": EMULATION.model_dump(), "load_ms": 3.0}}
    with pytest.raises(EdgekdError, match="load_ms"):
        validate(Holder, values, "report", from_json=True)


def test_an_answer_to_another_job_is_refused():
    golden = d.Golden(
        images=("a.png",) * 4, decoded_sha256=("0",) * 4, pixels="g.npy", probs=((0.5, 0.5),), tolerance=0.1
    )
    job = d.Job(
        key="k",
        round=0,
        provenance="hardware",
        format="tflite",
        runtime="tflite",
        files={},
        input=d.InputContract(size=8),
        label_names=("a", "b"),
        io="uint8",
        calibration_temperature=1.0,
        golden=golden,
        test=d.Test(pixels="t.npy", indices=(0, 1)),
        timing=d.Timing(),
        threads=1,
    )
    whole = d.DeviceDocument(provenance="hardware", times=TIMES, probs=((0.5, 0.5),) * 2, **HEAD)
    assert d.read_document(whole.text(), "test", job) == whole
    poor, few = GOLDEN.model_copy(update={"largest_change": 0.2}), GOLDEN.model_copy(update={"images": 3})
    for change in (
        {"golden": poor},
        {"golden": few},
        {"key": "other"},
        {"round": 1},
        {"probs": ((0.5, 0.5),)},
        {"probs": ((1.0,),) * 2},
        {"times": None},
    ):
        with pytest.raises(EdgekdError):
            d.read_document(whole.model_copy(update=change).text(), "test", job)
    with pytest.raises(ValidationError, match="emulated"):
        d.Job.model_validate(job.model_dump(by_alias=True) | {"provenance": "emulated"})
