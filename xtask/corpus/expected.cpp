// `std::expected` of C++23. Waits for a line on stdin, runs once, and exits.
#include <expected>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

template <typename T> inline void keep(T const &value) {
    asm volatile("" : : "g"(&value) : "memory");
}
#define NOINLINE __attribute__((noinline))

enum class Failure : unsigned short { Busy = 3, Gone = 400 };
struct Point {
    short x, y;
};
struct Nothing {};

using Number = std::expected<long, std::string>;
using Text = std::expected<std::string, Failure>;
using Action = std::expected<void, Failure>;

NOINLINE Number parse(const std::string &digits) {
    if (digits.find_first_not_of("0123456789") != std::string::npos)
        return std::unexpected("not a number: " + digits);
    return std::stol(digits);
}

NOINLINE int values(const Number &reference, Action *pointer) {
    Number number = parse("640");
    Number no_number = parse("64x");
    Text text = "a text that is longer than its object";
    Text no_text = std::unexpected(Failure::Gone);
    Action action;
    Action no_action = std::unexpected(Failure::Busy);
    std::expected<Point, Nothing> point = Point{3, -4};
    std::expected<Point, Nothing> no_point = std::unexpected(Nothing{});
    std::expected<std::unique_ptr<Point>, int> owner = std::make_unique<Point>(Point{5, 6});
    std::expected<std::optional<int>, Number> nested = std::optional<int>(7);
    std::expected<std::optional<int>, Number> deep = std::unexpected(no_number);
    std::expected<int, int> alike = std::unexpected(-1);
    std::vector<Text> row{text, no_text};
    keep(number); keep(no_number); keep(text); keep(no_text); keep(action); keep(no_action); keep(point);
    keep(no_point); keep(owner); keep(nested); keep(deep); keep(alike); keep(row);
    return int(*number) + int(reference.has_value()) + int(pointer->has_value());
}

int main() {
    std::string line;
    if (!std::getline(std::cin, line))
        return 1;
    Action action = std::unexpected(Failure::Gone);
    std::cout << values(parse("12"), &action) << "\n";
    return 0;
}
