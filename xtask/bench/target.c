/* The target of `cargo xtask bench`: calls a probed function in a loop and says
 * what a call took, seen from inside.
 *
 * Prints `ready ONE_TRAP TWO_TRAP`, the two functions' addresses, and then does
 * what each line on its input says:
 *
 *   run SITE PACE THREADS MILLISECONDS
 *
 * SITE is `one_trap` or `two_trap`, PACE `tight` or thousands of calls a second, such as `4k` (bursts
 * of 40 calls, each 10 ms; only the time in the bursts counts). The answer is `done HITS NS`: all calls made, and the median
 * over short stretches of calls of the time that one call took. The median keeps out what other
 * programs on the machine do; thread N stays on CPU N.
 *
 * Each probed line begins with the function's first instruction, and is that
 * one instruction; what follows is as dear, so that no cheaper place is near. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 16
#define MAX_STRETCHES 100000
#define STRETCH 64
#define BURST_NS 10000000L
#define BURSTS_EACH_SECOND 100

struct request {
    int id;
    unsigned short port;
    double weight;
    char method[8];
    const char *path;
};

typedef int probed(int left, int right, const struct request *request);

/* The kernel emulates a `nop` in the breakpoint's own trap. */
__attribute__((noipa)) int one_trap(int left, int right, const struct request *request)
{
    __asm__ volatile("nop"); /* PROBE one_trap */
    return left + right + request->id;
}

/* It steps over a `mov` out of line: a second trap. */
__attribute__((noipa)) int two_trap(int left, int right, const struct request *request)
{
    __asm__ volatile("mov %%ecx, %%ecx" ::: "rcx"); /* PROBE two_trap */
    return left + right + request->id;
}

struct thread {
    pthread_t handle;
    int cpu;
    probed *function;
    long burst;
    long milliseconds;
    long hits;
    long stretches;
    double *ns;
};

static double all_ns[MAX_THREADS * MAX_STRETCHES];
static volatile long sum;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *hit(void *argument)
{
    struct thread *thread = argument;
    struct request request = {7, 8080, 0.5, "GET", "/index.html"};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(thread->cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    long calls = thread->burst ? thread->burst : STRETCH;
    long long next = now();
    long long end = next + thread->milliseconds * 1000000LL;
    for (long long from = next; from < end; from = now()) {
        for (long call = 0; call < calls; call++) {
            sum += thread->function((int)call, (int)thread->hits, &request);
        }
        long long took = now() - from;
        thread->hits += calls;
        if (thread->stretches < MAX_STRETCHES) {
            thread->ns[thread->stretches++] = (double)took / (double)calls;
        }
        if (thread->burst) {
            /* At its own pace, however long the burst took. Lost time is not made good. */
            next = next + BURST_NS > now() ? next + BURST_NS : now();
            struct timespec wake = {next / 1000000000LL, next % 1000000000LL};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
        }
    }
    return NULL;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void run(probed *function, long burst, int threads, long milliseconds)
{
    static struct thread started[MAX_THREADS];
    long hits = 0, stretches = 0;
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < threads; i++) {
        started[i] = (struct thread){
            .cpu = i % cpus,
            .function = function,
            .burst = burst,
            .milliseconds = milliseconds,
            .ns = all_ns + (long)i * MAX_STRETCHES,
        };
        pthread_create(&started[i].handle, NULL, hit, &started[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(started[i].handle, NULL);
        hits += started[i].hits;
        memmove(all_ns + stretches, started[i].ns, (size_t)started[i].stretches * sizeof *all_ns);
        stretches += started[i].stretches;
    }
    qsort(all_ns, (size_t)stretches, sizeof *all_ns, by_value);
    printf("done %ld %.2f\n", hits, stretches > 0 ? all_ns[stretches / 2] : 0.0);
}

int main(void)
{
    char site[16], pace[16];
    int threads;
    long milliseconds;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready %p %p\n", (void *)one_trap, (void *)two_trap);
    while (scanf(" run %15s %15s %d %ld", site, pace, &threads, &milliseconds) == 4) {
        if (threads < 1 || threads > MAX_THREADS) {
            return 2;
        }
        run(strcmp(site, "one_trap") == 0 ? one_trap : two_trap,
            strtol(pace, NULL, 10) * 1000 / BURSTS_EACH_SECOND, threads, milliseconds);
    }
    return 0;
}
