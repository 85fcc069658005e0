/* Makes each fsync and fdatasync take longer, as a card does that is slow.
 *
 * Loaded by LD_PRELOAD; SLOWSYNC_MS says by how much.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_longer(void)
{
    const char *given = getenv("SLOWSYNC_MS");
    long ms = given ? atol(given) : 0;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

int fsync(int fd)
{
    int result = (int)syscall(SYS_fsync, fd);
    wait_longer();
    return result;
}

int fdatasync(int fd)
{
    int result = (int)syscall(SYS_fdatasync, fd);
    wait_longer();
    return result;
}
