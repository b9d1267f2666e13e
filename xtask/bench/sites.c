/* Lines that are in the code once, a hundred and a thousand times: functions that the compiler
 * must inline at every call.
 *
 * Prints `ready` and waits until its input ends. */
#include <stdio.h>

#define TEN(call) call call call call call call call call call call

static volatile long sink;

static inline __attribute__((always_inline)) void one(long value)
{
    sink = value + 1; /* PROBE sites_1 */
}

static inline __attribute__((always_inline)) void hundred(long value)
{
    sink = value + 2; /* PROBE sites_100 */
}

static inline __attribute__((always_inline)) void thousand(long value)
{
    sink = value + 3; /* PROBE sites_1000 */
}

__attribute__((noipa)) static void all(long value)
{
    one(value);
    TEN(TEN(hundred(value);))
    TEN(TEN(TEN(thousand(value);)))
}

int main(int argc, char **argv)
{
    (void)argv;
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    all(argc);
    return 0;
}
