/* A library that the targets of the soak load and unload. */
#include "control.h"

static volatile uint64_t sink;

__attribute__((noinline)) void plugin_pass(uint64_t slot, uint64_t sequence)
{
    uint64_t check = slot * 1000003u + sequence;
    sink = check; /* PROBE plugin */
}
