/* Makes the clock that people set wrong, for PostgreSQL alone; the monotonic one stays right.
 *
 * Loaded by LD_PRELOAD. CLOCKJUMP names a file whose first eight bytes are the seconds by which the
 * clock is wrong; it is mapped, so that a process that runs sees a change at once. Patroni hands
 * the library on to PostgreSQL, and has it, too, but is not told the wrong time: one that sleeps
 * until tomorrow is for the watchdog to end, which a test has not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *wrong_by;

__attribute__((constructor)) static void look(void)
{
    const char *name = getenv("CLOCKJUMP");
    if (name == NULL || strcmp(program_invocation_short_name, "postgres") != 0)
        return;
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *place = mmap(NULL, sizeof *wrong_by, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (place != MAP_FAILED)
        wrong_by = place;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int status = syscall(SYS_clock_gettime, clock, at);
    if (status == 0 && wrong_by != NULL
        && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += *wrong_by;
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return status;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL)
        *at = now.tv_sec;
    return now.tv_sec;
}
