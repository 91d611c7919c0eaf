/* libc.so for a library that was linked against Android's C library (bionic), in a process of glibc.
 *
 * Most functions mean the same in both: hermetic/bionic.py writes a jump to glibc's for every symbol that the library
 * wants from LIBC and that is not here. Here is what bionic alone has, or means differently. Symbols get the version
 * LIBC, not as the default, so that this file's own calls still go to glibc.
 *
 * For 64-bit x86 and ARM, where types that cross the border have the same size (struct stat, pthread_cond_t,
 * pthread_rwlock_t), but for the mutex; see below. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOR_BIONIC(name) __asm__(".symver bionic_" #name ", " #name "@LIBC")

/* --- Standard streams: before API 23 they were elements of an array, 152 bytes each ----------------------------- */

struct stream {
    char content[152];
} bionic___sF[3];
FOR_BIONIC(__sF);

static FILE *stream(void *file) {
    if (file == &bionic___sF[0]) return stdin;
    if (file == &bionic___sF[1]) return stdout;
    if (file == &bionic___sF[2]) return stderr;
    return file;
}

int bionic_fclose(void *file) { return fclose(stream(file)); }
FOR_BIONIC(fclose);

int bionic_fflush(void *file) { return fflush(file ? stream(file) : NULL); }
FOR_BIONIC(fflush);

int bionic_fileno(void *file) { return fileno(stream(file)); }
FOR_BIONIC(fileno);

int bionic_fputc(int character, void *file) { return fputc(character, stream(file)); }
FOR_BIONIC(fputc);

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

/* --- The same name, another meaning ----------------------------------------------------------------------------- */

/* glibc clears 48 bytes on ARM, bionic's mutex has 40: what lies behind it would be overwritten. All zero is a plain
 * mutex in both, and no caller has attributes to give (the library imports none of pthread_mutexattr_*). */
enum { BIONIC_MUTEX_BYTES = 40 };

int bionic_pthread_mutex_init(void *mutex, const void *attributes) {
    if (attributes) return EINVAL;
    memset(mutex, 0, BIONIC_MUTEX_BYTES);
    return 0;
}
FOR_BIONIC(pthread_mutex_init);

/* Built for Android on x86, XNNPACK asks for 32 bytes, and then loads 64 at once, aligned, where the processor has
 * AVX-512: it crashes unless the allocator gives more than it was asked for. */
enum { AVX512_ALIGNMENT = 64 };

void *bionic_memalign(size_t alignment, size_t size) {
    return memalign(alignment < AVX512_ALIGNMENT ? AVX512_ALIGNMENT : alignment, size);
}
FOR_BIONIC(memalign);

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
