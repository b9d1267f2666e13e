/* Writes to a static again and again.
 *
 * usage: PROGRAM
 *
 * Prints `ready ADDRESS`, where ADDRESS is that of the static in decimal. After each line `write N` it writes N times
 * and prints `done NS`, the time of one write. */
#include <stdio.h>
#include <time.h>

static volatile long written;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(void)
{
    char line[64];
    printf("ready %lu\n", (unsigned long)&written);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        long count;
        if (sscanf(line, "write %ld", &count) != 1 || count <= 0)
            return 2;
        double before = now();
        for (long i = 0; i < count; i++)
            written = i;
        printf("done %f\n", (now() - before) / count);
        fflush(stdout);
    }
    return 0;
}
