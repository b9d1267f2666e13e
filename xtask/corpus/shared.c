/* The shared library of types.c. */
struct point {
    short x, y;
};

_Thread_local int shared_thread_local = 50;
static _Thread_local long private_thread_local = -9;
int shared_global = 3;
static int calls[2] = {1, 2};

int shared_call(int argument, const struct point *point) {
    int local = argument + point->x;
    calls[1] += local;
    private_thread_local += shared_thread_local;
    shared_global += calls[0];
    return local + calls[1] + (int)private_thread_local;
}
