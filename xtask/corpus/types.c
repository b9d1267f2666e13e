/* Types and places of C. Waits for a line on stdin, runs once, and exits. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define KEEP(x) __asm__ volatile("" : : "g"(&(x)) : "memory")
#define NOINLINE __attribute__((noinline))

enum color { RED, GREEN = 5, BLUE };
enum access { READ = 1, WRITE = 2, EXECUTE = 4 };
enum minus { BELOW = -2, ABOVE = 7 };

struct point {
    short x, y;
};

struct bits {
    unsigned a : 3;
    int b : 5;
    unsigned long long c : 40;
    bool d : 1;
    enum color e : 4;
    unsigned char f;
    signed char g : 2;
};

struct anonymous {
    int kind;
    union {
        struct {
            int left, right;
        };
        double real;
    };
    struct {
        char letter;
        short number;
    } inner;
};

union number {
    int i;
    float f;
    unsigned char bytes[4];
};

struct flexible {
    int count;
    int items[];
};

struct zero {
    int count;
    int items[0];
};

struct node {
    int value;
    struct node *next;
    struct node *previous;
};

struct __attribute__((packed)) packed {
    char c;
    int i;
    double d;
};

struct handler {
    const char *name;
    int (*call)(int, void *);
    void *context;
};

typedef struct point point_t;
typedef int matrix_t[2][3];
typedef unsigned char byte;
struct incomplete;

int global_int = 42;
static struct point global_point = {3, -4};
const char *global_text = "global";
static const int constant = 17;
int global_array[4] = {9, 8, 7, 6};
_Thread_local int thread_local_int = 5;
static _Thread_local struct point thread_local_point = {1, 2};
extern _Thread_local int shared_thread_local;
extern int shared_global;
int shared_call(int, const struct point *);

static int twice(int n, void *context) {
    (void)context;
    return 2 * n;
}

NOINLINE static int integers(char c, signed char sc, unsigned char uc, short s, int i, long l, long long ll) {
    unsigned short us = 65535;
    unsigned ui = 4000000000u;
    unsigned long ul = 1ul << 63;
    bool yes = true, no = false;
    float f = 0.1f;
    double d = -2.5e10;
    long double ld = 1.25L;
    __int128 wide = (__int128)1 << 100;
    unsigned __int128 uwide = ~(unsigned __int128)5;
    wchar_t wide_char = L'\u00e9';
    void *nothing = NULL;
    void *somewhere = &global_int;
    byte b = 200;
    size_t size = sizeof(struct node);
    KEEP(us); KEEP(ui); KEEP(ul); KEEP(yes); KEEP(no); KEEP(f); KEEP(d); KEEP(ld);
    KEEP(wide); KEEP(uwide); KEEP(wide_char); KEEP(nothing); KEEP(somewhere); KEEP(b); KEEP(size);
    return c + sc + uc + s + i + (int)l + (int)ll;
}

NOINLINE static int structures(struct point p, struct bits bits, point_t *pointer, struct incomplete *opaque) {
    struct anonymous anonymous = {.kind = 1, .left = 2, .right = 3, .inner = {'z', 9}};
    union number number = {.f = 1.0f};
    struct packed packed = {'p', 77, 0.5};
    struct handler handler = {"handler", twice, &global_point};
    int (*function)(int, void *) = twice;
    enum color color = BLUE;
    enum color odd = (enum color)9;
    enum access access = READ | EXECUTE;
    enum minus minus = BELOW;
    struct node tail = {2, NULL, NULL};
    struct node head = {1, &tail, NULL};
    struct node *list = &head;
    struct { int unnamed; } local = {4};
    const volatile int qualified = 11;
    tail.previous = &head;
    KEEP(anonymous); KEEP(number); KEEP(packed); KEEP(handler); KEEP(function); KEEP(color); KEEP(odd);
    KEEP(access); KEEP(minus); KEEP(head); KEEP(list); KEEP(local); KEEP(qualified); KEEP(opaque);
    return p.x + p.y + (int)bits.a + bits.b + pointer->x + function(3, NULL);
}

NOINLINE static int arrays(const char *text, int count, int argv[], double factors[2][2]) {
    int numbers[5] = {1, 2, 3, 4, 5};
    matrix_t matrix = {{1, 2, 3}, {4, 5, 6}};
    char buffer[16] = "buffer";
    char full[4] = {'f', 'u', 'l', 'l'};
    unsigned char raw[4] = {0, 1, 254, 255};
    const char *names[3] = {"one", NULL, "three"};
    struct point points[2] = {{1, 2}, {3, 4}};
    int variable[count];
    char text_copy[count + 2];
    int table[count][2];
    struct flexible *flexible = malloc(sizeof *flexible + 2 * sizeof(int));
    char *empty = "";
    char **list = (char **)names;
    int (*row)[3] = &matrix[1];
    int big[200];
    for (int i = 0; i < count; i++) {
        variable[i] = i * i;
        table[i][0] = i;
        table[i][1] = -i;
    }
    for (unsigned i = 0; i < sizeof big / sizeof *big; i++)
        big[i] = (int)i;
    memset(text_copy, 0, sizeof text_copy);
    strncpy(text_copy, text, (size_t)count);
    flexible->count = 2;
    flexible->items[0] = 1;
    flexible->items[1] = 2;
    KEEP(numbers); KEEP(matrix); KEEP(buffer); KEEP(full); KEEP(raw); KEEP(names); KEEP(points);
    KEEP(variable); KEEP(text_copy); KEEP(table); KEEP(flexible); KEEP(empty); KEEP(list); KEEP(row); KEEP(big);
    int sum = numbers[2] + matrix[1][1] + variable[1] + argv[0] + (int)factors[1][1];
    free(flexible);
    return sum;
}

NOINLINE static long loop(const int *values, int count, int limit) {
    long sum = 0;
    int skipped = 0;
    for (int i = 0; i < count; i++) {
        int value = values[i];
        int scaled = value * 3 + i;
        if (scaled > limit) {
            skipped++;
            continue;
        }
        sum += scaled;
        KEEP(sum);
    }
    return sum - skipped;
}

static inline int clamp(int value, int low, int high) {
    int result = value < low ? low : value;
    if (result > high)
        result = high;
    return result;
}

NOINLINE static int inlined(int a, int b) {
    int first = clamp(a, 0, 10);
    int second = clamp(b * first, -5, 50);
    int total = first + second;
    KEEP(total);
    return total;
}

NOINLINE static int pieces(struct point by_value, struct { int a; long b; } *unused, long wide) {
    struct point moved = {(short)(by_value.x + 1), (short)(by_value.y + wide)};
    struct point other = moved;
    (void)unused;
    if (other.x > 100)
        other.y = 0;
    return moved.x * other.y;
}

NOINLINE static int switches(enum color color, int number) {
    int result;
    switch (color) {
    case RED:
        result = number;
        break;
    case GREEN: {
        int square = number * number;
        result = square + 1;
        break;
    }
    default:
        result = -1;
    }
    KEEP(result);
    return result;
}

NOINLINE static int recursive(int depth, struct node *parent) {
    struct node self = {depth, parent, NULL};
    KEEP(self);
    if (depth == 0)
        return self.value + (parent ? parent->value : 0);
    return recursive(depth - 1, &self) + 1;
}

NOINLINE static int statics(int n) {
    static int calls;
    static struct point last = {0, 0};
    int before = calls;
    calls += n;
    last.x = (short)calls;
    thread_local_int += n;
    thread_local_point.y = (short)n;
    shared_thread_local += n;
    KEEP(before);
    return calls + last.x + before + thread_local_int + shared_thread_local + constant + global_array[1];
}

int main(int argc, char **argv) {
    char line[16];
    if (!fgets(line, sizeof line, stdin))
        return 1;
    (void)argv;
    struct point point = {640, -402};
    struct bits bits = {5, -7, 1234567890123ull, true, BLUE, 255, -1};
    int values[6] = {4, 1, 8, 100, 2, 6};
    double factors[2][2] = {{0.5, 1.5}, {2.5, 3.5}};
    int result = integers('c', -3, 250, -1234, 56789, -1L, 1LL << 40);
    result += structures(point, bits, &point, (struct incomplete *)&point);
    result += arrays("some text", 3, values, factors);
    result += (int)loop(values, 6, 50);
    result += inlined(argc + 6, 9);
    result += pieces(point, NULL, 5);
    result += switches(GREEN, 6);
    result += recursive(3, NULL);
    result += statics(2);
    result += shared_call(result, &point);
    printf("%d\n", result + shared_global);
    return 0;
}
