"""The wheel has what the package needs and nothing else, and works without the repository."""

import subprocess
import zipfile
from pathlib import Path

import edgekd
from edgekd import named
from edgekd.__main__ import commands

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_all_that_is_committed_and_what_goes_by_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files", "edgekd"], capture_output=True, text=True, check=True, cwd=ROOT)
    expected = {name: (ROOT / name).read_bytes() for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    for kind, place in named.IN_REPOSITORY.items():
        expected |= {f"edgekd/named_{kind}/{p.name}": p.read_bytes() for p in (ROOT / place).glob("*.toml")}
    assert expected.items() <= found.items()
    assert all(name.startswith("edgekd/") for name in found)


def test_everything_is_listed_outside_the_repository(environment, tmp_path):
    ground = environment("")
    for program, arguments in (("edgekd", ()), ("python", ("-m", "edgekd"))):
        done = ground.run(program, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        for name in (*commands(), *named.names("recipes"), *named.names("devices")):
            assert name in done.stdout
    assert ground.run("edgekd", "--version", cwd=tmp_path).stdout == f"edgekd {edgekd.__version__}\n"
    wrong = ground.run("edgekd", "distil", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean 'distill'" in wrong.stderr


def test_help_needs_no_extra(environment, tmp_path):
    for name in commands():
        for program, arguments in (("edgekd", (name,)), ("python", ("-m", f"edgekd.{name}"))):
            done = environment("").run(program, *arguments, "--help", cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            assert f"python -m edgekd.{name}" in done.stdout


def test_recipes_and_devices_are_found_by_name_in_the_wheel(environment, tmp_path):
    program = """
from edgekd import devices, named, recipe
for name in named.names("recipes"):
    assert recipe.load(name).name == name
for name in named.names("devices"):
    devices.find(name)
print(named.folder("recipes"), named.folder("devices"))
"""
    done = environment("").run("python", "-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("site-packages") == 2


def test_an_editable_install_has_them_too(environment, builder, tmp_path):
    program = (
        "from edgekd import named, recipe; print(recipe.load(named.names('recipes')[0]).name, named.folder('devices'))"
    )
    environment("")  # whose packages pip then has at hand
    made = builder.install("--no-build-isolation", "--editable", ROOT)
    assert made.returncode == 0, made.stderr
    done = builder.run("python", "-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{named.names('recipes')[0]} {ROOT / 'benchmarks' / 'devices'}\n"
    assert builder.run("edgekd", "--version", cwd=tmp_path).returncode == 0
