/* A worker of many: passes ten lines, at once or when its input ends.
 *
 * usage: worker [once]
 *
 * With `once` it passes the lines and ends. Otherwise it prints `ready`, waits until its input ends,
 * and passes them then. */
#include <stdio.h>

static volatile long sink;

__attribute__((noipa)) static void work(long value)
{
    sink = value + 1; /* PROBE line_1 */
    sink = value + 2; /* PROBE line_2 */
    sink = value + 3; /* PROBE line_3 */
    sink = value + 4; /* PROBE line_4 */
    sink = value + 5; /* PROBE line_5 */
    sink = value + 6; /* PROBE line_6 */
    sink = value + 7; /* PROBE line_7 */
    sink = value + 8; /* PROBE line_8 */
    sink = value + 9; /* PROBE line_9 */
    sink = value + 10; /* PROBE line_10 */
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {
        }
    }
    work(argc);
    return 0;
}
