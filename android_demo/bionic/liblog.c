/* liblog.so: Android's log, to standard error as `adb logcat` shows it in brief: I/tflite: words */
#include <stdarg.h>
#include <stdio.h>

int __android_log_write(int priority, const char *tag, const char *words) {
    char letter = priority > 0 && priority < 9 ? "??VDIWEFS"[priority] : '?';
    return fprintf(stderr, "%c/%s: %s\n", letter, tag ? tag : "", words);
}

int __android_log_vprint(int priority, const char *tag, const char *format, va_list values) {
    char words[2048];
    vsnprintf(words, sizeof words, format, values);
    return __android_log_write(priority, tag, words);
}
