plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "org.edgekd.demo"
    compileSdk = libs.versions.compileSdk.get().toInt()

    defaultConfig {
        applicationId = "org.edgekd.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = libs.versions.versionCode.get().toInt()
        versionName = libs.versions.versionName.get()
        ndk {
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
        proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
    }

    // The key of the build without Gradle: an APK of either updates one of the other. It is public, so a release is left
    // unsigned.
    signingConfigs {
        getByName("debug") {
            storeFile = file("../hermetic/debug.p12")
            storeType = "PKCS12"
            storePassword = "android"
            keyAlias = "androiddebugkey"
            keyPassword = "android"
        }
    }
    buildTypes {
        release {
            isMinifyEnabled = false
        }
    }

    androidResources {
        noCompress += "tflite" // mapped into memory as it lies in the APK
    }
    packaging {
        jniLibs.useLegacyPackaging = false
        resources.excludes += "META-INF/**" // of the jars of native libraries
    }
    sourceSets {
        getByName("main").assets.srcDir("../legal")
        getByName("test").java.srcDir("../bionic/java")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    testOptions {
        unitTests.isIncludeAndroidResources = true
        unitTests.all {
            it.systemProperty("edgekd.demo", rootDir.path)
            it.systemProperty("edgekd.out", layout.buildDirectory.dir("test-app").get().asFile.path)
        }
    }
}

dependencies {
    implementation(project(":core"))
    for (abi in listOf("android-arm64", "android-x86_64")) { // native libraries in jars; their Java classes are not used
        runtimeOnly(variantOf(libs.tensorflow.lite) { classifier(abi) }) { isTransitive = false }
    }
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
