"""The APKs: signed, packed as Android wants them, the right model inside, no permission, the same to the byte."""

import contextlib
import io
import re
import struct
import zipfile
from pathlib import Path

import pytest

from android_demo.hermetic import apk, binding, bionic, fetch, guard, java, resources, sign
from android_demo.hermetic.elf import Elf
from android_demo.hermetic.pack import PAGE, WORD, pack, read_zip
from android_demo.hermetic.settings import APP, Settings
from android_demo.hermetic.tools import fresh, need, run
from edgekd.errors import EdgekdError
from edgekd.files import sha256_bytes, sha256_file

CALL_SITES = 0x0007  # kind of a dex file's list of call sites, which invoke-custom refers to
CALLS = """
package org.edgekd.demo;

final class Calls {
    static void since31(android.app.Activity activity) {
        activity.getSplashScreen();
    }

    static Object hidden() {
        return android.app.ActivityThread.currentApplication();
    }

    static String ofJava11(String text) {
        return text.strip();
    }

    @android.annotation.TargetApi(31)
    static Object marked() {
        return android.os.Build.SOC_MODEL;
    }
}
"""


@pytest.fixture(scope="module")
def universal(apks):
    return apks[0].path


def content_at(path):
    """Where the content of each entry of a zip file begins, and whether it is stored."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name_size, extra_size = struct.unpack_from("<HH", data, entry.header_offset + 26)
            begin = entry.header_offset + 30 + name_size + extra_size
            yield entry.filename, begin, entry.compress_type == zipfile.ZIP_STORED


def test_one_for_all_abis_and_one_for_each(apks):
    settings = Settings.read()
    assert [found.abis for found in apks] == [settings.abis, *((abi,) for abi in settings.abis)]
    for found in apks:
        libraries = {name for name in read_zip(found.path) if name.startswith("lib/")}
        assert libraries == {f"lib/{abi}/{name}" for abi in found.abis for name in (bionic.LIBRARY, binding.BINDING)}


def test_the_signature_is_that_of_the_committed_key(apks):
    for found in apks:
        sign.verify(found.path)
    said = run(java.java(sign.signer(), sign.MAIN_CLASS, "verify", "--print-certs", apks[0].path), "certificates")
    asked = ["keytool", "-list", "-keystore", sign.KEY, "-storepass", "android"]
    key = run(asked, "the key").rpartition(": ")[2].strip().replace(":", "").lower()
    assert key in said


def test_a_release_is_unsigned_or_signed_with_a_key_of_ones_own(universal, tmp_path, monkeypatch):
    assert sign.PUBLIC in sign.certificates(universal)
    pack(tmp_path / "unsigned.apk", read_zip(universal))
    with pytest.raises(EdgekdError, match="signature"):
        sign.verify(tmp_path / "unsigned.apk")
    monkeypatch.setenv(sign.PASSWORD, "android")
    public = tmp_path / "mine.p12"  # under another name
    public.write_bytes(sign.KEY.read_bytes())
    with pytest.raises(EdgekdError, match="the public debug key"):
        sign.sign_release(tmp_path / "unsigned.apk", tmp_path / "signed.apk", public)
    assert not (tmp_path / "signed.apk").exists()
    own = tmp_path / "own.p12"
    asked = [
        "keytool",
        "-genkeypair",
        "-keystore",
        own,
        "-storetype",
        "PKCS12",
        "-keyalg",
        "RSA",
        "-storepass",
        "android",
    ]
    run([*asked, "-alias", "own", "-dname", "CN=own", "-validity", "10"], "a key")
    sign.sign_release(tmp_path / "unsigned.apk", tmp_path / "signed.apk", own)
    sign.verify(tmp_path / "signed.apk")
    assert sign.PUBLIC not in sign.certificates(tmp_path / "signed.apk")


def test_a_release_of_the_build_is_unsigned(apks, tmp_path):
    with contextlib.redirect_stderr(io.StringIO()):
        found = apk.build(tmp_path, apk.Release())
    assert [f.path.name for f in found] == [a.path.name.replace(".apk", "-release-unsigned.apk") for a in apks]
    for unsigned, signed in zip(found, apks, strict=True):
        assert read_zip(unsigned.path) == read_zip(signed.path)
        with pytest.raises(EdgekdError, match="signature"):
            sign.verify(unsigned.path)


def test_the_benchmark_is_for_the_shell_alone(universal):
    aapt2 = resources.aapt2(fetch.fetch("tools")["org.apktool:apktool-lib"])
    manifest = run([aapt2, "dump", "xmltree", "--file", "AndroidManifest.xml", universal], "manifest")
    activities = {
        re.search(r'name\(0x01010003\)="([\w.]+)"', part)[1]: part for part in manifest.split("E: activity")[1:]
    }
    benchmark = activities["org.edgekd.demo.BenchmarkActivity"].partition("E: provider")[0]
    assert 'permission(0x01010006)="android.permission.DUMP"' in benchmark
    assert "exported(0x01010010)=true" in benchmark


def test_a_changed_apk_is_refused(universal, tmp_path):
    data, name = bytearray(universal.read_bytes()), "assets/model.tflite"
    begin = next(at for entry, at, _ in content_at(universal) if entry == name)
    data[begin + 5000] ^= 1
    (tmp_path / "changed.apk").write_bytes(data)
    with pytest.raises(EdgekdError, match="signature"):
        sign.verify(tmp_path / "changed.apk")


def test_everything_is_stored_and_aligned(apks):
    for found in apks:
        for name, begin, is_stored in content_at(found.path):
            assert is_stored, name
            assert begin % (PAGE if name.endswith(".so") else WORD) == 0, name


def test_the_model_is_that_of_the_bundle(universal, bundle):
    content = read_zip(universal)
    (mapped,) = bundle.manifest.artefacts["tflite-int8"].heatmap.other_files.values()  # with its heat map
    expected = mapped.sha256
    assert sha256_bytes(content["assets/model.tflite"]) == expected
    assert expected in content["assets/model.json"].decode()


def test_licences_of_what_is_inside_are_inside(universal):
    content = read_zip(universal)
    assert b"Apache License" in content["assets/licences/edgekd.txt"]
    assert b"Apache License" in content["assets/licences/tensorflow-lite.txt"]


def test_libraries_are_those_of_the_runtime_unmodified(universal):
    content, jars = read_zip(universal), fetch.fetch("app")
    for abi in Settings.read().abis:
        jar = read_zip(jars[f"{bionic.RUNTIME}:{bionic.CLASSIFIERS[abi]}"])
        assert content[f"lib/{abi}/{bionic.LIBRARY}"] == jar[f"lib/{abi}/{bionic.LIBRARY}"]


def test_libraries_load_on_phones_with_pages_of_16_kib(apks, tmp_path):
    """Segments and their place in the APK, for there they are mapped from; all are of 64 bits."""
    for found in apks:
        begins = {name: begin for name, begin, _ in content_at(found.path) if name.endswith(".so")}
        assert len(begins) == 2 * len(found.abis)
        for name, content in read_zip(found.path).items():
            if name.endswith(".so"):
                (tmp_path / "library").write_bytes(content)
                library = Elf(tmp_path / "library")
                assert library.is_64, name
                assert begins[name] % 16384 == 0, name
                assert len(library.load_alignments()) >= 3, name
                assert all(alignment % 16384 == 0 for alignment in library.load_alignments()), name


def test_libraries_need_what_phones_have(universal, tmp_path):
    for name, content in read_zip(universal).items():
        if name.endswith(".so"):
            (tmp_path / "library").write_bytes(content)
            wanted = (
                [bionic.LIBRARY] if name.endswith(binding.BINDING) else ["libc.so", "libdl.so", "liblog.so", "libm.so"]
            )
            assert sorted(Elf(tmp_path / "library").needed()) == wanted


def test_no_permission_and_the_right_levels(universal):
    aapt2 = resources.aapt2(fetch.fetch("tools")["org.apktool:apktool-lib"])
    assert run([aapt2, "dump", "permissions", universal], "permissions").split() == ["package:", "org.edgekd.demo"]
    facts = run([aapt2, "dump", "badging", universal], "facts")
    for words in (
        "package: name='org.edgekd.demo' versionCode='1' versionName='0.1.0'",
        "targetSdkVersion:'36'",
        "native-code: 'arm64-v8a' 'x86_64'",
    ):
        assert words in facts
    assert "dkVersion:'26'" in facts
    manifest = run([aapt2, "dump", "xmltree", "--file", "AndroidManifest.xml", universal], "manifest")
    assert "extractNativeLibs(0x010104ea)=false" in manifest
    assert "enableOnBackInvokedCallback(0x0101066c)=true" in manifest
    assert "debuggable" not in manifest


def test_no_invoke_custom(universal):
    dex = read_zip(universal)["classes.dex"]
    (at,) = struct.unpack_from("<I", dex, 52)
    (count,) = struct.unpack_from("<I", dex, at)
    kinds = {struct.unpack_from("<H", dex, at + 4 + 12 * i)[0] for i in range(count)}
    assert dex[:4] == b"dex\n"
    assert 0x0006 in kinds  # classes: this is the list that was meant
    assert CALL_SITES not in kinds


def test_two_builds_are_the_same_to_the_byte(apks, tmp_path):
    with contextlib.redirect_stderr(io.StringIO()):
        again = apk.build(tmp_path)
    assert [sha256_file(found.path) for found in again] == [sha256_file(found.path) for found in apks]


def test_calls_that_old_phones_do_not_have_are_refused(apks, tmp_path):
    tools = fetch.fetch("tools")
    (tmp_path / "Calls.java").write_text(CALLS)
    platform = [tools[resources.ANDROID]]
    options = ["-encoding", "UTF-8", "--release", "11", "-proc:none", "-d", tmp_path / "classes"]
    run(["javac", *options, "-cp", java.class_path(platform), tmp_path / "Calls.java"], "Java sources")
    with pytest.raises(EdgekdError, match="API level 26") as found:
        guard.check_api(tmp_path / "classes", 26, apk.OWN, tmp_path / "guard")
    for name in ("getSplashScreen", "ActivityThread", "String.strip"):
        assert name in found.value.found
    assert "SOC_MODEL" not in found.value.found


def test_a_download_with_another_hash_stops_the_build(java_tests, tmp_path):
    java_tests("app")
    text = fetch.PINS.read_text(encoding="utf-8")
    pin = next(p for p in fetch.pins("app") if p.artifact == "tensorflow-lite")
    changed = tmp_path / "pins.toml"
    changed.write_text(text.replace(pin.sha256, "0" * 64), encoding="utf-8")
    with pytest.raises(EdgekdError, match=r"tensorflow-lite-2\.21\.0-1\.5\.14-android-arm64\.jar") as found:
        fetch.fetch("app", path=changed)
    assert ("0" * 64 in found.value.expected, found.value.found) == (True, pin.sha256)


def test_an_unpacked_tool_that_was_damaged_is_unpacked_again(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("inside", b"whole")
    [found] = fetch.unpacked(tmp_path / "archive", {"inside": "tool"}, tmp_path)
    found.write_bytes(b"whale")
    assert fetch.unpacked(tmp_path / "archive", {"inside": "tool"}, tmp_path)[0].read_bytes() == b"whole"


def test_what_cannot_be_downloaded_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv(fetch.CACHE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EdgekdError, match="Maven"):
        fetch.fetch("app")


def test_everything_that_is_fetched_is_pinned():
    found = fetch.pins("app", "tools", "guard", "junit", "robolectric")
    assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in found)
    assert len({pin.path for pin in found}) == len(found)


def test_packed_zips_do_not_depend_on_when_or_where(tmp_path):
    entries = {"a/b.so": b"x" * 10, "c": b"y", "d.so": b"z" * 20000}
    pack(tmp_path / "1", entries)
    pack(tmp_path / "2", entries)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert read_zip(tmp_path / "1") == entries
    assert [begin % PAGE for name, begin, _ in content_at(tmp_path / "1") if name.endswith(".so")] == [0, 0]


def shrunk(classes, rules, out):
    """What R8 makes of class files: the bytes of a dex file.

    The platform's jar holds all of Android with its code, which R8 reads for a minute: without it, it only warns.
    """
    tools, entry = fetch.fetch("tools"), out / "entry.pro"
    entry.write_text("-keep class org.edgekd.demo.*Activity { <init>(); }\n-ignorewarnings\n", encoding="utf-8")
    jdk = Path(need("javac", "a JDK", java.TODO)).resolve().parents[1]
    given = [option for rule in (entry, *rules) for option in ("--pg-conf", rule)]
    options = ["--release", "--min-api", "26", "--lib", jdk, *given, "--output", out]
    command = java.java([tools["com.android.tools:r8"]], "com.android.tools.r8.R8", *options, *classes.rglob("*.class"))
    run(command, "shrunk code")
    return (out / "classes.dex").read_bytes()


def test_shrunk_by_r8_it_keeps_what_jni_finds_by_name(universal, tmp_path):
    classes = universal.parent / "apk/classes"
    names = [b"Lorg/edgekd/demo/Tflite;", *(name.encode() for name in ("createXnnpack", "createCounter", "isNamed"))]
    kept = shrunk(classes, [APP / "proguard-rules.pro"], fresh(tmp_path / "kept"))
    lost = shrunk(classes, [], fresh(tmp_path / "lost"))
    assert all(name in kept for name in names)
    assert not all(name in lost for name in names)  # so the rule is needed
