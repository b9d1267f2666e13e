import argparse
import array
import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import math
import os
import sys
import threading
import types
import typing


class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    PAIR = (1, 2)


class Number(enum.IntEnum):
    ONE = 1
    MANY = 1000


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    EXECUTE = 4


class Mode(enum.IntFlag):
    A = 1
    B = 8


class Text(str, enum.Enum):
    X = "x"


@dataclasses.dataclass
class Item:
    name: str
    price: float = 1.5
    tags: list = dataclasses.field(default_factory=list)
    secret: str = dataclasses.field(default="s", repr=False)
    shared: typing.ClassVar[int] = 3


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int
    y: "Frozen" = None


class Plain:
    def __init__(self):
        self.a = 5
        self.b = "bee"

    def method(self):
        pass

    @staticmethod
    def static():
        pass

    @classmethod
    def made(cls):
        pass

    @property
    def computed(self):
        return 1


class Outer:
    class Inner:
        pass


class Slots:
    __slots__ = ("m", "n")

    def __init__(self):
        self.m = 1


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyInt(int):
    pass


class MyFloat(float):
    pass


class MyStr(str):
    pass


class MyBytes(bytes):
    pass


class MyTuple(tuple):
    pass


class MySet(set):
    pass


class MyFrozen(frozenset):
    pass


class MyArray(bytearray):
    pass


class MyDeque(collections.deque):
    pass


class MyDate(datetime.date):
    pass


class MyError(ValueError):
    pass


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    pass


Point = collections.namedtuple("Point", "x y")


class Typed(typing.NamedTuple):
    a: int
    b: str = "d"


class SubPoint(Point):
    pass


def function():
    pass


def outer():
    shared = 1

    def inner():
        return shared
    return inner


def generator():
    yield 1


async def coroutine():
    pass


async def async_generator():
    yield 1


CORO = coroutine()


def itself_list():
    l = [1]
    l.append(l)
    return l


def itself_dict():
    d = {1: 2}
    d["d"] = d
    return d


def itself_tuple():
    l = []
    t = (1, l)
    l.append(t)
    return t


def itself_deque():
    d = collections.deque([1])
    d.append(d)
    return d


def itself_item():
    i = Item("i")
    i.tags.append(i)
    return i


def moved():
    d = collections.OrderedDict(a=1, b=2, c=3)
    d.move_to_end("a")
    del d["b"]
    d["b"] = 5
    return d


def deleted():
    d = {i: i for i in range(20)}
    for i in range(15):
        del d[i]
    return d


def deleted_set():
    s = set(range(40))
    for i in range(35):
        s.discard(i)
    s.add("z")
    return s


def rotated():
    d = collections.deque(range(200), maxlen=150)
    d.rotate(7)
    return d


def attributes(*names):
    p = Plain()
    for name in names:
        setattr(p, name, name)
    return p.__dict__


def raised():
    try:
        {}["k"]
    except KeyError as error:
        return error


EXPRESSIONS = [line.strip() for line in r'''
None
...
NotImplemented
True
False
0
1
-1
-5
256
257
2**30 - 1
2**30
-2**30
2**60
-(2**62) - 5
2**63
2**64
2**100 + 1
-(10**50)
10**200
0.0
-0.0
1.0
-0.1
1e16
1e22
1.5e-7
123456789.123
5e-324
1.7976931348623157e308
float("inf")
float("-inf")
float("nan")
math.pi
1j
1 + 2j
-1.5 - 0j
complex(0.0, -0.0)
complex(-0.0, 1e20)
complex(float("nan"), float("inf"))
""
"plain"
"it's"
'say "hi"'
"both ' and \""
"back\\slash"
"line\nfeed\ttab\rreturn"
"nul\0and\x01\x7f"
"caf\u00e9"
"\u00ad\u00a0\u0085"
"\u65e5\u672c\u8a9e"
"\u200b\u2028\ufeff"
"\ud800 alone"
"\U0001f600 smile"
"\U000e0001"
"x" * 900
b""
b"ab\0c\xff"
b"it's"
b"'\""
bytes(range(256))
bytearray(b"")
bytearray(b"abc\n")
memoryview(b"abc")
[]
[1]
[1, "two", 3.0, None]
[[1], [2, [3]]]
()
(1,)
(1, (2, 3))
("a", [1, {"k": (1,)}])
{}
{"a": 1}
{1: "v", "k": 2, (1, 2): [3], None: True}
dict.fromkeys("abcdefghijklmnop")
deleted()
attributes()
attributes("z", "a")
attributes(*"qwertyuiopasdfghjklzxcvbnmQWERTYUIOP")
set()
{1}
{1, 2, 3}
{"a", 1, None}
deleted_set()
frozenset()
frozenset([1, 2])
range(10)
range(1, 10)
range(0, 10, 2)
range(-5, -10, -1)
slice(1)
slice(1, 2, 3)
slice(None, "b", None)
Point(1, 2)
SubPoint(Point(3, 4), "y")
Typed(1)
Color.RED
Color.GREEN
Color.PAIR
Number.ONE
Number.MANY
Access.READ
Access.READ | Access.WRITE
Access(0)
Access.READ | Access.WRITE | Access.EXECUTE
Mode.A
Mode.A | Mode.B
Text.X
Color
Access
Item("n")
Item("n", 2.0, ["a", Item("m")])
Frozen(1, Frozen(2))
Plain()
Slots()
Outer.Inner()
object()
MyList([1, 2])
MyDict(a=1)
MyInt(7)
MyInt(-(2**70))
MyFloat(1.25)
MyStr("sub\u00e9")
MyStr("ascii")
MyBytes(b"sub")
MyTuple((1, 2))
MySet([1])
MySet()
MyFrozen([1])
MyArray(b"x")
MyDeque([1])
collections.deque()
collections.deque([1, "a"])
collections.deque([1, 2, 3], maxlen=2)
rotated()
collections.deque(range(100))
collections.Counter()
collections.Counter("abracadabra")
collections.OrderedDict()
collections.OrderedDict(a=1, b=[2])
moved()
collections.defaultdict(list)
collections.defaultdict(int, a=1)
collections.defaultdict(None, {1: 2})
types.MappingProxyType({"a": 1})
{"a": 1}.keys()
{"a": 1}.values()
{"a": 1, "b": 2}.items()
decimal.Decimal("1.10")
decimal.Decimal("-0")
decimal.Decimal("1E+10")
decimal.Decimal("1E-10")
decimal.Decimal("123456789012345678901234567890.123456789")
decimal.Decimal("-Infinity")
decimal.Decimal("NaN")
decimal.Decimal("0.000001")
fractions.Fraction(1, 3)
fractions.Fraction(-7)
datetime.date(2026, 11, 30)
datetime.datetime(2026, 11, 30)
datetime.datetime(2026, 11, 28, 22, 30, 1, 5)
datetime.datetime(2026, 11, 28, 22, 30, 1)
datetime.datetime(2026, 11, 28, 22, 30, fold=1)
datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc)
datetime.time(1, 2)
datetime.time(1, 2, 3, 4, tzinfo=datetime.timezone.utc)
datetime.timedelta()
datetime.timedelta(days=-1, seconds=3)
datetime.timedelta(1, 2, 3)
datetime.timezone.utc
datetime.timezone(datetime.timedelta(hours=2))
datetime.timezone(datetime.timedelta(hours=2), "CEST")
MyDate(2020, 1, 2)
ValueError()
ValueError("x")
ValueError("x", 1)
KeyError("k")
MyError([1])
raised()
OSError(2, "No such file")
function
outer
outer()
lambda: 0
len
print
[].append
math.sin
dict.fromkeys
functools.partial
str.join
Plain.method
Plain().method
Plain.made
Plain.static
Plain
Outer.Inner
WithMeta
int
collections.OrderedDict
datetime.datetime
type
generator()
CORO
async_generator()
function.__code__
outer().__closure__[0]
Plain.__dict__["made"]
Plain.__dict__["static"]
Slots.m
int.real
list.append
object.__init__
sys
os
json
threading
types.ModuleType("empty")
types.SimpleNamespace(a=1, b="c")
argparse.Namespace(x=1)
array.array("i", [1, -2, 3])
array.array("d", [1.5])
array.array("B")
itself_list()
itself_dict()
itself_tuple()
itself_deque()
itself_item()
'''.split("\n") if line.strip()]

VALUES = [eval(line) for line in EXPRESSIONS]
print("ready", flush=True)
for line, value in zip(EXPRESSIONS, VALUES):
    print(json.dumps([line, id(value), repr(value)]), flush=True)
print("", flush=True)
sys.stdin.read()
