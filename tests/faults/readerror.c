/* Lets reads of one file fail with EIO, as a card or a cable does that fails for a moment.
 *
 * Loaded into the service by LD_PRELOAD. READERROR_FILE is the file; READERROR_STEER names two
 * further ones: `<steer>.once` makes the next read fail and is gone then, and while `<steer>.all`
 * is there every one fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_watched(int fd, const char *file)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return strcmp(path, file) == 0;
}

static int fails(int fd)
{
    const char *file = getenv("READERROR_FILE"), *steer = getenv("READERROR_STEER");
    char once[PATH_MAX], all[PATH_MAX];
    if (file == NULL || steer == NULL)
        return 0;
    int error = errno;
    snprintf(once, sizeof once, "%s.once", steer);
    snprintf(all, sizeof all, "%s.all", steer);
    int failing = is_watched(fd, file) && (unlink(once) == 0 || access(all, F_OK) == 0);
    errno = error;
    return failing;
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset)
{
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, buffer, count, offset);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
    return pread64(fd, buffer, count, offset);
}
