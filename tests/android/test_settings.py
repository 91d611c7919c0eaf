"""The two builds of the demo app say the same: Gradle's files and those of the build without Gradle."""

import re
import tomllib

import pytest

from android_demo.hermetic.bionic import CLASSIFIERS
from android_demo.hermetic.fetch import pins
from android_demo.hermetic.settings import APP, CORE, DEMO, Settings
from edgekd.files import sha256_file

CATALOGUE = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text(encoding="utf-8"))
VERSIONS = CATALOGUE["versions"]
SCRIPT = (APP / "build.gradle.kts").read_text(encoding="utf-8")
WITHOUT_GRADLE = Settings.read()


def text(key):
    """The value of `key = "…"` in the app's script."""
    [found] = re.findall(rf'\b{key} = "([^"]*)"', SCRIPT)
    return found


def words(pattern):
    """The quoted words of what a pattern finds in the app's script."""
    [found] = re.findall(pattern, SCRIPT)
    return tuple(re.findall(r'"([^"]+)"', found))


def test_package():
    assert text("applicationId") == text("namespace") == WITHOUT_GRADLE.package


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minSdk", WITHOUT_GRADLE.min_sdk),
        ("targetSdk", WITHOUT_GRADLE.target_sdk),
        ("versionCode", WITHOUT_GRADLE.version_code),
        ("versionName", WITHOUT_GRADLE.version_name),
    ],
)
def test_versions(name, value):
    assert VERSIONS[name] == str(value)
    assert re.search(rf"\b{name} = libs\.versions\.{name}\.get\(\)", SCRIPT)


def test_the_platforms():
    """Gradle compiles against what the app targets; the other build against the newest that the JDK 17 can read."""
    platforms = {pin.artifact: pin.version for pin in pins("tools", "robolectric") if "android-all" in pin.artifact}
    assert VERSIONS["compileSdk"] == VERSIONS["targetSdk"]
    assert platforms["android-all"].startswith("15-")  # Android 15 is API level 35
    assert platforms["android-all-instrumented"].startswith(platforms["android-all"])
    assert "sdk=35\n" in (APP / "src/test/resources/robolectric.properties").read_text(encoding="utf-8")


def test_abis():
    assert words(r"abiFilters \+= listOf\(([^)]*)\)") == WITHOUT_GRADLE.abis


def test_rules_for_assets():
    assert words(r"noCompress \+= (.*)") == WITHOUT_GRADLE.no_compress
    assert words(r"main.*assets\.srcDir\((.*)\)") == ("../legal",)


def test_language_level():
    for script in (SCRIPT, (CORE / "build.gradle.kts").read_text(encoding="utf-8")):
        assert set(re.findall(r"Compatibility = JavaVersion\.VERSION_1_(\d+)", script)) == {str(WITHOUT_GRADLE.java)}


def test_the_runtime():
    """The same native libraries of the same version, and nothing else, are in the APK of either build."""
    pinned = pins("app")
    library = CATALOGUE["libraries"]["tensorflow-lite"]
    assert {(pin.name.rpartition(":")[0], pin.version) for pin in pinned} == {
        (library["module"], VERSIONS[library["version"]["ref"]])
    }
    assert words(r"for \(abi in listOf\(([^)]*)\)") == tuple(pin.classifier for pin in pinned)
    assert tuple(CLASSIFIERS[abi] for abi in WITHOUT_GRADLE.abis) == tuple(pin.classifier for pin in pinned)
    dependencies = SCRIPT[SCRIPT.index("dependencies {") :]
    assert re.findall(r"^\s*(?:implementation|runtimeOnly|api)\((\w+)", dependencies, re.MULTILINE) == [
        "project",
        "variantOf",
    ]


def test_gradle():
    """A triple of the Android plugin's release notes; Gradle's own wrapper, by the checksums that Gradle publishes."""
    assert (VERSIONS["agp"], VERSIONS["compileSdk"]) == ("8.13.2", "36")
    wrapper = (DEMO / "gradle/wrapper/gradle-wrapper.properties").read_text(encoding="utf-8")
    assert "/gradle-8.13-bin.zip\n" in wrapper
    assert "distributionSha256Sum=20f1b1176237254a6fc204d8434196fa11a4cfb387567519c61556e8710aed78\n" in wrapper
    jar = "81a82aaea5abcc8ff68b3dfcb58b3c3c429378efd98e7433460610fecd7ae45f"
    assert sha256_file(DEMO / "gradle/wrapper/gradle-wrapper.jar") == jar
    assert (DEMO / "gradlew").stat().st_mode & 0o100


def test_key():
    assert words(r"storeFile = file\((.*)\)") == ("../hermetic/debug.p12",)
    assert (APP / "../hermetic/debug.p12").is_file()


def test_a_release_is_never_signed_with_the_public_key():
    [release] = re.findall(r"\brelease \{(.*?)\n        \}", SCRIPT, re.DOTALL)
    assert "isMinifyEnabled" in release  # this is the block that was meant
    assert "signingConfig" not in SCRIPT.partition("buildTypes {")[2]


def test_versions_of_the_tests_libraries():
    pinned = {f"{pin.group}:{pin.artifact}": pin.version for pin in pins("junit", "robolectric")}
    for name in ("junit", "robolectric"):
        library = CATALOGUE["libraries"][name]
        assert VERSIONS[library["version"]["ref"]] == pinned[library["module"]]


def test_neither_build_names_a_host():
    for path in (
        *DEMO.glob("*.kts"),
        *DEMO.glob("*/*.kts"),
        *DEMO.glob("gradle/*.toml"),
        *(DEMO / "hermetic").glob("*.*"),
    ):
        if path.suffix != ".p12":
            hosts = set(re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8")))
            assert hosts <= {"maven.apache.org"}, path  # the name of a POM's XML schema
