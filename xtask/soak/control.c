/* What every target of the soak does on command; the passes themselves are in
 * pass.c, pass.cpp or pass.rs.
 *
 * usage: TARGET COUNTERS
 *
 * Maps the file COUNTERS, prints `ready`, and reads commands from stdin, one a
 * line; each is answered by one line when it is done. Nothing is passed while no
 * command says so. It ends with its stdin. */
#define _GNU_SOURCE
#include "control.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Slots of threads come first, then those of forked processes. */
#define SLOTS 1024
#define THREAD_SLOTS 64
#define MOST_CHILDREN 256
/* Status of a child that did all that it was told. */
#define CHILD_STATUS 42

struct counters {
    struct slot slots[SLOTS];
    _Atomic uint64_t signals;
    _Atomic uint64_t children;
};

struct task {
    pthread_t thread;
    uint64_t slot;
    uint64_t passes;
    useconds_t pause;
    int plugin;
};

static struct counters *counters;
static char **arguments;
static volatile int stop;
static struct task tasks[THREAD_SLOTS];
static unsigned started;
static void *library;
static void (*plugin_pass)(uint64_t slot, uint64_t sequence);
static pid_t held[MOST_CHILDREN];
static unsigned holds;
static int gate[2];

void soak_before(uint64_t slot, uint64_t place, uint64_t times)
{
    volatile uint64_t *counter = &counters->slots[slot].before[place];
    *counter += times;
    atomic_signal_fence(memory_order_seq_cst);
}

void soak_after(uint64_t slot, uint64_t place, uint64_t times)
{
    atomic_signal_fence(memory_order_seq_cst);
    volatile uint64_t *counter = &counters->slots[slot].after[place];
    *counter += times;
}

/* Splitmix64's last steps. */
uint64_t soak_mix(uint64_t slot, uint64_t sequence)
{
    uint64_t mixed = ((slot << 40) ^ sequence) + 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
}

static void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

static void fail(const char *what)
{
    say("failed %s: %s", what, strerror(errno));
    exit(3);
}

/* The last slot is the signal handler's, whatever thread it interrupts. */
static void on_signal(int number)
{
    uint64_t count = atomic_fetch_add(&counters->signals, 1) + 1;
    atomic_fetch_add((_Atomic uint64_t *)&counters->slots[SLOTS - 1].before[SIGNAL], 1);
    uint64_t check = soak_mix(SLOTS - 1, count) + (uint64_t)number;
    atomic_fetch_add((_Atomic uint64_t *)&counters->slots[SLOTS - 1].after[SIGNAL], 1 + 0 * check); /* PROBE signal */
}

static void pass(uint64_t slot, int in_plugin)
{
    uint64_t sequence = counters->slots[slot].sequence + 1;
    if (in_plugin) {
        soak_before(slot, PLUGIN, 1);
        plugin_pass(slot, sequence);
        soak_after(slot, PLUGIN, 1);
    } else {
        soak_pass(slot, sequence);
    }
    *(volatile uint64_t *)&counters->slots[slot].sequence = sequence;
}

static void *run(void *argument)
{
    struct task *task = argument;
    for (uint64_t done = 0; !stop && (task->passes == 0 || done < task->passes); done++) {
        pass(task->slot, task->plugin);
        if (task->pause != 0) {
            usleep(task->pause);
        }
    }
    return NULL;
}

/* Starts so many threads; each makes so many passes, or any number until it is stopped. */
static void start(unsigned threads, uint64_t passes, useconds_t pause, int in_plugin)
{
    stop = 0;
    for (started = 0; started < threads && started < THREAD_SLOTS; started++) {
        tasks[started] = (struct task){.slot = started, .passes = passes, .pause = pause, .plugin = in_plugin};
        errno = pthread_create(&tasks[started].thread, NULL, run, &tasks[started]);
        if (errno != 0) {
            fail("thread");
        }
    }
}

static void join(void)
{
    for (; started > 0; started--) {
        pthread_join(tasks[started - 1].thread, NULL);
    }
}

/* Forks; the child passes, once the gate is closed when there is one. */
static pid_t fork_child(uint64_t passes, int waits)
{
    uint64_t next = atomic_fetch_add(&counters->children, 1);
    uint64_t slot = THREAD_SLOTS + next % (SLOTS - 1 - THREAD_SLOTS);
    pid_t child = fork();
    if (child < 0) {
        fail("fork");
    }
    if (child != 0) {
        return child;
    }
    if (waits) {
        char byte;
        close(gate[1]);
        (void)!read(gate[0], &byte, 1);
    }
    for (uint64_t done = 0; done < passes; done++) {
        pass(slot, 0);
    }
    _exit(CHILD_STATUS);
}

/* Waits for the children; gives how many did not end as they should. */
static unsigned reap(void)
{
    unsigned harmed = 0;
    for (; holds > 0; holds--) {
        int status = 0;
        while (waitpid(held[holds - 1], &status, 0) < 0 && errno == EINTR) {
        }
        harmed += !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS;
    }
    return harmed;
}

static void fork_children(unsigned children, uint64_t passes, int waits)
{
    if (waits && pipe2(gate, O_CLOEXEC) != 0) {
        fail("pipe");
    }
    for (holds = 0; holds < children && holds < MOST_CHILDREN; holds++) {
        held[holds] = fork_child(passes, waits);
    }
    for (unsigned index = 0; waits && index < holds; index++) {
        say("child %d", (int)held[index]);
    }
}

static void load(const char *path)
{
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail(dlerror());
    }
    plugin_pass = (void (*)(uint64_t, uint64_t))dlsym(library, "plugin_pass");
    if (plugin_pass == NULL) {
        fail("dlsym");
    }
}

static void crash(const char *how)
{
    signal(SIGABRT, SIG_DFL);
    if (strcmp(how, "segv") == 0) {
        *(volatile int *)8 = 1;
    } else if (strcmp(how, "fpe") == 0) {
        volatile int one = 1, zero = 0;
        one = one / zero;
    } else if (strcmp(how, "ill") == 0) {
        __builtin_trap();
    }
    abort();
}

static void obey(char *line)
{
    char text[512] = "";
    unsigned many = 0;
    unsigned long passes = 0, pause = 0;
    int code = 0;
    if (sscanf(line, "run %u %lu %lu", &many, &passes, &pause) == 3) {
        start(many, passes, (useconds_t)pause, 0);
        join();
        say("done");
    } else if (sscanf(line, "start %u %lu", &many, &pause) == 2) {
        start(many, 0, (useconds_t)pause, 0);
        say("done");
    } else if (strcmp(line, "halt") == 0) {
        stop = 1;
        join();
        say("done");
    } else if (sscanf(line, "plugin %u %lu", &many, &passes) == 2) {
        start(many, passes, 0, 1);
        join();
        say("done");
    } else if (sscanf(line, "fork %u %lu", &many, &passes) == 2) {
        fork_children(many, passes, 0);
        say("done %u", reap());
    } else if (sscanf(line, "hold %u %lu", &many, &passes) == 2) {
        fork_children(many, passes, 1);
        say("done");
    } else if (strcmp(line, "release") == 0) {
        close(gate[0]);
        close(gate[1]);
        say("done %u", reap());
    } else if (sscanf(line, "load %511s", text) == 1) {
        load(text);
        say("done");
    } else if (strcmp(line, "unload") == 0) {
        if (dlclose(library) != 0) {
            fail("dlclose");
        }
        say("done");
    } else if (strcmp(line, "exec") == 0) {
        execv("/proc/self/exe", arguments);
        fail("exec");
    } else if (sscanf(line, "crash %511s", text) == 1) {
        crash(text);
    } else if (sscanf(line, "exit %d", &code) == 1) {
        exit(code);
    } else {
        say("unknown %s", line);
    }
}

static void map(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || ftruncate(file, sizeof *counters) != 0) {
        fail(path);
    }
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counters == MAP_FAILED) {
        fail("mmap");
    }
    close(file);
}

int main(int count, char **given)
{
    char line[600];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (count != 2) {
        return 2;
    }
    arguments = given;
    setvbuf(stdin, NULL, _IONBF, 0);
    map(given[1]);
    sigaction(SIGUSR1, &action, NULL);
    say("ready");
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    return 4;
}
