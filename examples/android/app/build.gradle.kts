plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "imgrec.example"
    compileSdk = 35
    defaultConfig {
        applicationId = "imgrec.example"
        minSdk = 28 // ImageDecoder, which turns photographs upright
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
    androidResources { noCompress += "tflite" } // read in place
}

dependencies {
    implementation("com.google.mediapipe:tasks-vision:0.10.21")
}
