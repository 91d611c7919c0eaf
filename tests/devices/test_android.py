"""What Android's tools print, of several versions: what is told is read, what is not is not known."""

import pytest

from edgekd.devices import android

APP = "org.edgekd.demo"
DEXOPT = """Dexopt state:
  [org.edgekd]
    path: /data/app/org.edgekd-1/base.apk
      arm64: [status=speed] [reason=cmdline]
  [org.edgekd.demo]
    path: /data/app/~~x==/org.edgekd.demo-y==/base.apk
      arm64: [status=speed-profile] [reason=bg-dexopt] [primary-abi]
        [location is /data/app/~~x==/oat/arm64/base.odex]
  [org.other]
    path: /data/app/org.other-1/base.apk
      arm64: [status=verify] [reason=install]
"""


@pytest.mark.parametrize(
    ("power", "asleep"),
    [
        ("POWER MANAGER (dumpsys power)\n  mWakefulness=Awake\n  mWakefulnessChanging=false\n", False),
        ("  mWakefulness=Asleep\n", True),
        ("  mWakefulness=Dozing\n", True),
        ("  mWakefulness=Dreaming\n", True),
        ("Can't find service: power\n", False),
    ],
)
def test_a_dark_screen(power, asleep):
    assert android.is_asleep(power) is asleep


@pytest.mark.parametrize(
    ("activities", "locked"),
    [
        ("  KeyguardController:\n    mKeyguardShowing=true\n    mAodShowing=false\n", True),  # Android 8 to 12
        ("  KeyguardController:\n   KeyguardShowing=true AodShowing=false Occluded=false\n", True),  # later, by display
        ("  KeyguardController:\n    mKeyguardShowing=false\n    mKeyguardGoingAway=false\n", False),
        ("", False),
    ],
)
def test_a_lock_screen(activities, locked):
    assert android.is_locked(activities) is locked


@pytest.mark.parametrize(
    ("activities", "name"),
    [
        (
            "    mResumedActivity: ActivityRecord{6f9d0e u0 com.android.settings/.Settings t71}\n",
            "com.android.settings/.Settings",
        ),
        ("  topResumedActivity=ActivityRecord{6f9d0e u0 org.a/org.a.B$C t7}\n", "org.a/org.a.B$C"),
        ("  topResumedActivity=null\n", ""),
    ],
)
def test_what_is_in_front(activities, name):
    assert android.in_front(activities) == name


def test_how_an_app_is_compiled():
    assert android.compiled(DEXOPT, APP) == "speed-profile"
    assert android.compiled(DEXOPT, "org.edgekd") == "speed"
    assert android.compiled(DEXOPT, "org.none") == ""
    assert android.compiled("Packages:\n", APP) == ""


def test_why_a_process_ended():
    entry = (
        "ApplicationExitInfo #{}:\n  timestamp=x pid={} user=0\n  process={} reason={} subreason=0 (UNKNOWN) rss={}\n"
    )
    exits = entry.format(0, 42, APP, "3 (LOW MEMORY)", "210MB") + entry.format(1, 421, APP, "6 (ANR)", "0.00")
    assert android.exit_words(exits, "42") == "the phone ended it for want of memory (it held 210MB)"
    assert android.exit_words(exits, "421") == "it did not answer the system any more"
    assert android.exit_words(exits, "4") == ""
    assert android.exit_words(exits, "") == ""


def test_a_crash_of_another_process_is_no_crash():
    reader = android.CrashReader(APP, "42")
    other = "pid: 43, tid: 43, name: main  >>> org.edgekd.demo <<<"
    assert not any(reader.read("DEBUG", line) for line in (other, "signal 11 (SIGSEGV), code 1"))
    assert not any(reader.read("AndroidRuntime", line) for line in (f"Process: {APP}, PID: 421", "java.lang.Error"))
    own = "pid: 42, tid: 44, name: pool 1  >>> org.edgekd.demo <<<"
    told = [reader.read("DEBUG", line) for line in (own, "uid: 10123", "signal 6 (SIGABRT), code -1 (SI_QUEUE)")]
    assert told == ["", "", "it crashed in native code: signal 6 (SIGABRT), code -1 (SI_QUEUE), thread pool 1"]
