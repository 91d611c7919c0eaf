/* libc.so for a library that was linked against Android's C library (bionic), in a process of glibc.
 *
 * Most functions mean the same in both: hermetic/bionic.py writes a jump to glibc's for every symbol that the library
 * wants from LIBC and that is not here. Here is what bionic alone has, or means differently. Symbols get the version
 * LIBC, not as the default, so that this file's own calls still go to glibc.
 *
 * For 64-bit x86 and ARM, where types that cross the border have the same size (struct stat, pthread_cond_t,
 * pthread_rwlock_t, mbstate_t) or take no more than bionic's (sem_t), but for the mutex and the set of signals; see below.
 * A long double is another number in both; nothing of what is run here uses one. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define FOR_BIONIC(name) __asm__(".symver bionic_" #name ", " #name "@LIBC")
#define SINCE_API_24(name) __asm__(".symver bionic_" #name ", " #name "@LIBC_N")

/* --- Standard streams: before API 23 they were elements of an array, 152 bytes each ----------------------------- */

struct stream {
    char content[152];
} bionic___sF[3];
FOR_BIONIC(__sF);

void *bionic_stderr = &bionic___sF[2];
FOR_BIONIC(stderr);

static FILE *stream(void *file) {
    if (file == &bionic___sF[0]) return stdin;
    if (file == &bionic___sF[1]) return stdout;
    if (file == &bionic___sF[2]) return stderr;
    return file;
}

#define OF_STREAM(type, name)                                      \
    type bionic_##name(void *file) { return name(stream(file)); } \
    FOR_BIONIC(name)
#define TO_STREAM(type, name, what)                                                  \
    type bionic_##name(what value, void *file) { return name(value, stream(file)); } \
    FOR_BIONIC(name)

OF_STREAM(int, fclose);
OF_STREAM(int, ferror);
OF_STREAM(int, fileno);
OF_STREAM(int, getc);
OF_STREAM(wint_t, getwc);
TO_STREAM(int, fputc, int);
TO_STREAM(int, fputs, const char *);
TO_STREAM(wint_t, fputwc, wchar_t);
TO_STREAM(int, ungetc, int);
TO_STREAM(wint_t, ungetwc, wint_t);

int bionic_fflush(void *file) { return fflush(file ? stream(file) : NULL); }
FOR_BIONIC(fflush);

size_t bionic_fread(void *to, size_t size, size_t count, void *file) { return fread(to, size, count, stream(file)); }
FOR_BIONIC(fread);

size_t bionic_fwrite(const void *from, size_t size, size_t count, void *file) {
    return fwrite(from, size, count, stream(file));
}
FOR_BIONIC(fwrite);

int bionic_vfprintf(void *file, const char *format, va_list values) { return vfprintf(stream(file), format, values); }
FOR_BIONIC(vfprintf);

int bionic_fprintf(void *file, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int written = vfprintf(stream(file), format, values);
    va_end(values);
    return written;
}
FOR_BIONIC(fprintf);

void bionic_setbuf(void *file, char *buffer) { setbuf(stream(file), buffer); }
FOR_BIONIC(setbuf);

/* --- The same name, another meaning ----------------------------------------------------------------------------- */

/* glibc clears 48 bytes on ARM, bionic's mutex has 40: what lies behind it would be overwritten. All zero is a plain
 * mutex in both; of the attributes, an int in one and a long in the other, the library sets the type alone. */
enum { BIONIC_MUTEX_BYTES = 40 };

int bionic_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    int type = PTHREAD_MUTEX_NORMAL;
    if (attributes) pthread_mutexattr_gettype(attributes, &type);
    memset(mutex, 0, BIONIC_MUTEX_BYTES);
    mutex->__data.__kind = type; /* numbered alike */
    return 0;
}
FOR_BIONIC(pthread_mutex_init);

/* A set of signals has 8 bytes, in glibc 128, of which the first 8 are the same. */
int bionic_sigfillset(uint64_t *set) {
    *set = ~(uint64_t)0;
    return 0;
}
FOR_BIONIC(sigfillset);

int bionic_pthread_sigmask(int how, const uint64_t *set, uint64_t *old) {
    sigset_t wanted, found;
    sigemptyset(&wanted);
    if (set) memcpy(&wanted, set, sizeof *set);
    int status = pthread_sigmask(how, set ? &wanted : NULL, &found);
    if (old) memcpy(old, &found, sizeof *old);
    return status;
}
FOR_BIONIC(pthread_sigmask);

int *bionic___errno(void) { return &errno; }
FOR_BIONIC(__errno);

extern int __xpg_strerror_r(int, char *, size_t); /* bionic has the one of POSIX, glibc under this name its own */

int bionic_strerror_r(int number, char *to, size_t size) { return __xpg_strerror_r(number, to, size); }
FOR_BIONIC(strerror_r);

long bionic_sysconf(int name) { /* names are numbered differently */
    switch (name) {
        case 0x06: return sysconf(_SC_CLK_TCK);
        case 0x0b: return sysconf(_SC_OPEN_MAX);
        case 0x27: /* _SC_PAGESIZE */
        case 0x28: return sysconf(_SC_PAGE_SIZE);
        case 0x60: return sysconf(_SC_NPROCESSORS_CONF);
        case 0x61: return sysconf(_SC_NPROCESSORS_ONLN);
        case 0x62: return sysconf(_SC_PHYS_PAGES);
        case 0x63: return sysconf(_SC_AVPHYS_PAGES);
    }
    fprintf(stderr, "bionic libc.so: sysconf(0x%x) is not translated\n", (unsigned)name);
    abort(); /* a number that means something else would be worse */
}
FOR_BIONIC(sysconf);

/* --- In bionic only --------------------------------------------------------------------------------------------- */

void bionic___assert2(const char *file, int line, const char *function, const char *failed) {
    fprintf(stderr, "%s:%d: %s: assertion \"%s\" failed\n", file, line, function, failed);
    abort();
}
FOR_BIONIC(__assert2);

char *bionic___gnu_strerror_r(int number, char *to, size_t size) { return strerror_r(number, to, size); }
FOR_BIONIC(__gnu_strerror_r);

char *bionic___strchr_chk(const char *text, int wanted, size_t bound) {
    for (size_t i = 0; i < bound; i++) {
        if (text[i] == (char)wanted) return (char *)text + i;
        if (text[i] == 0) return NULL;
    }
    abort();
}
FOR_BIONIC(__strchr_chk);

ssize_t bionic___write_chk(int file, const void *from, size_t count, size_t bound) {
    if (count > bound) abort();
    return write(file, from, count);
}
SINCE_API_24(__write_chk);

size_t bionic___strlen_chk(const char *text, size_t bound) {
    size_t length = strlen(text);
    if (length >= bound) abort();
    return length;
}
FOR_BIONIC(__strlen_chk);

/* TFLite asks for the release and leaves XNNPACK out of those up to 19. `value` has 92 bytes. */
int bionic___system_property_get(const char *name, char *value) {
    strcpy(value, strcmp(name, "ro.build.version.sdk") ? "" : "34");
    return (int)strlen(value);
}
FOR_BIONIC(__system_property_get);

void bionic_android_set_abort_message(const char *message) { fprintf(stderr, "%s\n", message ? message : ""); }
FOR_BIONIC(android_set_abort_message);
