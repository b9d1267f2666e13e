"""Prints every variable in scope at the first hit of each site, as gdb sees it.

Run it as `gdb -nx -batch -x gdb.py`. FIDELITY_JOB names a JSON file with the
pid and the sites (id, module, address, statics). Prints a line of JSON for each site.

Values are walked in the structure of gdb.Value: fields by name, pointers, arrays.
Collections are read according to the meaning of their fields, those of C++ by
the printers that come with libstdc++, which are not ours.
"""

import json
import os
import struct
import sys

import gdb

MOST_ITEMS = 64
MOST_TEXT = 256
DEPTH = 8
NODES = 6000


class Left(Exception):
    """Raised if there is no room for more of a value."""


class Walk:
    """The walk over one variable."""

    def __init__(self, rust):
        self.rust = rust
        self.nodes = NODES

    def node(self, value, depth=DEPTH):
        self.nodes -= 1
        if self.nodes <= 0:
            return {"k": "any", "why": "large"}
        try:
            return self.of(value, depth)
        except gdb.MemoryError as error:
            return {"k": "unavailable", "why": str(error)}
        except (gdb.error, RuntimeError, OverflowError, IndexError) as error:
            return {"k": "unavailable", "why": str(error)}

    def of(self, value, depth):
        ty = value.type.strip_typedefs()
        code = ty.code
        if code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            node = {"k": "ref"}
            target = ty.target().strip_typedefs()
            if not self.rust and target.code == gdb.TYPE_CODE_STRUCT and polymorphic(target):
                try:
                    dynamic = value.dynamic_type
                    if dynamic != value.type:
                        node["dynamic"] = self.node(value.cast(dynamic).referenced_value(), depth - 1)
                except gdb.error:
                    pass
            node["target"] = self.node(value.referenced_value(), depth - 1)
            return node
        if code == gdb.TYPE_CODE_ARRAY:
            return self.array(value, ty, depth)
        if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return self.structure(value, ty, depth)
        if value.is_optimized_out or is_made_up(value, ty):
            return {"k": "unavailable", "why": "optimized out"}
        return self.scalar(value, ty, depth)

    # Scalars

    def scalar(self, value, ty, depth):
        code = ty.code
        name = ty.name or str(ty)
        if code == gdb.TYPE_CODE_PTR:
            return self.pointer(value, ty, depth)
        if code == gdb.TYPE_CODE_VOID or ty.sizeof == 0:
            return {"k": "unit"}
        if code == gdb.TYPE_CODE_BOOL:
            return {"k": "bool", "v": int.from_bytes(raw(value), "little")}
        if code == gdb.TYPE_CODE_FLT:
            return {"k": "float", "bits": raw(value).hex(), "size": ty.sizeof}
        if code == gdb.TYPE_CODE_COMPLEX:
            data = raw(value)
            half = len(data) // 2
            parts = [{"k": "float", "bits": part.hex(), "size": half} for part in (data[:half], data[half:])]
            return {"k": "tuple", "items": parts}
        if code == gdb.TYPE_CODE_ENUM:
            number = integer(value)
            known = {last(f.name): str(f.enumval) for f in ty.fields()[:200]}
            return {"k": "enum", "names": known, "v": str(number)}
        if code == gdb.TYPE_CODE_FLAGS or code in (gdb.TYPE_CODE_MEMBERPTR, gdb.TYPE_CODE_METHODPTR):
            return {"k": "any", "why": "member pointer"} if code == gdb.TYPE_CODE_METHODPTR else {
                "k": "int", "v": str(int.from_bytes(raw(value), "little", signed=True))}
        if code == gdb.TYPE_CODE_CHAR or name in ("char", "char8_t", "char16_t", "char32_t", "wchar_t"):
            number = integer(value) & ((1 << (8 * ty.sizeof)) - 1)
            return {"k": "char", "v": number, "size": ty.sizeof}
        if code == gdb.TYPE_CODE_INT or code == gdb.TYPE_CODE_RANGE:
            return {"k": "int", "v": str(integer(value))}
        if code == gdb.TYPE_CODE_FUNC:
            return {"k": "any", "why": "function"}
        return {"k": "any", "why": "type code %d" % code}

    def pointer(self, value, ty, depth):
        address = int.from_bytes(raw(value), "little")
        name = str(ty)
        target = ty.target().strip_typedefs()
        node = {"k": "ptr", "address": hex(address), "reference": self.rust and name.startswith("&")}
        if target.code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_METHOD):
            return node
        if address == 0 or depth <= 0 or target.code == gdb.TYPE_CODE_VOID:
            return node
        if not self.rust and target.name == "char" and target.sizeof == 1:
            node["text"] = c_string(address)
            return node
        if target.sizeof == 0 and target.code != gdb.TYPE_CODE_STRUCT:
            return node
        if not self.rust and target.code == gdb.TYPE_CODE_STRUCT and polymorphic(target):
            try:
                dynamic = value.dynamic_type
                if dynamic != value.type:
                    node["dynamic"] = self.node(value.cast(dynamic).dereference(), depth - 1)
            except gdb.error:
                pass
        node["target"] = self.node(value.dereference(), depth - 1)
        return node

    # Aggregates

    def array(self, value, ty, depth):
        element = ty.target().strip_typedefs()
        if str(ty).endswith("[]"):
            return {"k": "any", "why": "elements without a number"}
        low, high = ty.range()
        count = high - low + 1
        if element.name == "char" and not self.rust and element.sizeof == 1:
            if value.is_optimized_out:
                return {"k": "unavailable", "why": "optimized out"}
            return {"k": "chars", "hex": raw(value)[: MOST_TEXT].hex(), "of": count}
        items = [self.node(value[low + n], depth) for n in range(max(0, min(count, MOST_ITEMS)))]
        return {"k": "seq", "items": items, "of": max(0, count)}

    def structure(self, value, ty, depth):
        name = ty.name or ""
        if self.rust:
            special = rust(self, value, ty, name, depth)
        else:
            special = cpp(self, value, ty, name, depth)
        if special is not None:
            return special
        return self.raw_struct(value, ty, name, depth)

    def raw_struct(self, value, ty, name, depth):
        fields = []
        union = ty.code == gdb.TYPE_CODE_UNION
        for field in ty.fields():
            if not hasattr(field, "bitpos") and not field.is_base_class:
                continue
            if field.artificial or (field.name or "").startswith("_vptr"):
                continue
            if field.type.strip_typedefs().sizeof == 0 and self.rust:
                continue
            inner = self.field(value, field, 0 if union else depth)
            anonymous = not field.name
            if anonymous and inner["k"] == "struct":
                fields.extend(inner["fields"])
            else:
                fields.append([("base " if field.is_base_class else "") + (field.name or ""), inner])
        if self.rust and name.startswith("("):
            return {"k": "tuple", "items": [node for _, node in fields]} if fields else {"k": "unit"}
        return {"k": "struct", "name": name, "fields": fields, "union": union}

    def field(self, value, field, depth):
        try:
            if getattr(field, "bitsize", 0):
                return self.bits(value[field])
            if field.is_base_class:
                return self.node(base_of(value, field), depth)
            return self.node(value[field], depth)
        except gdb.error as error:
            return {"k": "unavailable", "why": str(error)}

    def bits(self, value):
        """Returns a bit field. gdb returns its number, but no bytes."""
        if value.is_optimized_out or is_made_up(value, value.type.strip_typedefs()):
            return {"k": "unavailable", "why": "optimized out"}
        ty = value.type.strip_typedefs()
        if ty.code == gdb.TYPE_CODE_ENUM:
            known = {last(f.name): str(f.enumval) for f in ty.fields()[:200]}
            return {"k": "enum", "names": known, "v": str(int(value))}
        if ty.code == gdb.TYPE_CODE_BOOL:
            return {"k": "bool", "v": int(value)}
        return {"k": "int", "v": str(int(value))}

    def items(self, values, of, depth):
        nodes = []
        for value in values:
            if len(nodes) >= MOST_ITEMS:
                break
            nodes.append(self.node(value, depth))
        return {"k": "seq", "items": nodes, "of": of}


def is_made_up(value, ty):
    """Returns True for a number that the pieces of its location do not cover. gdb prints
    `<synthetic pointer>` and returns a zero that the program does not have. (For pointers, gdb
    may crash here.)"""
    numbers = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_ENUM)
    return ty.code in numbers and value.address is None and "<synthetic pointer>" in str(value)


def base_of(value, field):
    """Returns a base class, by its offset if that is fixed. gdb would read the type information of
    the whole object first, which garbage does not have."""
    place = getattr(field, "bitpos", None)
    if value.address is None:
        return value[field]
    if place is None:
        if not has_table(value):
            raise gdb.error("its virtual table is not set yet")
        return value[field]
    pointer = gdb.Value(int(value.address) + place // 8)
    return pointer.cast(field.type.pointer()).dereference()


def has_table(value):
    """Returns True if an object has a virtual table. If none is set yet, gdb reads the distance to
    a virtual base from arbitrary memory, and keeps its low 32 bits."""
    table = int.from_bytes(gdb.selected_inferior().read_memory(int(value.address), 8), "little")
    return "vtable" in gdb.execute("info symbol %d" % table, to_string=True)


def number(value):
    """Returns an integer that exists in the program. gdb returns zero for missing ones."""
    if isinstance(value, gdb.Value) and (value.is_optimized_out or "<synthetic pointer>" in str(value)):
        raise gdb.error("optimized out")
    return int(value)


def raw(value):
    """Returns the bytes of a value, wherever it is."""
    size = value.type.sizeof
    if value.is_optimized_out:
        raise gdb.error("optimized out")
    try:
        return bytes(value.bytes)
    except AttributeError:
        pass
    if value.address is not None and not getattr(value, "is_bitfield", False):
        return bytes(gdb.selected_inferior().read_memory(int(value.address), size))
    code = value.type.strip_typedefs().code
    if code == gdb.TYPE_CODE_FLT:
        number = float(value)
        if size == 4:
            return struct.pack("<f", number)
        if size == 8:
            return struct.pack("<d", number)
        raise gdb.error("a wide float in registers")
    return (int(value) & ((1 << (8 * size)) - 1)).to_bytes(size, "little")


def integer(value):
    ty = value.type.strip_typedefs()
    if ty.sizeof > 8:
        return int.from_bytes(raw(value), "little", signed=is_signed(ty))
    return int(value)


def is_signed(ty):
    return bool(getattr(ty, "is_signed", not (ty.name or "").startswith(("u", "unsigned"))))


def last(name):
    depth, at = 0, 0
    for n, c in enumerate(name):
        if c in "<(":
            depth += 1
        elif c in ">)" and name[n - 1 : n] != "-":
            depth -= 1
        elif c == ":" and depth == 0:
            at = n + 1
    return name[at:]


def c_string(address):
    memory = gdb.selected_inferior()
    data = b""
    while len(data) < MOST_TEXT:
        try:
            byte = bytes(memory.read_memory(address + len(data), 1))
        except gdb.MemoryError:
            return None
        if byte == b"\0":
            return {"hex": data.hex(), "whole": True}
        data += byte
    return {"hex": data.hex(), "whole": False}


def polymorphic(ty):
    try:
        return ty.is_dynamic or any((f.name or "").startswith("_vptr") for f in all_fields(ty))
    except (AttributeError, gdb.error):
        return any((f.name or "").startswith("_vptr") for f in all_fields(ty))


def all_fields(ty, level=0):
    for field in ty.fields():
        yield field
        if field.is_base_class and level < 8:
            yield from all_fields(field.type.strip_typedefs(), level + 1)


def text(address, length, trim=0):
    if length < 0 or length > 1 << 40:
        return {"k": "unavailable", "why": "a length of %d" % length}
    shown = min(length, MOST_TEXT)
    data = bytes(gdb.selected_inferior().read_memory(address, shown)) if shown else b""
    if trim:
        data, length = data[: length - trim], length - trim
    return {"k": "text", "hex": data.hex(), "of": length}


# Rust


def peel(value):
    """Unwraps structs that have a single field with bytes."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        ty = value.type.strip_typedefs()
        fields = [f for f in ty.fields() if f.type.strip_typedefs().sizeof > 0]
        if len(fields) != 1 or fields[0].artificial:
            break
        value = value[fields[0]]
    return value


def path(name):
    return name.split("<")[0]


def run_of(start, count, element):
    """Yields consecutive elements at an address."""
    pointer = gdb.Value(start).cast(element.pointer())
    for n in range(count):
        yield (pointer + n).dereference()


def vec_parts(value):
    buf = value["buf"]
    inner = buf["inner"] if has(buf, "inner") else buf
    return int.from_bytes(raw(peel(inner["ptr"])), "little"), number(value["len"])


def has(value, name):
    return any(f.name == name for f in value.type.strip_typedefs().fields())


def rust_enum(walk, value, ty, name, depth):
    fields = ty.fields()
    if fields and fields[0].artificial and (fields[0].name is None or "__state" in fields[0].name):
        if len(fields) < 2:
            return {"k": "unavailable", "why": "no variant"}
        field = fields[1]
    elif len(fields) == 1 and fields[0].type.name == "%s::%s" % (name, fields[0].name):
        field = fields[0]
    else:
        return None
    inner = value[field]
    shape = walk.raw_struct(inner, inner.type.strip_typedefs(), "", depth)
    variant = {"k": "variant", "name": last(field.type.name or field.name), "fields": shape.get("fields", [])}
    if path(name) == "alloc::borrow::Cow":
        return variant["fields"][0][1]
    return variant


def rust(walk, value, ty, name, depth):
    try:
        found = rust_enum(walk, value, ty, name, depth)
        if found is not None:
            return found
        return rust_struct(walk, value, ty, name, depth)
    except gdb.MemoryError:
        raise
    except gdb.error as error:
        if "optimized out" in str(error):
            return {"k": "unavailable", "why": "optimized out"}
        raise


def rust_struct(walk, value, ty, name, depth):
    fields = {f.name: f for f in ty.fields() if f.name}
    base = path(name)
    if set(fields) == {"data_ptr", "length"}:
        return rust_slice(walk, value, name, depth)
    if set(fields) == {"pointer", "vtable"}:
        return rust_dyn(walk, value, name, depth)
    if base == "alloc::string::String":
        return text(*vec_parts(value["vec"]))
    if base in ("std::path::PathBuf", "std::ffi::os_str::OsString"):
        inner = peel_to(value, "alloc::vec::Vec")
        return text(*vec_parts(inner))
    if base == "alloc::ffi::c_str::CString":
        return text(int.from_bytes(raw(value["inner"]["data_ptr"]), "little"), number(value["inner"]["length"]), 1)
    if base == "alloc::vec::Vec":
        start, count = vec_parts(value)
        return walk.items(run_of(start, min(count, MOST_ITEMS), ty.template_argument(0)), count, depth - 1)
    if base == "alloc::collections::vec_deque::VecDeque":
        return rust_deque(walk, value, ty, depth)
    if base in ("alloc::rc::Rc", "alloc::sync::Arc"):
        return rust_counted(walk, value, name, depth)
    if base in ("alloc::rc::Weak", "alloc::sync::Weak"):
        return {"k": "weak"}
    if base in ("alloc::boxed::Box", "core::pin::Pin", "core::cell::UnsafeCell", "core::ptr::non_null::NonNull",
                "core::ptr::unique::Unique", "core::mem::manually_drop::ManuallyDrop",
                "core::mem::maybe_dangling::MaybeDangling"):
        filled = [f for f in ty.fields() if f.type.strip_typedefs().sizeof > 0]
        if len(filled) == 1:
            return walk.node(value[filled[0]], depth)
        return None
    if base.startswith("core::sync::atomic::Atomic"):
        inner = peel(value)
        if name.endswith(("AtomicBool", "Atomic<bool>")):
            return {"k": "bool", "v": int.from_bytes(raw(inner), "little")}
        return walk.node(inner, depth)
    if base in ("core::cell::Cell", "core::cell::RefCell"):
        return {"k": "struct", "name": name, "fields": [["value", walk.node(value["value"], depth)]]}
    if base in ("core::cell::Ref", "core::cell::RefMut"):
        return walk.node(peel(value["value"]).dereference(), depth)
    if base.startswith("std::sync::") and base.endswith(("::Mutex", "::RwLock")):
        flag = int.from_bytes(raw(peel(value["poison"])), "little")
        return {"k": "struct", "name": name, "fields": [
            ["data", walk.node(value["data"], depth)], ["poisoned", {"k": "bool", "v": flag}]]}
    if base.startswith("std::sync::poison::") and base.endswith(("MutexGuard", "RwLockWriteGuard")):
        return walk.node(value["lock"].dereference()["data"], depth)
    if base in ("core::cell::once::OnceCell",):
        return rust_once(walk, walk.node(value["inner"], depth), "OnceCell")
    if base in ("std::sync::once_lock::OnceLock", "std::sync::lazy_lock::LazyLock"):
        done = number(peel(value["once"])) == 0
        inner = {"k": "any", "why": "not set"}
        if done:
            cell = value["data"] if "lazy" in base else value["value"]
            inner = walk.node(initialised(cell["value"]), depth)
        return {"k": "once", "set": done, "value": inner}
    if base == "core::cell::lazy::LazyCell":
        state = walk.node(value["state"]["value"], depth)
        done = state.get("name") == "Init"
        return {"k": "once", "set": done, "value": state["fields"][0][1] if done else {"k": "any", "why": "not set"}}
    if base.startswith(("core::num::nonzero::NonZero",)) or base in (
            "core::num::wrapping::Wrapping", "core::num::saturating::Saturating"):
        return walk.node(peel(value), depth)
    if base == "core::time::Duration":
        return {"k": "duration", "secs": str(number(value["secs"])), "nanos": str(number(peel(value["nanos"])))}
    if base in ("std::time::Instant", "std::time::SystemTime"):
        spec = value
        while not has(spec, "tv_sec"):
            spec = spec[spec.type.strip_typedefs().fields()[0]]
        return {"k": "struct", "name": name, "fields": [
            ["tv_sec", {"k": "int", "v": str(number(spec["tv_sec"]))}],
            ["tv_nsec", {"k": "int", "v": str(number(peel(spec["tv_nsec"])))}]]}
    if base == "std::collections::hash::map::HashMap":
        return rust_table(walk, value["base"]["table"], True, depth)
    if base == "std::collections::hash::set::HashSet":
        return rust_table(walk, value["base"]["map"]["table"], False, depth)
    if base == "alloc::collections::btree::map::BTreeMap":
        return rust_tree(walk, value, True, depth)
    if base == "alloc::collections::btree::set::BTreeSet":
        return rust_tree(walk, value["map"], False, depth)
    if base == "alloc::collections::binary_heap::BinaryHeap":
        return walk.node(value["data"], depth)
    if base == "alloc::collections::linked_list::LinkedList":
        return rust_list(walk, value, depth)
    if base.endswith("MaybeUninit"):
        return {"k": "any", "why": "maybe uninitialised"}
    if base == "core::marker::PhantomData":
        return {"k": "any", "why": "nothing"}
    if base.endswith("::RandomState"):
        return {"k": "any", "why": "differs from run to run"}
    return None


def initialised(value):
    """Returns the content of a MaybeUninit."""
    value = value["value"]
    while path(value.type.strip_typedefs().name or "").endswith(("::ManuallyDrop", "::MaybeDangling")):
        value = value[value.type.strip_typedefs().fields()[0]]
    return value


def rust_once(walk, node, name):
    some = node.get("name") == "Some"
    return {"k": "once", "set": some, "value": node["fields"][0][1] if some else {"k": "any", "why": "not set"}}


def peel_to(value, wanted):
    while path(value.type.strip_typedefs().name or "") != wanted:
        filled = [f for f in value.type.strip_typedefs().fields() if f.type.strip_typedefs().sizeof > 0]
        value = value[filled[0]]
    return value


def rust_slice(walk, value, name, depth):
    if name.startswith("*"):
        return walk.raw_struct(value, value.type.strip_typedefs(), name, depth)
    start = int.from_bytes(raw(value["data_ptr"]), "little")
    count = number(value["length"])
    element = value["data_ptr"].type.target()
    inner = name
    if any(inner.endswith(e) or "<%s>" % e in inner or "<%s," % e in inner
           for e in ("str", "std::path::Path", "std::ffi::os_str::OsStr")) and not inner.endswith("CStr"):
        return text(start, count)
    if "core::ffi::c_str::CStr" in inner:
        return text(start, count, 1)
    if "[" in inner:
        return walk.items(run_of(start, min(count, MOST_ITEMS), element), count, depth - 1)
    return None


def rust_dyn(walk, value, name, depth):
    node = {"k": "dyn", "address": hex(int.from_bytes(raw(value["pointer"]), "little"))}
    try:
        # In Rust, gdb finds the concrete type by the vtable's entry when it dereferences.
        gdb.set_convenience_variable("fidelity", value)
        node["target"] = walk.node(gdb.parse_and_eval("*$fidelity"), depth - 1)
    except gdb.error:
        pass
    return node


def rust_counted(walk, value, name, depth):
    pointer = peel(value["ptr"])
    if pointer.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        if not has(pointer, "data_ptr"):
            return {"k": "any", "why": "dyn"}
        start = int.from_bytes(raw(pointer["data_ptr"]), "little")
        counts = pointer["data_ptr"].type.target().strip_typedefs()
        count = number(pointer["length"])
        field = [f for f in counts.fields() if f.name in ("value", "data")][0]
        start += field.bitpos // 8
        element = field.type
        if "<str" in name:
            return text(start, count)
        return walk.items(run_of(start, min(count, MOST_ITEMS), element), count, depth - 1)
    inner = pointer.dereference()
    return walk.node(inner["value" if has(inner, "value") else "data"], depth - 1)


def rust_deque(walk, value, ty, depth):
    buf = value["buf"]
    inner = buf["inner"] if has(buf, "inner") else buf
    start = int.from_bytes(raw(peel(inner["ptr"])), "little")
    cap = number(peel(inner["cap"]))
    head, count = number(value["head"]), number(value["len"])
    element = ty.template_argument(0)
    pointer = gdb.Value(start).cast(element.pointer())
    items = ((pointer + (head + n) % cap).dereference() for n in range(min(count, MOST_ITEMS)))
    return walk.items(items, count, depth - 1)


def rust_table(walk, table, is_map, depth):
    ty = table.type.strip_typedefs()
    entry = ty.template_argument(0)
    inner = table["table"]
    control = int.from_bytes(raw(peel(inner["ctrl"])), "little")
    mask, count = number(inner["bucket_mask"]), number(inner["items"])
    entries = []
    if count and entry.sizeof:
        flags = bytes(gdb.selected_inferior().read_memory(control, mask + 1))
        for n, flag in enumerate(flags):
            if flag < 0x80 and len(entries) < MOST_ITEMS:
                pointer = gdb.Value(control - (n + 1) * entry.sizeof).cast(entry.pointer())
                entries.append(pointer.dereference())
    elif count:
        return {"k": "any", "why": "entries without bytes"}
    if not is_map:
        return {"k": "seq", "items": [walk.node(e["__0"], depth - 1) for e in entries], "of": count}
    return {"k": "map", "of": count, "entries": [
        [walk.node(e["__0"], depth - 1), walk.node(e["__1"], depth - 1)] for e in entries]}


def rust_tree(walk, value, is_map, depth):
    count = number(value["length"])
    pairs = []

    def cell(array, index):
        return initialised(array[index])

    def visit(node, height):
        leaf = node.dereference()
        data = leaf
        length = number(data["len"])
        edges = None
        if height > 0:
            parent = node.dereference()["parent"]
            internal = [f for f in parent.type.strip_typedefs().fields()]
            del internal
            edges = node.cast(internal_type(leaf).pointer()).dereference()["edges"]
        for n in range(length + 1):
            if edges is not None:
                visit(peel(initialised(edges[n])), height - 1)
            if n < length and len(pairs) < MOST_ITEMS:
                key = cell(data["keys"], n)
                pairs.append((key, cell(data["vals"], n) if is_map else None))

    def internal_type(leaf):
        name = leaf.type.strip_typedefs().name.replace("LeafNode", "InternalNode", 1)
        return gdb.lookup_type(name)

    root = value["root"]
    fields = root.type.strip_typedefs().fields()
    if count and len(fields) > 1 and fields[1].name == "Some":
        some = root[fields[1]]["__0"]
        visit(peel(some["node"]), number(some["height"]))
    if is_map:
        return {"k": "map", "of": count, "entries": [
            [walk.node(k, depth - 1), walk.node(v, depth - 1)] for k, v in pairs]}
    return {"k": "seq", "of": count, "items": [walk.node(k, depth - 1) for k, _ in pairs]}


def rust_list(walk, value, depth):
    count = number(value["len"])
    items = []
    here = value["head"]
    while len(items) < min(count, MOST_ITEMS):
        fields = here.type.strip_typedefs().fields()
        if len(fields) < 2 or fields[1].name != "Some":
            break
        node = peel(here[fields[1]]["__0"]).dereference()
        items.append(node["element"])
        here = node["next"]
    return walk.items(items, count, depth - 1)


# C++


def cpp(walk, value, ty, name, depth):
    in_row = {"__gnu_cxx::__normal_iterator": "_M_current", "std::_Deque_iterator": "_M_cur"}.get(path(name))
    if in_row is not None:
        pointer = value[in_row]
        return walk.pointer(pointer, pointer.type.strip_typedefs(), depth)
    if not name.startswith("std::"):
        return None
    try:
        visitor = gdb.default_visualizer(value)
    except (gdb.error, ValueError):
        visitor = None
    base = path(name.replace("std::__cxx11::", "std::"))
    if base == "std::array":
        elements = value["_M_elems"]
        return walk.array(elements, elements.type.strip_typedefs(), depth)
    wrapped = cpp_wrapper(walk, value, ty, base, depth)
    if wrapped is not None or visitor is None:
        return wrapped
    try:
        return cpp_presented(walk, value, ty, name, base, visitor, depth)
    except gdb.MemoryError as error:
        # The constructor has not run. The place at which the walk fails is meaningless.
        return {"k": "unavailable", "why": "a container without contents: %s" % type(error).__name__}


def cpp_presented(walk, value, ty, name, base, visitor, depth):
    if base in ("std::basic_string", "std::basic_string_view"):
        return cpp_text(value, base)
    if base in ("std::unique_ptr", "std::shared_ptr", "std::weak_ptr"):
        children = list(visitor.children())
        if base == "std::weak_ptr":
            address = number(value["_M_ptr"])
            return {"k": "ptr", "address": hex(address), "smart": True}
        if not children:
            return {"k": "ptr", "address": "0x0", "smart": True, "weak": base == "std::weak_ptr"}
        pointer = children[0][1]
        if path(str(ty.template_argument(0))).endswith("[]") or "[]" in name.split(",")[0]:
            return {"k": "ptr", "address": hex(number(pointer)), "smart": True}
        node = walk.pointer(pointer, pointer.type.strip_typedefs(), depth)
        node["smart"] = True
        node["weak"] = base == "std::weak_ptr"
        return node
    if base in ("std::optional",):
        children = list(visitor.children())
        if not children:
            return {"k": "variant", "name": "nullopt", "fields": []}
        return {"k": "variant", "name": "optional", "fields": [["0", walk.node(children[0][1], depth)]]}
    if base == "std::variant":
        children = list(visitor.children())
        index = number(value["_M_index"])
        if not children:
            return {"k": "variant", "name": "valueless", "fields": []}
        return {"k": "alternative", "index": index, "value": walk.node(children[0][1], depth)}
    if base == "std::pair":
        return None
    if base == "std::tuple":
        return {"k": "tuple", "items": [walk.node(v, depth) for _, v in visitor.children()]}
    if base in ("std::vector", "std::deque", "std::list", "std::forward_list", "std::array", "std::set",
                "std::multiset", "std::unordered_set", "std::unordered_multiset", "std::stack", "std::queue",
                "std::priority_queue"):
        node = cpp_items(walk, visitor, base, depth)
        if base.startswith("std::unordered") and node["of"] != number(value["_M_h"]["_M_element_count"]):
            # gdb's printer follows the links to their end, and has no other measure of an object that is not set yet.
            return {"k": "any", "why": "not a set yet"}
        return node
    if base in ("std::map", "std::multimap", "std::unordered_map", "std::unordered_multimap"):
        return cpp_map(walk, visitor, depth)
    return None


def cpp_wrapper(walk, value, ty, base, depth):
    """Returns a libstdc++ type that wraps one value or a few. Its members are read by name."""
    if base in ("std::atomic", "std::atomic_flag", "std::__atomic_base"):
        for member, inner in (("_M_base", "_M_i"), ("_M_b", "_M_p"), ("_M_i", None), ("_M_fp", None)):
            try:
                found = value[member]
                return walk.node(found if inner is None else found[inner], depth)
            except gdb.error:
                continue
        return None
    if base == "std::reference_wrapper":
        pointer = value["_M_data"]
        return walk.pointer(pointer, pointer.type.strip_typedefs(), depth)
    if base == "std::bitset":
        return cpp_bitset(value, int(ty.template_argument(0)))
    if base in ("std::function", "std::any"):
        if number(value["_M_manager"]) == 0:
            return {"k": "variant", "name": "empty", "fields": []}
        code = value["_M_invoker" if base == "std::function" else "_M_manager"]
        return {"k": "variant", "name": base[len("std::"):], "fields": [["code", walk.node(code, depth)]]}
    if base == "std::expected":
        return cpp_expected(walk, value, ty, depth)
    if base == "std::complex":
        return walk.node(value["_M_value"], depth)
    if base == "std::filesystem::path":
        return walk.node(value["_M_pathname"], depth)
    for name, member in (("std::chrono::duration", "__r"), ("std::chrono::time_point", "__d")):
        if base == name:
            return {"k": "struct", "name": name, "fields": [["0", walk.node(value[member], depth)]]}
    return None


def cpp_expected(walk, value, ty, depth):
    """Returns the value or the error. libstdc++ has no printer for them."""
    flag = number(value["_M_has_value"])
    if flag not in (0, 1):
        return {"k": "unavailable", "why": "neither a value nor an error"}
    fields = []
    if not flag:
        fields = [["0", walk.node(value["_M_unex"], depth)]]
    elif ty.template_argument(0).strip_typedefs().code != gdb.TYPE_CODE_VOID:
        fields = [["0", walk.node(value["_M_val"], depth)]]
    return {"k": "variant", "name": "expected" if flag else "unexpected", "fields": fields}


def cpp_bitset(value, count):
    if count == 0:
        return {"k": "seq", "items": [], "of": 0}
    words = value["_M_w"]
    data = raw(words)
    items = [{"k": "bool", "v": data[n // 8] >> n % 8 & 1} for n in range(min(count, MOST_ITEMS))]
    return {"k": "seq", "items": items, "of": count}


def cpp_text(value, base):
    if base == "std::basic_string":
        pointer, count = value["_M_dataplus"]["_M_p"], number(value["_M_string_length"])
    else:
        pointer, count = value["_M_str"], number(value["_M_len"])
    size = pointer.type.strip_typedefs().target().sizeof
    if size == 1:
        return text(number(pointer), count)
    shown = min(count, MOST_TEXT // size)
    data = bytes(gdb.selected_inferior().read_memory(number(pointer), shown * size)) if shown else b""
    units = [int.from_bytes(data[n:n + size], "little") for n in range(0, len(data), size)]
    return {"k": "wide", "units": units, "size": size, "of": count}


def cpp_items(walk, visitor, base, depth):
    items, count = [], 0
    for _, child in visitor.children():
        if len(items) < MOST_ITEMS:
            items.append(walk.node(child if isinstance(child, gdb.Value) else gdb.Value(child), depth - 1))
        count += 1
        if count > 5000:
            break
    return {"k": "seq", "items": items, "of": count if count <= 5000 else None}


def cpp_map(walk, visitor, depth):
    entries, count, key = [], 0, None
    for index, (_, child) in enumerate(visitor.children()):
        if index % 2 == 0:
            key = child
            continue
        if len(entries) < MOST_ITEMS:
            entries.append([walk.node(key, depth - 1), walk.node(child, depth - 1)])
        count += 1
        if count > 5000:
            break
    return {"k": "map", "entries": entries, "of": count if count <= 5000 else None}


# Sites


def is_static(symbol):
    return symbol.addr_class == gdb.SYMBOL_LOC_STATIC or (
        not symbol.needs_frame and symbol.addr_class not in (
            gdb.SYMBOL_LOC_CONST, gdb.SYMBOL_LOC_CONST_BYTES, gdb.SYMBOL_LOC_OPTIMIZED_OUT))


def read(frame, symbol, rust):
    """Returns a variable as a node. If gdb cannot read it, the node has the reason."""
    try:
        value = frame.read_var(symbol)
    except (gdb.error, RuntimeError) as error:
        return {"k": "unavailable", "why": str(error)}, str(symbol.type)
    return Walk(rust).node(value), str(value.type)


def variables(frame, rust):
    block = gdb.block_for_pc(frame.pc())
    found, seen = [], {}
    while block is not None:
        # gdb merges blocks that only have constants left: the later declaration is the inner one.
        for symbol in sorted(block, key=lambda symbol: -symbol.line):
            if not (symbol.is_variable or symbol.is_argument or symbol.is_constant) or not symbol.name:
                continue
            if symbol.addr_class == gdb.SYMBOL_LOC_TYPEDEF:
                continue
            if symbol.is_constant and symbol.type.code == gdb.TYPE_CODE_ENUM and not rust:
                # This is an enumerator of an enumeration that is declared in the block.
                continue
            found.append((symbol, block))
        if block.function is not None:
            break
        block = block.superblock
    out = []
    for symbol, _ in found:
        count = seen[symbol.name] = seen.get(symbol.name, 0) + 1
        node, ty = read(frame, symbol, rust)
        out.append({"name": symbol.name, "shadow": count, "type": ty, "static": is_static(symbol),
                    "line": symbol.line, "node": node, "argument": symbol.is_argument})
    return out


def statics(frame, rust):
    out = []
    table = gdb.block_for_pc(frame.pc())
    for block in (table.static_block, table.global_block):
        for symbol in block:
            if not symbol.is_variable or symbol.addr_class == gdb.SYMBOL_LOC_TYPEDEF or len(out) >= 200:
                continue
            name = symbol.name
            if "{" in name or "<" in name or name.startswith(("_", "std::", "core::", "alloc::", "vtable")):
                continue
            node, ty = read(frame, symbol, rust)
            out.append({"name": name, "shadow": 1, "type": ty, "static": True, "line": symbol.line,
                        "node": node, "argument": False})
    return out


class Site(gdb.Breakpoint):
    def __init__(self, site, address):
        super().__init__("*%d" % address, internal=True)
        self.site = site
        self.silent = True

    def stop(self):
        try:
            frame = gdb.newest_frame()
            language = frame.language()
            rust = language == "rust"
            report = {"id": self.site["id"], "language": language, "function": frame.name(),
                      "variables": variables(frame, rust)}
            if self.site.get("statics"):
                report["statics"] = statics(frame, rust)
        except Exception as error:  # One site must not cost the others.
            report = {"id": self.site["id"], "error": "%s: %s" % (type(error).__name__, error)}
        OUT.write(json.dumps(report) + "\n")
        self.enabled = False
        return False


def bias(pid, module):
    """Returns the run address minus the link address of a module."""
    with open(module, "rb") as file:
        head = file.read(64)
        offset, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    first = None
    for n in range(count):
        kind, _, at, address = struct.unpack_from("<IIQQ", table, n * size)
        if kind == 1:
            first = (at & ~4095, address & ~4095)
            break
    with open("/proc/%d/maps" % pid) as maps:
        for line in maps:
            words = line.split(None, 5)
            if len(words) == 6 and words[5].strip() == module and int(words[2], 16) == first[0]:
                return int(words[0].split("-")[0], 16) - first[1]
    raise gdb.error("%s is not mapped" % module)


def physical(frame):
    """Returns the frame of the function that has the code, which others may be inlined into."""
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame = frame.older()
    return frame


def stopped_at():
    """Returns the report on the place where the program has stopped."""
    frame = gdb.newest_frame()
    place = frame.find_sal()
    rust = frame.language() == "rust"
    return {"pc": frame.pc(), "line": place.line, "file": place.symtab.filename if place.symtab else "",
            "function": frame.name(), "variables": variables(frame, rust)}


def steps(job):
    """Follows the first call of a function: by `next` from line to line, or by breakpoints at the given
    addresses."""
    base = bias(job["pid"], job["module"])
    start = gdb.Breakpoint("*%d" % (base + int(job["start"], 16)), internal=True)
    start.silent = True
    OUT.write(json.dumps({"ready": True}) + "\n")
    OUT.flush()
    gdb.execute("continue", to_string=True)
    start.delete()
    thread = gdb.selected_thread()
    if thread is None or not thread.is_valid():
        return
    gdb.execute("set scheduler-locking step", to_string=True)
    call = physical(gdb.newest_frame())
    kept = [gdb.Breakpoint("*%d" % (base + int(at, 16)), internal=True) for at in job["addresses"]]
    for breakpoint in kept:
        breakpoint.silent = True
    OUT.write(json.dumps(dict(stopped_at(), base=base)) + "\n")
    for _ in range(job["limit"]):
        gdb.execute("continue" if kept else "next", to_string=True)
        if gdb.selected_thread() is None:
            # gdb does not follow every exception to its handler.
            OUT.write(json.dumps({"lost": True}) + "\n")
            return
        if not call.is_valid():
            break
        if physical(gdb.newest_frame()) != call:
            if kept:
                continue
            break
        OUT.write(json.dumps(dict(stopped_at(), base=base)) + "\n")
        OUT.flush()
    for breakpoint in kept:
        breakpoint.delete()
    gdb.execute("kill", to_string=True)


def main():
    with open(os.environ["FIDELITY_JOB"]) as file:
        job = json.load(file)
    for setting in ("pagination off", "confirm off", "width 0", "print object off", "max-value-size unlimited",
                    "debuginfod enabled off", "print thread-events off", "startup-with-shell off"):
        try:
            gdb.execute("set " + setting)
        except gdb.error:
            pass
    gdb.execute("attach %d" % job["pid"], to_string=True)
    if "start" in job:
        steps(job)
        return
    kept = []
    for site in job["sites"]:
        kept.append(Site(site, bias(job["pid"], site["module"]) + int(site["address"], 16)))
    OUT.write(json.dumps({"ready": True}) + "\n")
    OUT.flush()
    gdb.execute("continue", to_string=True)


OUT = open(os.environ["FIDELITY_OUT"], "w")
main()
OUT.flush()
sys.stdout.flush()
