"""Prints two strings of 256 characters for the CPython that runs it: the class of each opcode, and its cache entries.

`cargo run -p tracer-cpython --example offsets` runs it, see there. The classes are those of `OpClass` in src/code/ops.rs.
"""
import opcode
import sys

CONDITIONAL = ("POP_JUMP", "JUMP_IF", "SEND")
END = ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE")


def klass(name, number):
    if name.startswith("INSTRUMENTED_"):
        rest = name[len("INSTRUMENTED_"):]
        if rest in ("LINE", "INSTRUCTION"):
            return "L" if rest == "LINE" else "I"
        if rest not in opcode.opmap:
            return "."
        return klass(rest, opcode.opmap[rest])
    if name.startswith("ENTER_EXECUTOR"):
        return "X"
    if name == "EXTENDED_ARG":
        return "E"
    if name == "FOR_ITER":
        return "F"
    if name in END:
        return "R"
    if name == "RESUME":
        return "S"
    if name == "END_ASYNC_FOR":
        return "."
    if name.startswith("SETUP_") and number in opcode.hasjrel:
        return "H"
    if name == "JUMP_BACKWARD_NO_INTERRUPT":
        return "N"
    if name == "CLEANUP_THROW":
        return "T"
    if name == "POP_BLOCK" and sys.version_info < (3, 11):
        return "P"
    if number in getattr(opcode, "hasjabs", ()):
        return "A" if name == "JUMP_ABSOLUTE" else "a"
    if number in opcode.hasjrel:
        back = "BACKWARD" in name
        if name.startswith(CONDITIONAL):
            return "b" if back else "f"
        return "B" if back else "J"
    return "."


def main():
    names = dict(opcode.opmap)
    families = {}
    specializations = getattr(opcode, "_specializations", {})
    for family, members in specializations.items():
        for member in members:
            families[member] = family
    try:
        from _opcode_metadata import _specialized_opmap as special
    except ImportError:
        special = {}
        # 3.11 and 3.12 number the specialized opcodes in the free places, in the order of this list.
        free = [n for n in range(1, 255) if opcode.opname[n].startswith("<")]
        listed = getattr(opcode, "_specialized_instructions", [])
        special = dict(zip(listed, free))
    caches = getattr(opcode, "_inline_cache_entries", [])
    if hasattr(caches, "get"):
        count = lambda name: caches.get(name, 0)
    else:
        count = lambda name: caches[opcode.opmap[name]] if caches and opcode.opmap[name] < len(caches) else 0
    classes, sizes = ["?"] * 256, ["0"] * 256
    for name, number in names.items():
        if number >= 256:
            continue
        base = name
        if name.startswith("INSTRUMENTED_") and name[len("INSTRUMENTED_"):] in opcode.opmap:
            base = name[len("INSTRUMENTED_"):]
        classes[number], sizes[number] = klass(name, number), "%x" % count(base)
    for name, number in special.items():
        family = families.get(name)
        if family is None:
            # A superinstruction, or one that is not in a family: what stands before the double underscore is first.
            family = name.split("__")[0]
        if family not in opcode.opmap or number >= 256:
            continue
        classes[number], sizes[number] = klass(family, opcode.opmap[family]), "%x" % count(family)
    if sys.version_info[:2] == (3, 12):
        # These are in no map that Python code can read in 3.12: ENTER_EXECUTOR, INSTRUMENTED_INSTRUCTION, INSTRUMENTED_LINE.
        classes[230], classes[253], classes[254] = "X", "I", "L"
    print("".join(classes))
    print("".join(sizes))


main()
