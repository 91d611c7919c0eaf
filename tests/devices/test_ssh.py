"""A device behind ssh: real jobs over a real OpenSSH server, with a link that drops, and everything that can be missing."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd import benchmark, devices
from edgekd.benchmarking.jobs import record
from edgekd.benchmarking.schema import read_report
from edgekd.devices import DeviceError, DeviceLost, Parcel, software, ssh
from edgekd.devices.document import read_document

_spec = importlib.util.spec_from_file_location("devices_sshd", Path(__file__).with_name("sshd.py"))
sshd = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sshd)

if sshd.missing():
    pytest.skip(sshd.missing(), allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = sshd.Server(tmp_path_factory.mktemp("sshd"))
    yield found
    found.close()


@pytest.fixture
def forced(tmp_path):
    """A function that starts a server which runs a command of its own in place of the client's."""
    servers = []

    def start(command):
        servers.append(sshd.Server(tmp_path / "forced", command))
        return servers[-1]

    yield start
    for found in servers:
        found.close()


@pytest.fixture
def far(tmp_path):
    """The device's folder: hostile to whoever forgets to quote."""
    return tmp_path / 'it\'s $(touch gone); "far" & away'


@pytest.fixture
def board(server, far):
    """A function that makes the device."""

    def make(**options):
        options = {"config": server.config, "python": sys.executable, "folder": str(far), "patience_s": 20.0} | options
        return ssh.connect("board", ssh.Options(kind="ssh", host="board", **options))

    yield make
    server.link.is_down = False


def wrapper(folder, text):
    """A program that stands in for the device's Python; `$python` is the real one."""
    path = folder / 'a "python"'
    path.write_text(f"#!/bin/sh\npython={shlex.quote(sys.executable)}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def on_runner(text):
    """A wrapper's text that does something before the runner starts."""
    return f'case $1 in runner.py) {text} ;; esac\nexec "$python" "$@"'


def here(parcel):
    return read_document(devices.find("local").run(parcel), "here", parcel.job)


def test_a_job_over_ssh_answers_as_here_and_leaves_nothing(server, board, far, small):
    parcel = small("tflite-int8")
    before = server.link.connections
    with board(threads=(1,)) as place:
        assert place.cores == len(os.sched_getaffinity(0))
        found = read_document(place.run(parcel), "board", parcel.job)
        again = read_document(place.run(parcel), "board", parcel.job)
        assert len(list(far.iterdir())) == 1
    assert found.probs == again.probs == here(parcel).probs
    assert found.times.warmup_runs == 1
    assert list(far.iterdir()) == []
    assert not list(far.parent.glob("gone"))
    assert server.link.connections - before < 20


def test_files_travel_once(server, board, small):
    parcel = small()
    size = sum(path.stat().st_size for path in parcel.files.values())
    with board() as place:
        before = server.link.sent
        place.run(parcel)
        first, before = server.link.sent - before, server.link.sent
        place.run(parcel)
        second = server.link.sent - before
    assert first > size
    assert second < 40_000


def test_a_link_that_drops_while_the_job_runs_costs_nothing(server, board, far, small, tmp_path):
    starts = tmp_path / "starts"
    python = wrapper(tmp_path, on_runner(f"echo x >>{shlex.quote(str(starts))}; sleep 2"))
    parcel = small()

    def cut():
        while not starts.exists():
            time.sleep(0.01)
        server.link.cut(is_down=True)
        time.sleep(1.5)  # an attempt to connect fails meanwhile
        server.link.is_down = False

    with board(python=python) as place:
        thread = threading.Thread(target=cut)
        thread.start()
        found = read_document(place.run(parcel), "board", parcel.job)
        thread.join()
    assert found.failure is None
    assert starts.read_text() == "x\n"  # started once
    assert list(far.iterdir()) == []


def test_a_file_goes_on_at_the_byte_where_the_link_dropped(server, board, small, tmp_path):
    parcel = small()
    big = tmp_path / "big.npy"
    np.save(big, np.random.default_rng(3).integers(0, 256, 12_000_000, np.uint8))
    parcel = Parcel(
        parcel.job.model_copy(update={"files": parcel.job.files | {"big.npy": record(big)}}),
        {**parcel.files, "big.npy": big},
    )
    with board() as place:
        before = server.link.sent
        server.link.drop_after = before + 9_000_000
        found = read_document(place.run(parcel), "board", parcel.job)
    assert found.failure is None  # its hash is checked there
    assert server.link.drop_after is None
    assert server.link.sent - before < 16_000_000  # ssh itself has up to 2 MB on the way


def test_a_benchmark_is_resumed_after_the_link_was_lost(server, tiny, far, tmp_path, capsys):
    starts = tmp_path / "starts"
    python = wrapper(tmp_path, f'case $1 in runner.py) echo x >>"{starts}" ;; esac\nexec "$python" "$@"')
    (tmp_path / "board.toml").write_text(
        f'kind = "ssh"\nhost = "board"\nconfig = "{server.config}"\npython = {json.dumps(python)}\npatience_s = 0.2\n'
        f"folder = {json.dumps(str(far))}\n"
    )
    out = tmp_path / "out"
    arguments = [str(tiny.folder), "--device", "board", "--devices", str(tmp_path), "--out", str(out), "--threads", "1"]
    arguments += ["--rounds", "1", "--runs", "3", "--seconds", "1", "--format", "tflite,onnx"]

    def cut():
        while len(list(out.glob("parts/*.json"))) < 1:
            time.sleep(0.005)
        server.link.cut(is_down=True)

    thread = threading.Thread(target=cut)
    thread.start()
    benchmark.main(arguments)
    thread.join()
    report = read_report(out)
    assert [row.format for row in report.rows] == ["tflite"]
    assert [failed.format for failed in report.failed] == ["onnx"]
    assert "--resume goes on" in report.devices["board"].failure
    server.link.is_down = False
    capsys.readouterr()
    benchmark.main([*arguments, "--resume"])
    assert capsys.readouterr().out.count("round 1 of 1") == 1
    assert [row.format for row in read_report(out).rows] == ["tflite", "onnx"]
    assert read_report(out).failed == ()


def test_an_upgrade_over_there_is_measured_anew(server, tiny, far, tmp_path, capsys):
    """Upgraded between two benchmarks, a runtime is measured again; while one runs, what it answers is refused by name."""
    more, later = tmp_path / "packages", tmp_path / "later"
    lines = f'case $1 in runner.py) path="{more}:{later}" ;; *) path="{more}" ;; esac'
    python = wrapper(tmp_path, f'{lines}\nPYTHONPATH="$path" exec "$python" "$@"')
    (tmp_path / "board.toml").write_text(
        f'kind = "ssh"\nhost = "board"\nconfig = "{server.config}"\npython = {json.dumps(python)}\n'
        f"folder = {json.dumps(str(far))}\n"
    )
    out = tmp_path / "out"
    arguments = [str(tiny.folder), "--device", "board", "--devices", str(tmp_path), "--out", str(out), "--threads", "1"]
    arguments += ["--rounds", "1", "--runs", "3", "--seconds", "1", "--format", "tflite,onnx"]
    benchmark.main(arguments)
    install(more, "onnxruntime", "99.0")
    capsys.readouterr()
    benchmark.main([*arguments, "--resume"])
    assert capsys.readouterr().out.count("round 1 of 1") == 1
    found = {row.format: row.system.software for row in read_report(out).rows}
    assert found["onnx"]["onnxruntime"] == "99.0"
    install(later, "ai-edge-litert", "98.0")
    benchmark.main([*arguments, "--overwrite"])
    [failed] = read_report(out).failed
    assert failed.format == "tflite"
    assert f"ai-edge-litert 98.0, expected {found['tflite']['ai-edge-litert']}" in failed.reason


def install(folder, package, version):
    """Leave a package's metadata as pip does."""
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupted_benchmark_leaves_nothing_over_there(server, tiny, far, tmp_path):
    started = tmp_path / "started"
    python = wrapper(tmp_path, on_runner(f'echo $$ >"{started}.new"; mv "{started}.new" "{started}"; exec sleep 300'))
    (tmp_path / "board.toml").write_text(
        f'kind = "ssh"\nhost = "board"\nconfig = "{server.config}"\npython = {json.dumps(python)}\n'
        f"folder = {json.dumps(str(far))}\n"
    )
    command = [sys.executable, "-m", "edgekd.benchmark", str(tiny.folder), "--device", "board", "--devices"]
    command += [str(tmp_path), "--out", str(tmp_path / "out"), "--format", "tflite"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while process.poll() is None and not started.exists():
            time.sleep(0.02)
        process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert b"--resume" in err
    assert list(far.iterdir()) == []
    end = time.monotonic() + 20
    while is_alive(int(started.read_text())):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_link_that_stays_away_is_a_lost_device(server, board, small, tmp_path):
    parcel = small()
    with board(patience_s=0.3) as place:
        server.link.cut(is_down=True)
        with pytest.raises(DeviceLost, match="has to work; then --resume goes on"):
            place.run(parcel)


def refused(device):
    with pytest.raises(DeviceLost) as caught, device:
        pass
    return str(caught.value)


def test_a_host_that_is_not_reached_says_what_to_do(server, board, tmp_path):
    unknown = server.configure("unknown", UserKnownHostsFile=tmp_path / "none")
    words = refused(board(config=unknown))
    assert "Host key verification failed" in words
    assert f"run `ssh -F {unknown} board` once" in words
    assert "ssh-copy-id" in refused(board(config=server.configure("stranger", IdentityFile=server.folder / "other")))
    closed = server.configure("closed", Port=sshd._free_port())
    assert "sudo systemctl enable --now ssh" in refused(board(config=closed))
    nowhere = server.configure("nowhere", HostName="nowhere.invalid")
    assert "correct `host`" in refused(board(config=nowhere))
    assert "`config`" in refused(board(config=str(tmp_path / "no file")))


def test_a_name_is_tried_in_the_local_network_too(server, board):
    path = Path(server.configure("local"))
    path.write_text(path.read_text().replace("Host board\n", "Host board.local\n"))
    with board(config=str(path)) as found:
        assert found.host == "board.local"
        assert found.cores
    path.write_text(path.read_text().replace("Host board.local\n", "Host other\n"))
    words = refused(board(config=str(path)))
    assert "Could not resolve hostname board:" in words  # as it was given


def test_the_clock_is_governed_and_then_as_it_was(board, tmp_path, monkeypatch):
    files = [tmp_path / f"cpu{n}/cpufreq/scaling_governor" for n in range(3)]
    for file, governor in zip(files, ("ondemand", "performance", "schedutil"), strict=True):
        file.parent.mkdir(parents=True)
        file.write_text(governor + "\n")
    monkeypatch.setattr(ssh, "CPU", str(tmp_path))
    with board(governor="performance"):
        assert [file.read_text().strip() for file in files] == ["performance"] * 3
    assert [file.read_text().strip() for file in files] == ["ondemand", "performance", "schedutil"]
    with board():
        assert [file.read_text().strip() for file in files] == ["ondemand", "performance", "schedutil"]


def test_what_to_install_exists_for_the_system_that_runs_there(board, tmp_path):
    """A 32-bit system under a 64-bit kernel; a Python that cannot make environments."""
    found = {"os": "linux", "cores": 4, "bits": 32, "software": {"python": "3.11.2"}}
    words = refused(board(python=wrapper(tmp_path, f"echo '{json.dumps(found)}'")))
    assert "python3-numpy python3-pil" in words
    assert "-m pip install tflite-runtime" in words
    assert "ai-edge-litert" not in words
    newer = found | {"software": {"python": "3.13.1"}}
    assert "install a 64-bit system" in refused(board(python=wrapper(tmp_path, f"echo '{json.dumps(newer)}'")))
    bare = found | {"bits": 64, "can_install": False}
    told = software.installing(["numpy"], software.read(json.dumps(bare).encode()), "python3")
    assert told.startswith("there: sudo apt-get install python3-venv && python3 -m venv ~/edgekd && ")
    assert "apt-get" not in software.installing(
        ["numpy"], software.read(json.dumps(found | {"bits": 64}).encode()), "python3"
    )


def test_another_host_key_is_never_accepted(server, board):
    server.known(server.folder / "other.pub")
    try:
        words = refused(board())
    finally:
        server.known(server.folder / "host.pub")
    assert "IDENTIFICATION HAS CHANGED" in words
    assert "ssh-keygen -R board" in words


def test_python_and_packages_have_to_be_there(board, tmp_path):
    words = refused(board(python="python9"))
    assert "a Python called 'python9'" in words
    assert "apt-get install" in words
    words = refused(board(python=wrapper(tmp_path, 'exec "$python" -I -S "$@"')))
    assert "the packages numpy and pillow" in words
    assert "pip install numpy pillow ai-edge-litert" in words
    old = {"os": "linux", "cores": 4, "software": {"python": "3.7.3", "numpy": "1.21", "pillow": "9.0"}}
    words = refused(board(python=wrapper(tmp_path, f"echo '{json.dumps(old)}'")))
    assert "Python 3.9 or later" in words
    assert "3.7" in words
    words = refused(board(python=wrapper(tmp_path, f"echo '{json.dumps(old | {'os': 'darwin'})}'")))
    assert "a Linux machine" in words


@pytest.mark.parametrize("text", ["[]", "{", '{"os": "linux", "cores": Infinity, "software": {"python": "3.11"}}', ""])
def test_what_its_python_says_is_not_believed(board, tmp_path, text):
    assert "a line of JSON" in refused(board(python=wrapper(tmp_path, f"echo '{text}'")))


def test_a_runtime_that_is_missing_costs_its_rows_only(board, small, tmp_path):
    versions = {"python": "3.11.2", "numpy": "2.4.6", "pillow": "13.0", "onnxruntime": "1.31.1"}
    found = {"os": "linux", "cores": 4, "software": versions}
    with board(python=wrapper(tmp_path, f"echo '{json.dumps(found)}'")) as place:
        with pytest.raises(DeviceError, match="ai-edge-litert or tflite-runtime") as caught:
            place.run(small())
        assert not isinstance(caught.value, DeviceLost)
        assert "-m pip install ai-edge-litert" in str(caught.value)


def test_a_folder_that_cannot_be_made(board, tmp_path):
    (tmp_path / "file").write_text("")
    assert "name a folder that can be written" in refused(board(folder=str(tmp_path / "file")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kill -9 $$", r"ended by SIGKILL; too little memory\?"),
        ("echo 'ImportError: libgomp.so.1' >&2; exit 1", "libgomp.so.1"),
        ("kill -9 $PPID; exit 1", "vanished without an exit code"),
        ("sleep 60", "within 6 s"),
    ],
)
def test_a_runner_that_ends_badly_is_a_device_error(board, far, small, tmp_path, text, words):
    with board(python=wrapper(tmp_path, on_runner(text)), limit_s=6.0 if "within" in words else 60.0) as place:
        with pytest.raises(DeviceError, match=words) as caught:
            place.run(small())
        assert not isinstance(caught.value, DeviceLost)
    assert list(far.iterdir()) == []


def test_what_tunes_libraries_over_there_is_not_passed_on(forced, board, small, tmp_path):
    found = forced('export OMP_NUM_THREADS=3 EDGEKD_KEPT=1; eval "$SSH_ORIGINAL_COMMAND"')
    shown = tmp_path / "shown"
    python = wrapper(tmp_path, on_runner(f'env >"{shown}"'))
    with board(config=found.config, python=python) as place:
        place.run(small())
    assert "EDGEKD_KEPT" in shown.read_text()
    assert "OMP_NUM_THREADS" not in shown.read_text()


def test_a_greeting_is_not_taken_for_an_answer(forced, board, small):
    parcel = small()
    noisy = forced("printf 'Welcome!\\r\\n{}\\r\\n'; echo 'mind the step' >&2; eval \"$SSH_ORIGINAL_COMMAND\"")
    with board(config=noisy.config) as place:
        assert read_document(place.run(parcel), "board", parcel.job).failure is None


def test_an_account_without_a_shell_is_reported(forced, board):
    words = refused(board(config=forced("echo 'This account is currently not available.'; exit 1").config))
    assert "a POSIX shell" in words
    assert "not available" in words


@pytest.mark.parametrize("when", ["sending", "running"])
def test_a_full_disk_is_a_lost_device(forced, board, small, tmp_path, when):
    """Python's message tells it, and where there is no room for a message either, `df` does."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "df").write_text("#!/bin/sh\necho 'disk 9 9 0 100% /'\n")
    (tools / "df").chmod(0o755)
    full = forced(f'PATH="{tools}:$PATH"; eval "$SSH_ORIGINAL_COMMAND"')
    writes = 'case $2 in *os.replace*) echo "OSError: [Errno 28] No space left on device" >&2; exit 1 ;; esac\n'
    python = wrapper(tmp_path, (writes if when == "sending" else "") + on_runner("exit 1"))
    words = "free some there, or name another place in `folder`"
    with board(config=full.config, python=python) as place, pytest.raises(DeviceLost, match=words):
        place.run(small())


@pytest.mark.parametrize("host", ["-oProxyCommand=touch x", "a b", "", "a;b", "$(x)", "a\nb"])
def test_a_host_is_never_an_option(host):
    with pytest.raises(ValueError, match="host"):
        ssh.Options(kind="ssh", host=host)


def test_without_ssh_on_this_machine(board, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openssh-client" in refused(board())


def test_a_device_that_prints_without_end_is_stopped(board, small, tmp_path):
    endless = wrapper(tmp_path, 'exec yes "a line that comes again and again"')
    assert "at most" in refused(board(python=endless))


def test_the_example_is_valid():
    place = devices.find("pi5")
    assert (place.options.kind, place.options.python, place.provenance) == ("ssh", "~/edgekd/bin/python", "hardware")
    assert ssh.at_home(place.options.python) == "edgekd/bin/python"  # a connection starts at home
