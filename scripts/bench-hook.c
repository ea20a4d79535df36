/* Starts two programs in turn and prints what each start cost: the measuring part of bench-hook.sh.
 *
 *   bench-hook RUNS PAYLOAD [-a FILE CHUNK] -- PROGRAM ARG... -- PROGRAM ARG...
 *
 * Each start gets PAYLOAD on stdin; {{N}} in it is replaced by a number that no other start has. With -a, CHUNK
 * (with the same replacement) is appended to FILE before each pair. Every pair is a line: for both programs wall
 * time and CPU time in ms, largest resident size in KB, minor page faults, exit status. It is C because a child
 * that is started from a large process (Python) counts that one's size as its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static long serial;

typedef struct {
  char *bytes;
  size_t length;
} Text;

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static Text read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  fseek(file, 0, SEEK_END);
  Text text = {NULL, (size_t)ftell(file)};
  rewind(file);
  text.bytes = malloc(text.length + 1);
  if (fread(text.bytes, 1, text.length, file) != text.length) fail(path);
  fclose(file);
  return text;
}

static void put(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0) fail("write");
    bytes += written;
    length -= (size_t)written;
  }
}

/* Writes the text with every {{N}} replaced. */
static void put_numbered(int fd, Text text, long number) {
  char digits[48];
  int count = snprintf(digits, sizeof digits, "%d_%ld", getpid(), number);
  const char *at = text.bytes, *end = text.bytes + text.length, *mark;
  while ((mark = memmem(at, (size_t)(end - at), "{{N}}", 5))) {
    put(fd, at, (size_t)(mark - at));
    put(fd, digits, (size_t)count);
    at = mark + 5;
  }
  put(fd, at, (size_t)(end - at));
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double ms(struct timeval time) { return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3; }

static void start_once(char **program, Text payload) {
  int in = memfd_create("payload", 0);
  put_numbered(in, payload, ++serial);
  lseek(in, 0, SEEK_SET);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child;
  int status;
  struct rusage usage;
  double start = now_ms();
  if (posix_spawn(&child, program[0], &actions, NULL, program, environ)) fail(program[0]);
  wait4(child, &status, 0, &usage);
  double wall = now_ms() - start;
  posix_spawn_file_actions_destroy(&actions);
  close(in);
  printf("%.4f %.4f %ld %ld %d ", wall, ms(usage.ru_utime) + ms(usage.ru_stime), usage.ru_maxrss, usage.ru_minflt,
         status);
}

int main(int count, char **args) {
  if (count < 6) return fprintf(stderr, "see the head of bench-hook.c\n"), 2;
  int runs = atoi(args[1]), at = 3;
  Text payload = read_text(args[2]), chunk = {NULL, 0};
  int grown = -1;
  if (!strcmp(args[at], "-a")) {
    grown = open(args[at + 1], O_WRONLY | O_APPEND);
    if (grown < 0) fail(args[at + 1]);
    chunk = read_text(args[at + 2]);
    at += 3;
  }
  char **first = args + at + 1, **second = first;
  while (*second && strcmp(*second, "--")) second++;
  if (!*second) return fprintf(stderr, "two programs, each after --\n"), 2;
  *second++ = NULL;
  /* The first pairs warm the caches up. */
  for (int run = -5; run < runs; run++) {
    if (grown >= 0) put_numbered(grown, chunk, ++serial);
    if (run == 0) fflush(stdout), printf("--\n");
    start_once(first, payload);
    start_once(second, payload);
    printf("\n");
  }
  return 0;
}
