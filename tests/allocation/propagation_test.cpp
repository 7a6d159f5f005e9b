// SPDX-License-Identifier: Apache-2.0
// Headers of a request, while an allocation fails: whichever it is, a request says whose trace it is, or names the
// caller's span alone, and who reads it takes all of what it says, or nothing.
#include "counted_malloc.hpp"

#ifdef MALLOC_IS_COUNTED

#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/hmac_seal.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using counted_malloc::allocations;
using counted_malloc::failure;

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::required<mt::session>>,
                          mt::propagated<mt::optional<segment>>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
using plain = mt::propagator<schema, mt::trust_network>;
using sealed = mt::propagator<schema, mt::hmac_seal>;

// Each longer than what a std::string holds without an allocation, and with what is percent-encoded.
constexpr std::string_view user_text = "J\xc3\xbcrgen, of the department for 100 % of everything";
constexpr std::string_view session_text = "session-7-of-a-name-that-takes-its-own-memory";

// Headers in memory of their own.
struct header_array {
    struct field {
        std::string_view name;
        std::string_view value;
    };
    field fields[4];
    char texts[4][600];
    std::size_t count = 0;

    void set(std::string_view name, std::string_view value) {
        ASSERT_LT(count, 4U);
        ASSERT_LE(value.size(), sizeof texts[0]);
        std::memcpy(texts[count], value.data(), value.size());
        fields[count] = {name, {texts[count], value.size()}};
        ++count;
    }
    [[nodiscard]] const field* begin() const { return fields; }
    [[nodiscard]] const field* end() const { return fields + count; }
};

int reported = 0;

template <class Propagator>
class request {
public:
    explicit request(typename Propagator::options options) : headers_(std::move(options)) {
        reported = 0;
        trace_.set(segment{"pro"});
    }

    header_array injected() {
        header_array said;
        headers_.inject(trace_, "agents.internal", [&](auto name, auto value) { said.set(name, value); });
        return said;
    }
    mt::incoming_trace extracted(const header_array& said) const { return headers_.extract(said); }

    static bool is_whole(const mt::incoming_trace& found) {
        return found.is_trusted() && !found.rejected() && found.metadata("mlflow.trace.user") == user_text &&
               found.metadata("mlflow.trace.session") == session_text && found.metadata("app.segment") == "pro";
    }

private:
    static void count(void*, const mt::error&) noexcept { ++reported; }

    Propagator headers_;
    tracer_type tracer_{{.on_error = &count}};
    tracer_type::trace trace_ =
        tracer_.start_trace("chat", *mt::user::parse(user_text), *mt::session::parse(session_text));
};

// The number of allocations that were made to fail, each in turn.
template <class Propagator>
void expect_all_or_nothing(request<Propagator> one) {
    const header_array whole = one.injected();
    ASSERT_EQ(whole.count, 2U);
    ASSERT_TRUE(one.is_whole(one.extracted(whole)));

    int failures = 0;
    for (long number = 1;; ++number, ++failures) {
        reported = 0;
        bool has_come = false;
        header_array said;
        {
            const failure at(number);
            said = one.injected();
            has_come = at.has_come();
        }
        ASSERT_GE(said.count, 1U) << "allocation " << number;
        EXPECT_EQ(said.fields[0].name, "traceparent");
        if (!has_come) break;
        if (said.count == 1) EXPECT_EQ(reported, 1) << "allocation " << number << " is not told of";
        else EXPECT_TRUE(one.is_whole(one.extracted(said))) << "allocation " << number;
    }
    EXPECT_GT(failures, 0);

    for (long number = 1;; ++number, ++failures) {
        bool has_come = false;
        mt::incoming_trace found;
        {
            const failure at(number);
            found = one.extracted(whole);
            has_come = at.has_come();
        }
        if (!has_come) {
            EXPECT_TRUE(one.is_whole(found));
            break;
        }
        EXPECT_NE(found.caller(), nullptr) << "which takes no memory";
        if (one.is_whole(found)) continue;
        EXPECT_TRUE(found.rejected()) << "allocation " << number << " is not told of";
    }
    EXPECT_GT(failures, 1);
    EXPECT_TRUE(one.is_whole(one.extracted(one.injected()))) << "later";
}

TEST(a_failing_allocation, in_headers_for_a_trusted_network) {
    expect_all_or_nothing<plain>(request<plain>({.hosts = {"agents.internal"}}));
}

TEST(a_failing_allocation, in_sealed_headers) {
    expect_all_or_nothing<sealed>(request<sealed>(
        {.hosts = {"agents.internal"}, .seal = {.key = mt::secret("32 random bytes of these tests..")}}));
}

TEST(headers, take_few_allocations) {
    request<plain> one({.hosts = {"agents.internal"}});
    const header_array said = one.injected();
    long before = allocations.load();
    static_cast<void>(one.injected());
    EXPECT_EQ(allocations.load() - before, 2) << "for what is written, and for more since it is percent-encoded";
    before = allocations.load();
    {
        const auto found = one.extracted(said);
    }
    EXPECT_EQ(allocations.load() - before, 5) << "for the list, its members, two long texts, and what is found";
}

} // namespace

#endif
