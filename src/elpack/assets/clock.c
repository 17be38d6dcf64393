/* Shifts the clock that a program reads by SHIFT seconds: for builds that are repeated to see whether they embed it.
 *
 * To be preloaded. Only what tells the time of day is shifted. Timers and waiting use the monotonic clock and stay right.
 * Nothing but unversioned names of libc is used, so that it loads with an older one than it was compiled with.
 */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

extern long syscall(long number, ...);

int clock_gettime(clockid_t id, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, id, now);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI))
        now->tv_sec += SHIFT;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (result == 0)
        now->tv_sec += SHIFT;
    return result;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}
