/* What the targets of the soak share: places that they pass, and the page in
 * which they count each pass, before and behind it. */
#ifndef SOAK_CONTROL_H
#define SOAK_CONTROL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Places, in the order of the counters; xtask/src/soak/places.rs knows the same. */
enum place { WORK, LEAF, LOOK, DEEP, MAYBE, SIGNAL, PLUGIN, PLACES = 8 };

/* What one thread or one forked process counts. */
struct slot {
    uint64_t sequence;
    uint64_t before[PLACES];
    uint64_t after[PLACES];
    uint64_t unused[15];
};

void soak_before(uint64_t slot, uint64_t place, uint64_t times);
void soak_after(uint64_t slot, uint64_t place, uint64_t times);
uint64_t soak_mix(uint64_t slot, uint64_t sequence);

/* One pass of all places but SIGNAL and PLUGIN: each language has its own. */
void soak_pass(uint64_t slot, uint64_t sequence);

#ifdef __cplusplus
}
#endif

#endif
