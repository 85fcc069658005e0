/* Keeps, of each file of one folder, what a power cut would leave: its content as of its last
 * fsync or fdatasync, and the folder's names as of the last one of any file in it.
 *
 * Loaded into the service by LD_PRELOAD. POWERCUT_FOLDER is the folder that is watched,
 * POWERCUT_SHADOW where the copies go: `files/<key>` and `names`, a line "<key> <name>" for each
 * file. A key is inode and birth time, so a file keeps its copy under a new name, and a new file
 * never gets the copy of a deleted one. power.py makes the copies of the start and the folder
 * after the cut.
 *
 * As on ext4, a sync of any file makes earlier creations, renames and removals lasting.
 * The copy is made by the descriptor that is synced: opening the file again and closing it would
 * free the locks that SQLite holds on it in this process.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEY_SIZE = 64, LISTING_SIZE = 65536 };

static int key_of(int folder, const char *name, int flags, char *key)
{
    struct statx found;
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &found) != 0)
        return -1;
    snprintf(key, KEY_SIZE, "%llu-%lld.%09u", (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 0;
}

/* For the test, which has to name files in the same way. */
int powercut_key(const char *path, char *key)
{
    return key_of(AT_FDCWD, path, 0, key);
}

static void fail(const char *what)
{
    perror(what);
    abort();
}

/* A copy appears whole or not at all: a kill in the middle leaves the one before. */
static void publish(const char *temporary, const char *final)
{
    if (rename(temporary, final) != 0)
        fail("powercut: rename");
}

static void keep_content(const char *shadow, int fd)
{
    char key[KEY_SIZE], temporary[PATH_MAX], final[PATH_MAX];
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || key_of(fd, "", AT_EMPTY_PATH, key))
        return;
    snprintf(temporary, sizeof temporary, "%s/%s.%ld", shadow, key, (long)syscall(SYS_gettid));
    snprintf(final, sizeof final, "%s/files/%s", shadow, key);
    int copy = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (copy < 0)
        fail("powercut: open");
    off_t at = 0;
    while (at < status.st_size)
        if (sendfile(copy, fd, &at, (size_t)(status.st_size - at)) <= 0)
            fail("powercut: sendfile");
    close(copy);
    publish(temporary, final);
}

static void keep_names(const char *shadow, const char *folder)
{
    char listing[LISTING_SIZE], temporary[PATH_MAX], final[PATH_MAX], key[KEY_SIZE];
    size_t length = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        fail("powercut: opendir");
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (entry->d_type == DT_REG && key_of(dirfd(entries), entry->d_name, 0, key) == 0)
            length += (size_t)snprintf(listing + length, sizeof listing - length, "%s %s\n", key,
                                       entry->d_name);
    closedir(entries);
    snprintf(temporary, sizeof temporary, "%s/names.%ld", shadow, (long)syscall(SYS_gettid));
    snprintf(final, sizeof final, "%s/names", shadow);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, listing, length) != (ssize_t)length)
        fail("powercut: names");
    close(file);
    publish(temporary, final);
}

/* Whether the descriptor is the folder or a file in it. */
static int is_watched(const char *folder, int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    size_t base = strlen(folder);
    if (strncmp(path, folder, base) != 0)
        return 0;
    return path[base] == '\0' || (path[base] == '/' && strchr(path + base + 1, '/') == NULL);
}

static int keep(int fd, int result)
{
    const char *folder = getenv("POWERCUT_FOLDER"), *shadow = getenv("POWERCUT_SHADOW");
    int error = errno;
    if (result == 0 && folder != NULL && shadow != NULL && is_watched(folder, fd)) {
        keep_content(shadow, fd);
        keep_names(shadow, folder);
    }
    errno = error;
    return result;
}

int fsync(int fd)
{
    return keep(fd, (int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    return keep(fd, (int)syscall(SYS_fdatasync, fd));
}
