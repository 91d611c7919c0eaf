"""The demo app without Gradle, Google's Maven or an Android SDK: `python -m android_demo.hermetic` (make apk).

Needs Python 3.11, a JDK (17 or later), Maven, and once a network. Standard library only.

    pins.toml, fetch.py, debian (edgekd/debian.py)   what is downloaded, and how
    app.toml, settings.py                            the app's name, versions, ABIs
    resources.py                                     aapt2: resources -> R.java, resource table
    java.py, guard.py                                javac, API-level check, D8
    pack.py, sign.py, apk.py                         the APK
    junit.py                                         Java's tests on this machine's JVM
    binding.py, zig.py                               the app's own native library, a C compiler
    elf.py, bionic.py, jvm.py, emulated.py           the phone's own library on a desktop
"""
