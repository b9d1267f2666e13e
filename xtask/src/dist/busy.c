#include <stdio.h>
#include <unistd.h>

static volatile int last;

__attribute__((noinline)) static void tick(int n, const char *name) {
    last = n; /* here */
    printf("%s %d\n", name, n);
}

int main(void) {
    for (int n = 1;; n++) {
        tick(n, "worker");
        usleep(20000);
    }
}
