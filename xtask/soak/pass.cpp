// The places of the soak in C++; see pass.c. Every eighth pass leaves a function by an exception.
#include "control.h"

#include <stdexcept>
#include <string>
#include <vector>

#if defined(__clang__)
#define ALONE __attribute__((noinline))
#else
#define ALONE __attribute__((noipa))
#endif

namespace soak {

static volatile uint64_t sink;

struct Pair {
    uint64_t slot;
    uint64_t sequence;
    uint64_t check;
    int64_t minus;
    std::string name;
    std::vector<int> list;
};

ALONE uint64_t leaf(uint64_t slot, uint64_t sequence, uint64_t check)
{
    sink = slot;
    return check ^ sequence;
}

ALONE void look(const Pair &pair)
{
    sink = pair.check; // PROBE look
    sink = pair.sequence;
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

ALONE void thrower(uint64_t sequence)
{
    if (sequence % 8 == 0) {
        throw std::runtime_error("eighth");
    }
    sink = sequence;
}

ALONE void work(uint64_t slot, uint64_t sequence)
{
    uint64_t check = soak_mix(slot, sequence);
    int64_t minus = -static_cast<int64_t>(sequence % 1000);
    Pair pair{slot, sequence, check, minus, "n" + std::to_string(sequence % 10), {}};
    for (int index = 0; index < static_cast<int>(sequence % 5); index++) {
        pair.list.push_back(index);
    }
    sink = check + static_cast<uint64_t>(minus); // PROBE work
    soak_before(slot, LEAF, 1);
    sink = leaf(slot, sequence, check);
    soak_after(slot, LEAF, 1);
    soak_before(slot, LOOK, 1);
    look(pair);
    soak_after(slot, LOOK, 1);
    if (sequence % 3 == 0) {
        soak_before(slot, MAYBE, 1);
        sink = sequence; // PROBE maybe
        soak_after(slot, MAYBE, 1);
    }
    try {
        thrower(sequence);
    } catch (const std::runtime_error &error) {
        sink = sequence;
    }
}

} // namespace soak

extern "C" void soak_pass(uint64_t slot, uint64_t sequence)
{
    uint64_t level = sequence % 4;
    soak_before(slot, WORK, 1);
    soak::work(slot, sequence);
    soak_after(slot, WORK, 1);
    soak_before(slot, DEEP, level + 1);
    soak::sink = soak::deep(level, sequence);
    soak_after(slot, DEEP, level + 1);
}
