/* Stands before a program of its own name on PATH, and tells a gate of every call.

   It must not change what the caller sees. So the program gets the same arguments, environment,
   folder, files, limits and signal mask; signals are handed on; SIGKILL for one ends both; and the
   shim ends as the program did, by exit code or signal. It is small and static because it is put
   into pods of any kind and starts before each git: about a millisecond, a few KiB. C, and not Go:
   callers cap the address space of git, and Go's runtime alone takes more than that.

   Beside the shim lies the file `gate`, two lines: the gate's HOST:PORT and, or empty, the HOST:PORT
   of a proxy that stands in front of the API server. The second is for `backstay` in pods only.

   What goes over the wire (tests/rig/gate/server.py is the other end): a frame is its length in
   decimal, a newline, and fields that end with a zero byte. The gate answers a frame with one
   newline; until then the shim waits. If the gate can't be reached or goes away, it goes on. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLACE = 128, CONNECT_MS = 2000, LIMIT_ROUNDS = 40 };
static const struct timespec EVERY = {0, 50 * 1000 * 1000}, A_MOMENT = {0, 3 * 1000 * 1000};

static char *frame;
static size_t used, room;

static void put(const char *bytes, size_t size) {
  if (used + size + 1 > room) {
    room = 2 * (used + size + 1);
    frame = realloc(frame, room);
    if (frame == NULL) _exit(126);
  }
  memcpy(frame + used, bytes, size);
  used += size;
  frame[used++] = 0;
}

static void put_text(const char *text) { put(text, strlen(text)); }

static void put_number(long number) {
  char text[32];
  put(text, (size_t)snprintf(text, sizeof text, "%ld", number));
}

static int send_all(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    bytes += sent;
    size -= (size_t)sent;
  }
  return 0;
}

/* Sends what was put, and waits for the answer; -1 when the gate is gone. */
static int tell(int fd) {
  char head[32], answer;
  if (fd < 0) return -1;
  int size = snprintf(head, sizeof head, "%zu\n", used);
  if (send_all(fd, head, (size_t)size) || send_all(fd, frame, used)) return -1;
  used = 0;
  ssize_t got;
  do got = recv(fd, &answer, 1, 0);
  while (got < 0 && errno == EINTR);
  return got == 1 ? 0 : -1;
}

static int dial(char *place) {
  char *colon = strrchr(place, ':');
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (colon == NULL) return -1;
  *colon = 0;
  to.sin_port = htons((unsigned short)atoi(colon + 1));
  if (inet_pton(AF_INET, place, &to.sin_addr) != 1) return -1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  struct pollfd ready = {fd, POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    if (errno != EINPROGRESS || poll(&ready, 1, CONNECT_MS) != 1 ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      close(fd);
      return -1;
    }
  }
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(fd, F_SETFL, 0);
  return fd;
}

static void read_places(const char *self, char gate[PLACE], char api[PLACE]) {
  char path[PATH_MAX + 8];
  const char *slash = strrchr(self, '/');
  snprintf(path, sizeof path, "%.*s/gate", (int)(slash - self), self);
  gate[0] = api[0] = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  if (fgets(gate, PLACE, file) != NULL && fgets(api, PLACE, file) == NULL) api[0] = 0;
  fclose(file);
  gate[strcspn(gate, "\n")] = api[strcspn(api, "\n")] = 0;
}

static void use_proxy(char *api) {
  char *colon = strrchr(api, ':');
  if (colon == NULL || getenv("KUBERNETES_SERVICE_HOST") == NULL) return;
  *colon = 0;
  setenv("KUBERNETES_SERVICE_HOST", api, 1);
  setenv("KUBERNETES_SERVICE_PORT", colon + 1, 1);
  setenv("KUBERNETES_SERVICE_PORT_HTTPS", colon + 1, 1);
}

/* The first program of this name on PATH that is not this very file. */
static int find(const char *name, const char *self, char found[PATH_MAX]) {
  struct stat own, other;
  const char *path = getenv("PATH");
  if (stat(self, &own) != 0) return -1;
  for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
    size_t size = strcspn(at, ":");
    snprintf(found, PATH_MAX, "%.*s/%s", (int)size, at, name);
    if (size && access(found, X_OK) == 0 && stat(found, &other) == 0 && S_ISREG(other.st_mode) &&
        (other.st_ino != own.st_ino || other.st_dev != own.st_dev))
      return 0;
    at += size + (at[size] == ':');
  }
  return -1;
}

static void put_parent(void) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/cmdline", getppid());
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  while (size > 0 && text[size - 1] == 0) size--;
  for (ssize_t i = 0; i < size; i++)
    if (text[i] == 0) text[i] = ' ';
  put(text, size > 0 ? (size_t)size : 0);
}

static void put_call(const char *name, char **argv) {
  char text[PATH_MAX];
  extern char **environ;
  put_text("start");
  put_text(name);
  put_number(getpid());
  put_text(gethostname(text, sizeof text) == 0 ? text : "");
  put_text(getcwd(text, sizeof text) != NULL ? text : "");
  put_parent();
  long words = 0;
  while (argv[words] != NULL) words++;
  put_number(words);
  for (char **word = argv; *word != NULL; word++) put_text(*word);
  for (char **pair = environ; *pair != NULL; pair++) put(*pair, strcspn(*pair, "="));
}

/* A caller may set limits on us just after our start; they are meant for the program. */
static void copy_limits(pid_t child) {
  static const int kinds[] = {RLIMIT_FSIZE, RLIMIT_AS};
  for (int i = 0; i < 2; i++) {
    struct rlimit own, its;
    if (getrlimit(kinds[i], &own) == 0 && prlimit(child, kinds[i], NULL, &its) == 0 &&
        (own.rlim_cur < its.rlim_cur || own.rlim_max < its.rlim_max))
      prlimit(child, kinds[i], &own, NULL);
  }
}

/* A process in our group that takes no signal: one that is pending for it was sent to the group. */
static pid_t make_witness(void) {
  pid_t own = getpid(), witness = own == 1 ? 0 : fork(); /* to process 1 each is sent alone */
  if (witness != 0) return witness;
  if (own == 1) return 0;
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  syscall(SYS_close_range, 0, ~0U, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != own) _exit(0);
  for (;;) pause();
}

/* Whether a signal that we just got went to the whole group, the program included. */
static int was_for_all(pid_t *witness, int number) {
  char path[64], line[256];
  unsigned long long pending = 0;
  if (*witness <= 0) return 0;
  nanosleep(&A_MOMENT, NULL); /* the sender is still at it */
  snprintf(path, sizeof path, "/proc/%d/status", *witness);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) && sscanf(line, "ShdPnd: %llx", &pending) != 1) continue;
  fclose(file);
  if ((pending >> (number - 1) & 1) == 0) return 0;
  kill(*witness, SIGKILL);
  *witness = make_witness();
  return 1;
}

/* Waits for the program, handing on what it is sent; returns its status. */
static int attend(pid_t child, pid_t witness, const sigset_t *taken) {
  for (int round = 0;; round++) {
    int status, number;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) /* as process 1, also of orphans */
      if (ended == child) return status;
    if (round < LIMIT_ROUNDS) {
      copy_limits(child);
      number = sigtimedwait(taken, NULL, &EVERY);
    } else {
      number = sigwaitinfo(taken, NULL);
    }
    if (number > 0 && number != SIGCHLD && !was_for_all(&witness, number)) kill(child, number);
  }
}

static void let_go_of_files(int gate) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
  if (gate > 3) syscall(SYS_close_range, 3, gate - 1, 0);
  syscall(SYS_close_range, gate < 3 ? 3 : gate + 1, ~0U, 0);
}

static int end_as(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  int number = WTERMSIG(status);
  struct rlimit none = {0, 0};
  sigset_t one;
  setrlimit(RLIMIT_CORE, &none);
  signal(number, SIG_DFL);
  sigemptyset(&one);
  sigaddset(&one, number);
  if (getpid() != 1) {
    kill(getpid(), number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
  }
  return 128 + number;
}

int main(int argc, char **argv) {
  static const int handed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM,
                                  SIGCONT, SIGWINCH, SIGIO, SIGPWR, SIGCHLD};
  char self[PATH_MAX], real[PATH_MAX], gate_at[PLACE], api[PLACE];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  if (size < 0 || argc < 1) return 127;
  self[size] = 0;
  const char *name = strrchr(self, '/') + 1;
  if (find(name, self, real) != 0) {
    fprintf(stderr, "shim: no other %s on PATH\n", name);
    return 127;
  }
  read_places(self, gate_at, api);
  put_call(name, argv);
  int gate = gate_at[0] ? dial(gate_at) : -1;
  if (tell(gate) != 0 && gate >= 0) {
    close(gate);
    gate = -1;
  }
  if (strcmp(name, "backstay") == 0 && api[0]) use_proxy(api);

  sigset_t taken, before;
  sigemptyset(&taken);
  for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++) sigaddset(&taken, handed_on[i]);
  sigprocmask(SIG_BLOCK, &taken, &before);
  pid_t own = getpid(), child = fork();
  if (child < 0) {
    perror("shim: fork");
    return 126;
  }
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != own) _exit(126);
    sigprocmask(SIG_SETMASK, &before, NULL);
    execv(real, argv);
    fprintf(stderr, "shim: %s: %s\n", real, strerror(errno));
    _exit(126);
  }
  pid_t witness = make_witness();
  let_go_of_files(gate);
  int status = attend(child, witness, &taken);
  used = 0;
  put_text("exit");
  put_number(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
  tell(gate);
  return end_as(status);
}
