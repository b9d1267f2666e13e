// Types of C++ and its standard library. Waits for a line on stdin, runs once, and exits.
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <deque>
#include <forward_list>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

template <typename T> inline void keep(T const &value) {
    asm volatile("" : : "g"(&value) : "memory");
}
#define NOINLINE __attribute__((noinline))

namespace geometry {
struct Point {
    short x, y;
    static int created;
};
int Point::created = 4;
enum class Axis : unsigned char { X, Y = 7 };
enum Plain { FIRST = 1, SECOND = 2, BOTH = 4 };
template <typename T, int N> struct Box {
    T items[N];
    T first() const { return items[0]; }
};
} // namespace geometry

using geometry::Point;

struct Base {
    int base = 1;
    virtual ~Base() = default;
    virtual int kind() const { return base; }
};
struct Middle : Base {
    long middle = 2;
    int kind() const override { return 20 + base; }
};
struct Other {
    int other = 3;
    virtual int extra() const { return other; }
    virtual ~Other() = default;
};
struct Derived final : Middle, Other {
    std::string name = "derived";
    int kind() const override { return 30; }
    int extra() const override { return 40; }
};
struct Root {
    int root = 5;
    virtual ~Root() = default;
};
struct Left : virtual Root {
    int left = 6;
};
struct Right : virtual Root {
    int right = 7;
};
struct Diamond : Left, Right {
    int bottom = 8;
};
struct Empty {};
struct WithEmpty : Empty {
    char c = 'e';
    int bits : 3;
    unsigned more : 5;
};

struct Counter {
    int count = 0;
    Point at{1, 2};
    static int total;
    NOINLINE int add(int n) {
        int before = count;
        count += n;
        total += n;
        keep(before);
        return before + at.x;
    }
};
int Counter::total = 100;

NOINLINE int scalars(bool flag, const int &reference, int &&rvalue, Point *pointer) {
    char16_t c16 = u'\u20ac';
    char32_t c32 = U'\U0001F600';
    char8_t c8 = u8'8';
    wchar_t wide = L'w';
    std::nullptr_t null = nullptr;
    geometry::Axis axis = geometry::Axis::Y;
    geometry::Plain plain = geometry::SECOND;
    geometry::Box<short, 3> box{{1, 2, 3}};
    int Point::*unused = nullptr;
    short Point::*member = &Point::y;
    int (Counter::*method)(int) = &Counter::add;
    Point &alias = *pointer;
    const Point copy = alias;
    int (*function)(bool, const int &, int &&, Point *) = scalars;
    auto lambda = [flag, &reference](int n) {
        int sum = n + reference + flag;
        keep(sum);
        return sum;
    };
    keep(c16); keep(c32); keep(c8); keep(wide); keep(null); keep(axis); keep(plain); keep(box);
    keep(unused); keep(member); keep(method); keep(copy); keep(function); keep(lambda);
    return lambda(rvalue) + alias.*member;
}

NOINLINE int classes(Base *base, Base &reference, Root *root, Other *other) {
    Derived derived;
    Middle middle;
    Diamond diamond;
    WithEmpty with_empty{};
    with_empty.bits = -2;
    with_empty.more = 19;
    Empty empty;
    Base *down = &derived;
    Other *across = &derived;
    Root *virtual_base = &diamond;
    Left *left = &diamond;
    Counter counter;
    keep(derived); keep(middle); keep(diamond); keep(with_empty); keep(empty); keep(down); keep(across);
    keep(virtual_base); keep(left); keep(counter);
    return base->kind() + reference.kind() + root->root + other->extra() + counter.add(3) + left->left;
}

NOINLINE size_t texts(const std::string &text, std::string_view view) {
    std::string small = "small";
    std::string large(40, 'l');
    std::string empty;
    std::string with_zero("a\0b", 3);
    std::wstring wide = L"wide";
    std::u16string sixteen = u"sixteen";
    std::string_view part = std::string_view(large).substr(3, 5);
    std::string *pointer = &small;
    keep(small); keep(large); keep(empty); keep(with_zero); keep(wide); keep(sixteen); keep(part); keep(pointer);
    return text.size() + view.size();
}

NOINLINE size_t sequences(const std::vector<int> &numbers) {
    std::vector<Point> points{{1, 2}, {3, 4}};
    std::vector<std::string> strings{"one", "two", "a string that is longer than its room"};
    std::vector<std::vector<char>> nested{{'a'}, {}, {'b', 'c'}};
    std::vector<bool> flags{true, false, true, true};
    std::vector<int> none;
    std::array<short, 3> array{7, 8, 9};
    std::deque<int> deque{1, 2, 3};
    deque.push_front(0);
    std::list<int> list{4, 5, 6};
    std::forward_list<int> forward{1, 2};
    std::stack<int> stack;
    stack.push(1);
    stack.push(2);
    std::queue<int> queue;
    queue.push(3);
    std::priority_queue<int> heap;
    heap.push(5);
    heap.push(9);
    std::bitset<10> bitset(0x2a5);
    std::vector<int> long_one(90, 3);
    keep(points); keep(strings); keep(nested); keep(flags); keep(none); keep(array); keep(deque); keep(list);
    keep(forward); keep(stack); keep(queue); keep(heap); keep(bitset); keep(long_one);
    return numbers.size() + points.size();
}

NOINLINE size_t maps(int count) {
    std::map<int, std::string> map;
    std::map<std::string, std::vector<int>> of_vectors{{"a", {1}}, {"b", {2, 3}}};
    std::set<char> set{'z', 'a', 'm'};
    std::multimap<int, int> multi{{1, 2}, {1, 3}};
    std::unordered_map<int, double> hash{{1, 1.5}, {2, 2.5}};
    std::unordered_map<std::string, int> by_name{{"one", 1}, {"two", 2}};
    std::unordered_set<long> hash_set{10, 20, 30};
    std::map<int, int> empty;
    std::unordered_map<int, int> empty_hash;
    for (int i = 0; i < count; i++)
        map[i * 7 % count] = "value " + std::to_string(i);
    keep(map); keep(of_vectors); keep(set); keep(multi); keep(hash); keep(by_name); keep(hash_set); keep(empty);
    keep(empty_hash);
    return map.size() + hash.size();
}

NOINLINE int wrappers(int number) {
    std::optional<int> some = number;
    std::optional<std::string> none;
    std::optional<std::string> text = "text";
    std::variant<int, std::string, Point> integer = 5;
    std::variant<int, std::string, Point> string = "variant";
    std::variant<int, std::string, Point> point = Point{3, 4};
    std::unique_ptr<Point> unique = std::make_unique<Point>(Point{5, 6});
    std::unique_ptr<int[]> many = std::make_unique<int[]>(3);
    std::unique_ptr<Point> no_unique;
    std::unique_ptr<Base> polymorphic = std::make_unique<Derived>();
    std::shared_ptr<std::string> shared = std::make_shared<std::string>("shared");
    std::shared_ptr<std::string> second = shared;
    std::weak_ptr<std::string> weak = shared;
    std::weak_ptr<int> no_weak;
    std::pair<int, std::string> pair{1, "pair"};
    std::tuple<int, char, std::string> tuple{1, 't', "tuple"};
    std::function<int(int)> function = [number](int n) { return n + number; };
    std::atomic<int> atomic{9};
    std::reference_wrapper<int> reference = number;
    std::complex<double> complex{1.0, -2.0};
    std::chrono::milliseconds duration{1500};
    std::chrono::system_clock::time_point time{std::chrono::seconds(1700000000)};
    keep(some); keep(none); keep(text); keep(integer); keep(string); keep(point); keep(unique); keep(many);
    keep(no_unique); keep(polymorphic); keep(shared); keep(second); keep(weak); keep(no_weak); keep(pair);
    keep(tuple); keep(function); keep(atomic); keep(reference); keep(complex); keep(duration); keep(time);
    return function(3) + *some;
}

template <typename T> NOINLINE T largest(const std::vector<T> &values) {
    T best = values.front();
    for (const T &value : values) {
        bool better = best < value;
        if (better)
            best = value;
    }
    return best;
}

NOINLINE int throws(int n) {
    try {
        if (n > 2)
            throw std::make_pair(n, 'x');
        return n;
    } catch (const std::pair<int, char> &caught) {
        int code = caught.first;
        keep(code);
        return code + caught.second;
    }
}

int main() {
    std::string line;
    if (!std::getline(std::cin, line))
        return 1;
    Point point{640, -402};
    Derived derived;
    Diamond diamond;
    size_t sum = size_t(scalars(true, 5, 6, &point));
    sum += size_t(classes(&derived, derived, &diamond, &derived));
    sum += texts("a reference", "a view");
    sum += sequences({1, 2, 3});
    sum += maps(12);
    sum += size_t(wrappers(7));
    sum += size_t(largest<int>({3, 9, 4})) + largest<std::string>({"b", "c", "a"}).size();
    sum += size_t(throws(5) + Point::created + Counter::total);
    std::cout << sum << "\n";
    return 0;
}
