// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;

// Counts down the allocations of this thread, and makes one of them fail. Weak, because the sanitizers of clang bring
// an operator new that cannot be replaced.
namespace {
thread_local int allocations_left = -1;
}
[[gnu::weak, gnu::noinline]] void* operator new(std::size_t size) {
    if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
[[gnu::weak, gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak, gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

mt::beast_transport transport_to(const std::string& url) {
    return mt::beast_transport(mt::endpoint::parse(url).value());
}

bool can_fail() {
    allocations_left = 0;
    try {
        ::operator delete(::operator new(1));
    } catch (const std::bad_alloc&) {
        return true;
    }
    allocations_left = -1;
    return false;
}

TEST(BeastTransportAllocation, EveryAllocationMayFail) {
    if (!can_fail()) GTEST_SKIP() << "operator new is the sanitizer's";
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) peer.write(raw::reply(200, std::string(2000, 'x'), "X-A: b\r\n"));
    });
    const std::array headers = {mt::http_header{"X-Experiment", "a value that is too long to be kept in place"}};
    const mt::http_request request{mt::http_method::post, "/v1/traces", headers, "body", 2s};
    int failed = 0;
    for (int k = 0;; ++k) {
        auto transport = transport_to(server.url());
        allocations_left = k;
        const auto reply = transport.send(request);
        const bool was_reached = allocations_left < 0;
        allocations_left = -1;
        if (!reply) {
            ++failed;
            EXPECT_EQ(reply.error().kind(), kind::out_of_memory) << k << ": " << reply.error().message();
        }
        EXPECT_TRUE(transport.send(request)) << "not usable after the failure of allocation " << k;
        if (!was_reached) {
            EXPECT_TRUE(reply);
            break;
        }
    }
    EXPECT_GT(failed, 10);
}

} // namespace
