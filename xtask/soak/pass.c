/* The places of the soak in C. Each is passed once in a pass, DEEP `sequence % 4 + 1` times and
 * MAYBE in every third. */
#include "control.h"

#include <stdio.h>

#if defined(__clang__)
#define ALONE __attribute__((noinline))
#else
#define ALONE __attribute__((noipa))
#endif

struct pair {
    uint64_t slot;
    uint64_t sequence;
    uint64_t check;
    int64_t minus;
    char name[16];
};

static volatile uint64_t sink;

ALONE uint64_t leaf(uint64_t slot, uint64_t sequence, uint64_t check)
{
    sink = slot;
    return check ^ sequence;
}

ALONE void look(const struct pair *pair)
{
    sink = pair->check; /* PROBE look */
    sink = pair->sequence;
}

ALONE uint64_t deep(uint64_t level, uint64_t sequence)
{
    if (level == 0) {
        return sequence;
    }
    uint64_t below = deep(level - 1, sequence);
    sink = below;
    return below + 1;
}

ALONE void work(uint64_t slot, uint64_t sequence)
{
    uint64_t check = soak_mix(slot, sequence);
    int64_t minus = -(int64_t)(sequence % 1000);
    struct pair pair = {slot, sequence, check, minus, ""};
    snprintf(pair.name, sizeof pair.name, "n%u", (unsigned)(sequence % 10));
    sink = check + (uint64_t)minus; /* PROBE work */
    soak_before(slot, LEAF, 1);
    sink = leaf(slot, sequence, check);
    soak_after(slot, LEAF, 1);
    soak_before(slot, LOOK, 1);
    look(&pair);
    soak_after(slot, LOOK, 1);
    if (sequence % 3 == 0) {
        soak_before(slot, MAYBE, 1);
        sink = sequence; /* PROBE maybe */
        soak_after(slot, MAYBE, 1);
    }
}

void soak_pass(uint64_t slot, uint64_t sequence)
{
    uint64_t level = sequence % 4;
    soak_before(slot, WORK, 1);
    work(slot, sequence);
    soak_after(slot, WORK, 1);
    soak_before(slot, DEEP, level + 1);
    sink = deep(level, sequence);
    soak_after(slot, DEEP, level + 1);
}
