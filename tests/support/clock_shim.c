/* Moves a process's wall clock, and nothing else, by the seconds in the file that CLOCK_SHIM names. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static volatile long long *offset;
    if (!real) {
        int file = open(getenv("CLOCK_SHIM"), O_RDONLY | O_CLOEXEC);
        offset = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return result;
}
