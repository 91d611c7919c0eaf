"""A phone through the real adb client and a server made of Python: a whole benchmark, and everything that can go wrong."""

import hashlib
import importlib.util
import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from edgekd import benchmark, devices
from edgekd.benchmarking.schema import read_report
from edgekd.devices import RUNNER, DeviceError, DeviceLost, adb
from edgekd.devices.document import read_document
from edgekd.errors import EdgekdError


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = load("devices_fake_adb", Path(__file__).with_name("fake_adb.py"))
runner = load("devices_runner", RUNNER)

if shutil.which("adb") is None:
    pytest.skip("no adb on this machine: apt-get install adb", allow_module_level=True)


def measured(start):
    """What the app would write, by the Python runner, with what only phones tell."""
    job = json.loads((start.folder / "job.json").read_text())
    assert job["threads"] == start.threads
    document = runner.answer(start.folder)
    document["system"] |= {"system": "Android 14", "model": "Fake 1", "software": {"app": "0.1.0"}}
    if document.get("times"):
        document["times"] |= {"pss_before_mib": 20.0, "pss_after_mib": 30.0}
        document["times"]["before"] |= {"battery_percent": 80.0, "charging": True, "throttling": "none"}
    return json.dumps(document)


@pytest.fixture
def phones(tmp_path, monkeypatch):
    """A function that plugs in phones by serial."""
    servers = []

    def plug(*serials, run=measured, **options):
        found = [fake.Phone(serial, tmp_path / f"file system of {serial}", run, **options) for serial in serials]
        servers.append(fake.Server(*found).__enter__())
        monkeypatch.setenv("ADB_SERVER_SOCKET", servers[-1].socket)
        return found

    monkeypatch.setattr(adb, "LOOK_S", 0.2)
    monkeypatch.setattr(adb, "RETRY_S", 0.05)
    monkeypatch.setattr(adb, "WAKE_S", 0.1)
    monkeypatch.setattr(adb, "WAKE_LOOK_S", 0.02)
    yield plug
    for server in servers:
        server.__exit__()


def device(**options):
    return adb.connect("pixel", adb.Options(kind="adb", **({"limit_s": 60.0} | options)))


def run(parcel, **options):
    with device(**options) as place:
        return read_document(place.run(parcel), "pixel", parcel.job)


def problem(parcel, kind=DeviceError, **options):
    with pytest.raises(DeviceError) as caught, device(**options) as place:
        place.run(parcel)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_phone_runs_a_job_and_is_left_as_it_was(phones, small):
    [phone] = phones("PHONE1", cores=4)
    parcel = small("tflite-int8", threads=2)
    with device(xnnpack=False) as place:
        assert place.cores == 4
        assert place.program == hashlib.sha256(phone.apk).hexdigest()
        assert place.software == {"app": "0.1.0", "compiled": "speed"}
        assert place.serial == "PHONE1"
        found = read_document(place.run(parcel), "pixel", parcel.job)
        again = read_document(place.run(parcel), "pixel", parcel.job)
    assert found.system.software == {"app": "0.1.0"}
    assert found.probs == again.probs == read_document(devices.find("local").run(parcel), "", parcel.job).probs
    first, second = phone.starts
    assert first.run_id != second.run_id
    assert first.folder.name == first.run_id
    assert (first.threads, first.xnnpack) == (2, False)
    assert phone.files() == []
    assert not phone.path(adb.FOLDER).exists()
    assert not phone.is_running
    assert ["chmod", "-R", "a+rX", adb.FOLDER] in phone.commands
    start = next(c for c in phone.commands if c[:2] == ["am", "start"])
    assert start[2:7] == ["--user", "0", "-W", "-S", "-n"]
    assert phone.settings == {"stay_on_while_plugged_in": "0"}


def test_a_benchmark_on_two_phones_at_once(phones, tiny, tmp_path):
    """Each waits until both run, so that they can only finish side by side."""
    together = threading.Barrier(2)

    def both(start):
        if (start.folder / "test.npy").exists() and "tflite.tflite" in {p.name for p in start.folder.iterdir()}:
            together.wait(60)
        return measured(start)

    one, two = phones("PHONE1", "PHONE2", run=both)
    for name, serial in (("pixel", "PHONE1"), ("galaxy", "PHONE2")):
        (tmp_path / f"{name}.toml").write_text(f'kind = "adb"\nserial = "{serial}"\nthreads = [1]\n')
    out = tmp_path / "out"
    quick = ["--rounds", "1", "--runs", "3", "--seconds", "1", "--out", str(out)]
    benchmark.main([str(tiny.folder), "--device", "pixel,galaxy", "--devices", str(tmp_path), *quick])
    report = read_report(out)
    assert {(row.device, row.format) for row in report.rows} == {
        (name, format) for name in ("pixel", "galaxy") for format in ("tflite", "tflite-int8")
    }
    assert report.failed == ()
    assert [len(phone.starts) for phone in (one, two)] == [2, 2]
    assert {row.system.system for row in report.rows} == {"Android 14"}
    assert {row.measurement.memory.pss_after_mib for row in report.rows} == {30.0}
    page = (out / "report.html").read_text()
    assert "battery 80 %, charging" in page
    assert "CPU1 51 to 51 °C, skin 34 to 34 °C" in page
    assert "compiled as" in page
    assert one.files() == two.files() == []


def test_a_phone_that_disappears_is_resumed(phones, tiny, tmp_path, capsys):
    def unplugged(start):
        if len(phone.starts) == 2 and not phone.is_gone:
            phone.vanish()
            time.sleep(0.2)
        return measured(start)

    [phone] = phones("PHONE1", run=unplugged)
    (tmp_path / "pixel.toml").write_text('kind = "adb"\nserial = "PHONE1"\nthreads = [1]\n')
    out = tmp_path / "out"
    arguments = [str(tiny.folder), "--device", "pixel", "--devices", str(tmp_path), "--out", str(out)]
    arguments += ["--rounds", "1", "--runs", "3", "--seconds", "1"]
    benchmark.main(arguments)
    report = read_report(out)
    assert [row.format for row in report.rows] == ["tflite"]
    assert [failed.format for failed in report.failed] == ["tflite-int8"]
    assert "'PHONE1' not found" in report.devices["pixel"].failure
    assert "--resume goes on" in report.devices["pixel"].failure
    phone.come_back()
    capsys.readouterr()
    benchmark.main([*arguments, "--resume"])
    assert capsys.readouterr().out.count("round 1 of 1") == 1
    assert [row.format for row in read_report(out).rows] == ["tflite", "tflite-int8"]
    assert len(phone.starts) == 3


def test_another_app_or_system_is_measured_anew(phones, tiny, tmp_path):
    """The app is installed under the same path, with another library inside; then Android is updated."""
    [phone] = phones("PHONE1")
    (tmp_path / "pixel.toml").write_text('kind = "adb"\nthreads = [1]\nformats = ["tflite"]\n')
    arguments = [str(tiny.folder), "--device", "pixel", "--devices", str(tmp_path), "--out", str(tmp_path / "out")]
    arguments += ["--rounds", "1", "--runs", "3", "--seconds", "1"]
    benchmark.main(arguments)
    benchmark.main([*arguments, "--resume"])
    assert len(phone.starts) == 1
    phone.apk = b"an app with a later TensorFlow Lite"
    benchmark.main([*arguments, "--resume"])
    assert len(phone.starts) == 2
    phone.properties["ro.build.fingerprint"] = "google/fake/fake:15/AP3A"
    benchmark.main([*arguments, "--resume"])
    assert len(phone.starts) == 3
    phone.version = "0.2.0"  # what the app writes says 0.1.0
    with pytest.raises(EdgekdError, match=r"app 0\.1\.0, expected 0\.2\.0"):
        benchmark.main([*arguments, "--resume"])


def test_an_app_whose_content_cannot_be_told_is_not_measured(phones, small, monkeypatch):
    monkeypatch.setattr(fake.Phone, "do_sha256sum", lambda phone, words: (1, "sha256sum: Permission denied\n"))
    phones("PHONE1")
    assert "Permission denied" in problem(small(), DeviceLost)


def test_a_log_that_breaks_off_is_read_again(phones, small):
    def broken(start):
        while not any(request.startswith("shell:logcat") for request in phone.server.requests):
            time.sleep(0.01)
        phone.drop()
        return measured(start)

    [phone] = phones("PHONE1", run=broken)
    assert run(small()).failure is None
    assert sum(request.startswith("shell:logcat") for request in phone.server.requests) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": "unauthorized"}, "accept 'Allow USB debugging'"),
        ({"state": "offline"}, "plug the phone in again"),
        ({"state": "no permissions (missing udev rules? user is in the plugdev group)"}, "tools-common"),
        ({"state": "recovery"}, "start Android"),
        ({"is_installed": False}, "make apk && adb -s PHONE1 install -r android_demo/build/edgekd-demo"),
        ({"properties": {"ro.boot.qemu": "1"}}, "`emulator = true` in the device's file"),
        ({"lock": "pin"}, "unlock it, and leave it so"),
    ],
)
def test_a_phone_that_is_not_ready_says_what_to_do(phones, small, options, words):
    phones("PHONE1", **options)
    assert words in problem(small(), DeviceLost)


def test_the_phone_has_to_be_named_where_it_is_not_clear(phones, small):
    parcel = small()
    phones("PHONE1", "PHONE2")
    assert "2: PHONE1, PHONE2" in problem(parcel, DeviceLost)
    assert "the phone PHONE3 in `adb devices`" in problem(parcel, DeviceLost, serial="PHONE3")
    phones()
    assert "allow USB debugging" in problem(parcel, DeviceLost)


def test_one_phone_is_not_measured_twice_at_once(phones):
    phones("PHONE1")
    with device(), pytest.raises(DeviceLost, match="the same `place`"), device(serial="PHONE1"):
        pass
    with device():
        pass


def test_a_full_phone_is_lost_and_cleared(phones, small):
    [phone] = phones("PHONE1", free=5000)
    words = problem(small(), DeviceLost)
    assert "No space left on device" in words
    assert "free some there" in words
    assert phone.files() == []

    def full(start):
        raise fake.Fails("java.io.IOException: write failed: ENOSPC (No space left on device)")

    [phone] = phones("PHONE2", run=full)
    assert "free some there" in problem(small(), DeviceLost)
    assert phone.files() == []


def ends(error):
    def act(start):
        time.sleep(0.3)
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (fake.Crash("java.lang.OutOfMemoryError: 400 MB\x1b[2J"), "it crashed: java.lang.OutOfMemoryError: 400 MB�[2J"),
        (fake.Killed(), "gone and left no result: for want of memory perhaps"),
        (
            fake.Killed("reason=3 (LOW MEMORY) subreason=0 (UNKNOWN) status=0\n  importance=100 pss=88MB rss=1.2GB x"),
            "the phone ended it for want of memory (it held 1.2GB)",
        ),
        (fake.Killed("reason=13 (OTHER KILLS BY SYSTEM) subreason=3 (X) status=0"), "other kills by system"),
        (fake.Killed("reason=5 (APP CRASH(NATIVE)) subreason=0 (UNKNOWN) status=11"), "crashed in native code"),
        (
            fake.Tombstone("11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0"),
            "native code: signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0, thread edgekd-measure",
        ),
        (fake.Fails("the folder cannot be made"), "the folder cannot be made"),
    ],
)
def test_an_app_that_ends_without_a_result_is_a_device_error(phones, small, error, words):
    [phone] = phones("PHONE1", run=ends(error))
    phone.log += ["E/AndroidRuntime: Process: org.edgekd.demo, PID: 99", "E/AndroidRuntime: an old crash"]
    phone.log += ["F/DEBUG   : pid: 99, tid: 99, name: main  >>> org.edgekd.demo <<<", "F/DEBUG   : signal 6 (SIGABRT)"]
    phone.log += [f"I/edgekd  : result {small().job.key}.0.00000000 /sdcard/x {'0' * 64}"]
    assert words in problem(small())
    assert phone.files() == []


def test_an_app_that_never_ends_is_stopped(phones, small):
    [phone] = phones("PHONE1", run=lambda start: time.sleep(3) or "{}")
    assert "within 1 s" in problem(small(), limit_s=1.0)
    assert not phone.is_running
    assert ["am", "force-stop", "--user", "0", adb.APP] in phone.commands


@pytest.mark.parametrize(
    "text", ['{"schema": "edgekd.device/1", "key"', "", "[]", '{"schema": "edgekd.device/2"}', "[" * 100_000]
)
def test_a_malformed_result_is_one_clear_error(phones, small, text):
    [phone] = phones("PHONE1", run=lambda start: text)
    with pytest.raises(EdgekdError):
        run(small())
    assert phone.files() == []


def lines(change):
    """A phone class whose app logs another line."""

    class Other(fake.Phone):
        def line(self, start, path, sha256):
            return change(start, path, sha256)

    return Other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda start, path, sha: f"result {start.run_id} {path} {'0' * 64}", "another content"),
        (lambda start, path, sha: f"result {start.run_id} /data/data/secret {sha}", "among the app's reports"),
        (lambda start, path, sha: f"result {start.run_id} {path}/../../../../x {sha}", "among the app's reports"),
        (lambda start, path, sha: f"result {start.run_id} {path};reboot {sha}", "among the app's reports"),
        (lambda start, path, sha: f"result {start.run_id} {path}", "among the app's reports"),
        (lambda start, path, sha: f"result {start.run_id}", "among the app's reports"),
    ],
)
def test_a_line_is_not_believed(phones, small, monkeypatch, change, words):
    monkeypatch.setattr(fake, "Phone", lines(change))
    phones("PHONE1", run=lambda start: "{}")
    assert words in problem(small())


def test_a_result_without_end_is_not_taken(phones, small, monkeypatch):
    monkeypatch.setattr(adb, "MAX_DOCUMENT_BYTES", 1000)
    [phone] = phones("PHONE1", run=lambda start: "x" * 200_000)
    assert "at most 1000 bytes" in problem(small())
    assert phone.files() == []


def test_what_the_host_saw_is_in_the_report(phones, small):
    [phone] = phones("PHONE1")
    found = run(small()).attended
    assert found.compiled == phone.compiled == "speed"
    for seen in (found.before, found.after):
        assert seen.thermal_status == "light"
        assert seen.temperatures_c == {"skin": 34.25, "CPU1": 51.0}
        assert (seen.battery_percent, seen.battery_temperature_c, seen.power) == (83.0, 31.5, "USB")


def test_texts_that_are_none_are_not_known(phones, small):
    odd = "\x1b[2J" + "Temperature{mValue=1e999, mType=0, mName=x, mStatus=0}level: 900\nThermal Status: 9"
    services = ("power", "activity", "battery", "thermalservice", "package")
    phones("PHONE1", dumps=dict.fromkeys(services, odd))
    seen = run(small()).attended
    assert seen.compiled == seen.before.thermal_status == seen.before.power == ""
    assert seen.before.temperatures_c == {}
    assert seen.before.battery_percent is None


def test_the_app_is_compiled_once(phones, small):
    [phone] = phones("PHONE1")
    with device() as place:
        place.run(small())
    with device() as place:
        place.run(small())
    assert sum(command[0] == "cmd" for command in phone.commands) == 1


def test_a_screen_is_kept_lit_and_given_back_even_after_a_benchmark_that_was_cut_off(phones, small):
    [phone] = phones("PHONE1", settings={"stay_on_while_plugged_in": "2"})
    place = device()
    place.__enter__()
    assert phone.settings == {"stay_on_while_plugged_in": "7", "edgekd_stay_on": "2"}
    phone.vanish()
    place.__exit__(None, None, None)
    phone.come_back()
    assert run(small()).failure is None
    assert phone.settings == {"stay_on_while_plugged_in": "2"}


def test_a_start_that_takes_too_long_says_what_is_in_the_way(phones, small):
    [phone] = phones("PHONE1", start_text="Status: timeout\nComplete\n", in_front="com.android.settings/.Settings")
    words = problem(small())
    assert "in front within 60 s" in words
    assert "in front is com.android.settings/.Settings" in words
    assert phone.starts == []

    class Locks(fake.Phone):
        def do_am(self, words):
            self.is_dark = True
            return super().do_am(words)

    [phone] = phones("PHONE2")
    phone.__class__ = Locks
    phone.start_text = "Status: timeout\n"
    assert "its screen is dark" in problem(small())


def test_a_start_that_never_ends_is_given_up(phones, small, monkeypatch):
    class Hangs(fake.Phone):
        def do_am(self, words):
            time.sleep(1.0 if words[0] == "start" else 0.0)
            return 0, "Status: ok\n"

    monkeypatch.setattr(fake, "Phone", Hangs)
    monkeypatch.setattr(adb, "START_S", 0.3)
    phones("PHONE1")
    assert "in front is com.android.launcher/.Home" in problem(small())


def test_the_person_in_front_of_the_screen_is_meant(phones, small):
    [phone] = phones("PHONE1", user="10")
    assert run(small()).failure is None
    assert phone.files() == []


def test_an_emulator_answers_and_has_no_times(phones, tiny, tmp_path):
    """As an emulated processor: numerics count, and what would describe this machine is left out."""
    emulator = {"ro.kernel.qemu": "1", "ro.product.cpu.abi": "x86_64"}
    phones("emulator-5554", properties=emulator)
    (tmp_path / "avd.toml").write_text('kind = "adb"\nemulator = true\nformats = ["tflite-int8"]\nthreads = [1]\n')
    out = tmp_path / "out"
    benchmark.main([str(tiny.folder), "--device", "avd", "--devices", str(tmp_path), "--out", str(out)])
    [row] = read_report(out).rows
    assert row.measurement.model_dump(mode="json") == {
        "provenance": "emulated",
        "emulation": {"emulator": "Android emulator", "cpu_model": "x86_64", "instructions": {}},
    }
    assert row.system.cores is row.system.memory_mib is None
    assert row.numerics.drift.images > 0


def test_a_phone_is_no_emulator(phones, small):
    phones("PHONE1")
    assert "take `emulator` out" in problem(small(provenance="emulated"), DeviceLost, emulator=True)


def test_an_app_without_the_activity(phones, small, monkeypatch):
    phones("PHONE1")
    monkeypatch.setattr(adb, "ACTIVITY", f"{adb.APP}/.Other")
    words = problem(small())
    assert "Error type 3" in words
    assert "install the app again" in words


def test_names_are_quoted_for_the_phones_shell(phones, small):
    parcel = small()
    odd = "it's $(reboot); a file"
    [path] = [p for name, p in parcel.files.items() if name == "golden/0.png"]
    files = {**parcel.files, f"{odd}/0.png": path}
    job = parcel.job.model_copy(
        update={"files": {**parcel.job.files, f"{odd}/0.png": parcel.job.files["golden/0.png"]}}
    )
    phones("PHONE1")
    assert run(devices.Parcel(job, files)).failure is None


def test_only_tflite_runs_there(phones):
    place = device()
    assert place.refuses("tflite-int8", 4) == place.refuses("tflite", 1) == ""
    assert "TFLite" in place.refuses("onnx", 1)


def test_without_adb_on_this_machine(small):
    assert "apt-get install adb" in problem(small(), DeviceLost, adb="no-adb")


def test_the_example_is_valid():
    place = devices.find("pixel")
    assert (place.options.kind, place.options.threads, place.provenance) == ("adb", (1,), "hardware")
