/* A disk in trouble, without one: preloaded into the gateway, it makes writes, syncs, allocations and creations below
 * one folder fail on command.
 *
 *   SEKISHO_FAULTFS_DIR      the folder (absolute); everything else is left alone
 *   SEKISHO_FAULTFS_CONTROL  a file that says what fails; no file: nothing fails. One line:
 *                            ERRNO OPERATIONS FIRST COUNT
 *                            ERRNO       ENOSPC, EIO or EDQUOT
 *                            OPERATIONS  any of w (write), s (sync), a (allocate), t (truncate), c (create)
 *                            FIRST       the n-th such call since the file appeared is the first to fail (1: at once)
 *                            COUNT       so many fail, then all is well again (0: all from there on)
 *   SEKISHO_FAULTFS_LOG      every failure is appended there
 *
 * A failing sync also loses what was written since the last good one (overwritten with zeros), as the kernel does when
 * it drops the dirty pages: whoever calls sync again and believes the second answer loses mail, and is found out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_RANGES 256

struct range { off_t at; size_t length; };
struct dirty { int used; int overflow; struct range ranges[MAX_RANGES]; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dirty *dirty[MAX_FD];
static ino_t control_inode;
static long calls;

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

#define REAL(type, name) static type actual; if (!actual) actual = (type)real(name)

static int below_path(const char *path) {
    const char *dir = getenv("SEKISHO_FAULTFS_DIR");
    size_t n = dir ? strlen(dir) : 0;
    return n && strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below_path(path);
}

static void note(const char *what, int fd, int error) {
    const char *log = getenv("SEKISHO_FAULTFS_LOG");
    if (!log) return;
    int saved = errno;
    FILE *out = fopen(log, "a");
    if (out) {
        fprintf(out, "%s fd=%d error=%d\n", what, fd, error);
        fclose(out);
    }
    errno = saved;
}

/* The errno with which this call shall fail, or 0. Called with the lock held. */
static int trouble(char operation) {
    const char *control = getenv("SEKISHO_FAULTFS_CONTROL");
    struct stat about;
    if (!control || stat(control, &about) != 0) {
        control_inode = 0;
        return 0;
    }
    FILE *in = fopen(control, "r");
    if (!in) return 0;
    char name[16] = "", operations[16] = "";
    long first = 1, count = 0;
    int fields = fscanf(in, "%15s %15s %ld %ld", name, operations, &first, &count);
    fclose(in);
    if (fields < 2 || !strchr(operations, operation)) return 0;
    if (about.st_ino != control_inode) {
        control_inode = about.st_ino;
        calls = 0;
    }
    calls += 1;
    if (calls < first || (count > 0 && calls >= first + count)) return 0;
    return strcmp(name, "ENOSPC") == 0 ? ENOSPC : strcmp(name, "EDQUOT") == 0 ? EDQUOT : EIO;
}

static int refuse(char operation, const char *what, int fd) {
    int saved = errno;
    pthread_mutex_lock(&lock);
    int error = trouble(operation);
    pthread_mutex_unlock(&lock);
    if (error) note(what, fd, error);
    errno = error ? error : saved;
    return error != 0;
}

static void remember(int fd, off_t at, ssize_t length) {
    if (length <= 0 || fd < 0 || fd >= MAX_FD) return;
    int saved = errno;
    pthread_mutex_lock(&lock);
    if (!dirty[fd]) dirty[fd] = calloc(1, sizeof *dirty[fd]);
    struct dirty *d = dirty[fd];
    if (d && d->used < MAX_RANGES) {
        d->ranges[d->used].at = at;
        d->ranges[d->used].length = (size_t)length;
        d->used += 1;
    } else if (d) {
        d->overflow = 1;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

/* Forgets (synced) or destroys (sync failed) what was written since the last sync. */
static void settle(int fd, int lost) {
    if (fd < 0 || fd >= MAX_FD) return;
    int saved = errno;
    typedef ssize_t (*fn)(int, const void *, size_t, off_t);
    REAL(fn, "pwrite64");
    pthread_mutex_lock(&lock);
    struct dirty *d = dirty[fd];
    if (d) {
        for (int i = 0; lost && i < d->used; i++) {
            char *zeros = calloc(1, d->ranges[i].length);
            if (zeros) {
                if (actual(fd, zeros, d->ranges[i].length, d->ranges[i].at) < 0) note("destroy failed", fd, errno);
                free(zeros);
            }
        }
        d->used = 0;
        d->overflow = 0;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static off_t position(int fd) {
    int saved = errno;
    off_t at = lseek(fd, 0, SEEK_CUR);
    errno = saved;
    return at;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    typedef ssize_t (*fn)(int, const void *, size_t);
    REAL(fn, "write");
    if (!below(fd)) return actual(fd, bytes, length);
    if (refuse('w', "write", fd)) return -1;
    ssize_t n = actual(fd, bytes, length);
    remember(fd, position(fd) - n, n);
    return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    typedef ssize_t (*fn)(int, const struct iovec *, int);
    REAL(fn, "writev");
    if (!below(fd)) return actual(fd, parts, count);
    if (refuse('w', "writev", fd)) return -1;
    ssize_t n = actual(fd, parts, count);
    remember(fd, position(fd) - n, n);
    return n;
}

#define PWRITE(name)                                                                   \
    ssize_t name(int fd, const void *bytes, size_t length, off_t at) {                 \
        typedef ssize_t (*fn)(int, const void *, size_t, off_t);                       \
        REAL(fn, #name);                                                               \
        if (!below(fd)) return actual(fd, bytes, length, at);                          \
        if (refuse('w', #name, fd)) return -1;                                         \
        ssize_t n = actual(fd, bytes, length, at);                                     \
        remember(fd, at, n);                                                           \
        return n;                                                                      \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                  \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at) {             \
        typedef ssize_t (*fn)(int, const struct iovec *, int, off_t);                  \
        REAL(fn, #name);                                                               \
        if (!below(fd)) return actual(fd, parts, count, at);                           \
        if (refuse('w', #name, fd)) return -1;                                         \
        ssize_t n = actual(fd, parts, count, at);                                      \
        remember(fd, at, n);                                                           \
        return n;                                                                      \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(name)                                                                 \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at, int flags) {  \
        typedef ssize_t (*fn)(int, const struct iovec *, int, off_t, int);             \
        REAL(fn, #name);                                                               \
        if (!below(fd)) return actual(fd, parts, count, at, flags);                    \
        if (refuse('w', #name, fd)) return -1;                                         \
        ssize_t n = actual(fd, parts, count, at, flags);                               \
        remember(fd, at, n);                                                           \
        return n;                                                                      \
    }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

#define SYNC(name)                                                                     \
    int name(int fd) {                                                                 \
        typedef int (*fn)(int);                                                        \
        REAL(fn, #name);                                                               \
        if (!below(fd)) return actual(fd);                                             \
        if (refuse('s', #name, fd)) {                                                  \
            int error = errno;                                                         \
            settle(fd, 1);                                                             \
            errno = error;                                                             \
            return -1;                                                                 \
        }                                                                              \
        int answer = actual(fd);                                                       \
        if (answer == 0) settle(fd, 0);                                                \
        return answer;                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)

#define FALLOCATE(name)                                                                \
    int name(int fd, int mode, off_t at, off_t length) {                               \
        typedef int (*fn)(int, int, off_t, off_t);                                     \
        REAL(fn, #name);                                                               \
        if (below(fd) && refuse('a', #name, fd)) return -1;                            \
        return actual(fd, mode, at, length);                                           \
    }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define POSIX_FALLOCATE(name)                                                          \
    int name(int fd, off_t at, off_t length) {                                         \
        typedef int (*fn)(int, off_t, off_t);                                          \
        REAL(fn, #name);                                                               \
        if (below(fd) && refuse('a', #name, fd)) return errno;                         \
        return actual(fd, at, length);                                                 \
    }
POSIX_FALLOCATE(posix_fallocate)
POSIX_FALLOCATE(posix_fallocate64)

#define FTRUNCATE(name)                                                                \
    int name(int fd, off_t length) {                                                   \
        typedef int (*fn)(int, off_t);                                                 \
        REAL(fn, #name);                                                               \
        if (below(fd) && refuse('t', #name, fd)) return -1;                            \
        return actual(fd, length);                                                     \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

static mode_t mode_of(int flags, va_list list) {
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(list, int) : 0;
}

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        typedef int (*fn)(const char *, int, ...);                                     \
        REAL(fn, #name);                                                               \
        va_list list;                                                                  \
        va_start(list, flags);                                                         \
        mode_t mode = mode_of(flags, list);                                            \
        va_end(list);                                                                  \
        if ((flags & O_CREAT) && below_path(path) && refuse('c', #name, -1)) return -1;\
        int fd = actual(path, flags, mode);                                            \
        if (fd >= 0) settle(fd, 0);                                                    \
        return fd;                                                                     \
    }
OPEN(open)
OPEN(open64)

/* A relative path counts if its folder is below ours. */
#define OPENAT(name)                                                                   \
    int name(int folder, const char *path, int flags, ...) {                           \
        typedef int (*fn)(int, const char *, int, ...);                                \
        REAL(fn, #name);                                                               \
        va_list list;                                                                  \
        va_start(list, flags);                                                         \
        mode_t mode = mode_of(flags, list);                                            \
        va_end(list);                                                                  \
        int ours = path[0] == '/' ? below_path(path) : folder >= 0 && below(folder);   \
        if ((flags & O_CREAT) && ours && refuse('c', #name, -1)) return -1;            \
        int fd = actual(folder, path, flags, mode);                                    \
        if (fd >= 0) settle(fd, 0);                                                    \
        return fd;                                                                     \
    }
OPENAT(openat)
OPENAT(openat64)
