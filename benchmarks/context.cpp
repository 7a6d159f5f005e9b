// SPDX-License-Identifier: Apache-2.0
// What it costs that the context stays with a coroutine: nanoseconds per suspension and resumption of a coroutine of
// an own type, and per turn of Boost.Asio's `awaitable` (a post to its executor), without and with it, measured in
// turn in one run. Prints the minimum and the median, and the difference of the medians.
#include <mlflow/trace.hpp>
#include <mlflow/trace/context/asio.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <vector>

namespace {

namespace mt = mlflow::trace;
namespace asio = boost::asio;
using tracer_type = mt::tracer<mt::open_schema, mt::coroutine_context, mt::memory_exporter>;

struct plain {
    struct promise_type {
        plain get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        static std::suspend_always initial_suspend() noexcept { return {}; }
        static std::suspend_always final_suspend() noexcept { return {}; }
        static void return_void() noexcept {}
        static void unhandled_exception() noexcept {}
    };
    std::coroutine_handle<promise_type> frame;
};
struct followed {
    struct promise_type : mt::coroutine_promise<promise_type> {
        followed get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        auto initial_suspend() noexcept { return starts(std::suspend_always{}); }
        auto final_suspend() noexcept { return finishes(std::suspend_always{}); }
        static void return_void() noexcept {}
        static void unhandled_exception() noexcept {}
    };
    std::coroutine_handle<promise_type> frame;
};

template <class Coroutine>
Coroutine suspend(int times) {
    for (int i = 0; i < times; ++i) co_await std::suspend_always{};
}
asio::awaitable<void> post(int times) {
    for (int i = 0; i < times; ++i) co_await asio::post(asio::use_awaitable);
}

constexpr int rounds = 100'000;

template <class Work>
double nano_per_round(Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const auto spent = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) / rounds;
}

template <class Coroutine>
double own_type() {
    auto made = suspend<Coroutine>(rounds);
    made.frame.resume();
    const double figure = nano_per_round([&] {
        while (!made.frame.done()) made.frame.resume();
    });
    made.frame.destroy();
    return figure;
}

template <class Spawn>
double with_asio(Spawn&& spawn) {
    asio::io_context io(1);
    spawn(io);
    return nano_per_round([&] { io.run(); });
}

struct pair {
    const char* name;
    std::vector<double> without{};
    std::vector<double> with{};

    void print() {
        std::sort(without.begin(), without.end());
        std::sort(with.begin(), with.end());
        const double median = without[without.size() / 2];
        std::printf("%-42s %8.1f %8.1f %8.1f %8.1f %8.1f\n", name, without.front(), median, with.front(),
                    with[with.size() / 2], with[with.size() / 2] - median);
    }
};

} // namespace

int main() {
    tracer_type tracer;
    auto trace = tracer.start_trace("around"); // what each of them carries
    pair own{"own coroutine type, a suspension"};
    pair posted{"asio::awaitable, a post"};
    for (int repetition = 0; repetition < 21; ++repetition) {
        own.without.push_back(own_type<plain>());
        own.with.push_back(own_type<followed>());
        posted.without.push_back(with_asio([](auto& io) { asio::co_spawn(io, post(rounds), asio::detached); }));
        posted.with.push_back(with_asio([](auto& io) { mt::co_spawn(io, post(rounds), asio::detached); }));
    }
    std::printf("%-42s %17s %17s %8s\n", "ns", "without: min, med", "with: min, med", "more");
    own.print();
    posted.print();
}
