import collections, json, sys, threading

Point = collections.namedtuple("Point", "x y")
GLOBAL = {"limit": 400}
STARTED = threading.Event()


class Pointer:
    kind = "mouse"
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    @property
    def length(self):
        return self.x + self.y


class Owner:
    shared = [1, 2]

    def __init__(self):
        self.pointer = Pointer(3, 4)
        self.names = {"a": 1, 2: "two", (1, "b"): None}

    def __getattr__(self, name):
        raise AttributeError(name)

    def run(self, last_pointer, *args, flag=True, **others):
        current_pointer = Point(1024, 768)
        big = 2 ** 70
        ratio = 0.1
        text = "it's"
        unset = None
        captured = [10]

        def inner(depth):
            nonlocal captured
            captured.append(depth)
            if depth:
                return inner(depth - 1)
            print("ready", flush=True)
            STARTED.set()
            return wait()
        result = inner(2)
        del unset
        later = result
        return later


def wait():
    here = "waiting"
    sys.stdin.readline()
    return here


def cases():
    """Expressions over the variables of `run`, with what Python says of them."""
    current_pointer, last_pointer = Point(1024, 768), Point(-5, 6)
    big, ratio, text, flag, args, others = 2 ** 70, 0.1, "it's", True, (7, 8), {"k": "v"}
    self = Owner()
    for line in EXPRESSIONS:
        try:
            value = eval(line)
        except Exception as error:
            yield line, None, type(error).__name__
        else:
            yield line, repr(value), None


EXPRESSIONS = [line.strip() for line in r'''
current_pointer.x
current_pointer.x - last_pointer.x
current_pointer.x > 400
current_pointer.x > GLOBAL["limit"] and flag
last_pointer[0]
last_pointer[-1]
last_pointer[5]
len(current_pointer)
len(text)
len(args) + len(others)
self.pointer.x
self.pointer.kind
self.shared
self.shared[1]
self.names["a"]
self.names[2]
self.names[1, "b"]
self.names[1.0 + 1]
self.names["nothing"]
others["k"]
"k" in others
"z" in others
"a" not in self.names
7 in args
9 in args
"t'" in text
1024 in current_pointer
text + "!" * 3
text == "it's"
text != 'x'
text < "jt"
text[0]
text[-1]
text[9]
-7 // 2
7 // -2
-7 % 3
7 % -3
7 % 3
-7.5 // 2
7.5 % -2
-0.0 % 3
0.0 // -1
7 / 2
1 / 3
10**20 / 3
(2**70 + 1) / 2**70
2**1100 / 2**1090
3 / 2**1074
1 / 2**1080
5 // 0
5 % 0
5 / 0
0.0 / 0
2 ** 10
2 ** -1
(-2) ** 3
2 ** 0.5
0 ** -1
big
big + 1
big * big
big // 7
-big % 1000
big & 0xff
big >> 60
1 << 70
-1 >> 100
~5
5 ^ 3 | 8
True + 1
True & False
True | 2
ratio
ratio + 0.2
ratio * 3
1e16
1e-5
1_000 + 0b11 + 0o17 + 0xff
not flag
not text
flag is True
flag is not None
self is None
None is None
None == 0
1 == 1.0
2**53 == 2.0**53
2**53 + 1 == 2.0**53
1 < 2 < 3
1 < 3 < 2
1 == 1 != 2
1 if flag else 2
0 or "x"
0 and 1
"" or None
(1, 2) == (1, 2)
current_pointer == (1024, 768)
current_pointer < (1024, 769)
(1, "a") < (1, "b")
"a" in ("a", "b")
3 in [1, 2]
1 + 2 * 3 ** 2 - 4
-2 ** 2
2 ** 3 ** 2
(1 + 2) * 3
"a" "b"
b"ab" == b"ab"
"a" + 1
-"a"
len(5)
1 < "a"
nothing
nothing.x
self.pointer.missing
'''.split("\n") if line.strip()]

FORMATS = [
    (value, spec) for value, specs in (
        (0, "d 5 <5 ^5 05 +d x #x b #010b , _ 08, e .2f % c"),
        (-1234567, "d , _ 015, #x ^20 =+12 =12 *>12 e .3e g"),
        (255, "x X #X o #o _b 016_b c n"),
        (2**70, ", x e .3g"),
        (0.1, ".2f .0f e .3e g .3g .17g % .1% 10.3f <10 +.1f 010.2f , ,.2f F G E"),
        (1234567.891, ", ,.2f .3g .10g g _.1f 020,.2f .0e #.0f #g E"),
        (123.0, ".3 .4 .2 g n"),
        (1e-7, "g .3g f .10f "),
        (1.234e-5, "g .3g .2"),
        (0.0001234, "g .3g .2"),
        (float("inf"), "f 10f E % g"),
        (float("nan"), "f >6"),
        (-0.0, "f +g .1f"),
        ("it's", "s 10 >10 ^11 .2 *<8.3 d"),
        (True, "d 5 x"),
        (None, "5"),
    ) for spec in specs.split(" ")
]


def formats():
    for value, spec in FORMATS:
        try:
            yield repr(value), spec, format(value, spec)
        except Exception as error:
            yield repr(value), spec, None


def main():
    thread = threading.Thread(target=lambda: Owner().run(Point(-5, 6), 7, 8, k="v"), name="Monitor é")
    thread.start()
    STARTED.wait()
    for case in cases():
        print(json.dumps(case), flush=True)
    print("", flush=True)
    for case in formats():
        print(json.dumps(case), flush=True)
    print("", flush=True)
    thread.join()


main()
