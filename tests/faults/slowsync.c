/* Makes each fsync and fdatasync slower, as on a slow card.
 *
 * Loaded into the service by LD_PRELOAD. SLOWSYNC_MS is what each takes besides; half of it passes
 * before the file is synced and half after, so that a kill meets both.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void pass_half(void)
{
    const char *ms = getenv("SLOWSYNC_MS");
    long half_ns = ms == NULL ? 0 : atol(ms) * 500000L;
    struct timespec rest = {half_ns / 1000000000L, half_ns % 1000000000L};
    while (nanosleep(&rest, &rest) != 0)
        ;
}

static int slowly(long call, int fd)
{
    pass_half();
    int status = syscall(call, fd);
    pass_half();
    return status;
}

int fsync(int fd)
{
    return slowly(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return slowly(SYS_fdatasync, fd);
}
