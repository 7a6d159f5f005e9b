// SPDX-License-Identifier: Apache-2.0
// From a device's exporter to a gateway over a link that loses, doubles, reorders, tears and alters frames.
#include <mlflow/trace.hpp>
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/device/received.hpp>
#include <mlflow/trace/device/sequence.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mt = mlflow::trace;

namespace {

constexpr std::uint64_t now = 1'795'000'000'000'000'000;

// A platform that has no time of day.
struct device_platform : mt::hosted_platform {
    static inline std::uint64_t ticks = 0;
    static std::uint64_t monotonic_nano() noexcept { return ticks; }
    static std::uint64_t wall_nano() noexcept { return ticks; }
};

using exporter = mt::framed_exporter<>;
using tracer = mt::tracer<mt::open_schema, mt::explicit_context, exporter, mt::record_all, device_platform>;

std::string next_frame(tracer& traces) {
    static std::vector<char> chunk(70'000);
    return {chunk.data(), traces.exporter().drain(chunk)};
}

std::vector<std::string> frames_of(std::uint32_t count, std::mt19937& random) {
    std::vector<char> memory(2'000);
    tracer traces(exporter::options{.ring = memory, .stream = 9, .monotonic_nano = &device_platform::monotonic_nano});
    std::vector<std::string> frames;
    for (std::uint32_t i = 0; i < count; ++i) {
        {
            auto trace = traces.start_trace("turn", *mt::user::parse("user-" + std::to_string(i)));
            std::string said(random() % 500, '\0');
            for (char& c : said) c = static_cast<char>('a' + random() % 26);
            trace.inputs(said);
        }
        frames.push_back(next_frame(traces));
    }
    return frames;
}

// What a bad link makes of frames, and which arrive whole, in their order.
struct bad_link {
    std::string bytes;
    std::vector<std::uint32_t> whole;
    std::uint32_t pieces = 0;

    bad_link(const std::vector<std::string>& frames, std::mt19937& random) {
        std::vector<std::uint32_t> order(frames.size());
        for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
        for (std::size_t i = 0; i + 10 < order.size(); ++i)
            if (random() % 10 == 0) std::swap(order[i], order[i + random() % 10]);
        for (std::size_t i = 0; i < order.size(); ++i) {
            std::string sent = frames[order[i]];
            switch (random() % 12) {
            case 0: continue;                         // lost
            case 1: order.push_back(order[i]); break; // doubled, later
            case 2: sent.resize(random() % (sent.size() - 1)); break;
            case 3: sent.erase(0, 2 + random() % (sent.size() - 2)); break;
            case 4: sent[random() % sent.size()] ^= static_cast<char>(1U << random() % 7); break;
            case 5: bytes += "noise"; break;
            default: break;
            }
            if (sent == frames[order[i]]) whole.push_back(order[i]);
            bytes += sent;
            if (order.size() > 2 * frames.size()) break;
        }
        for (std::size_t at = 0; at < bytes.size(); ++at)
            pieces += bytes[at] != 0 && (at + 1 == bytes.size() || bytes[at + 1] == 0) ? 1U : 0U;
        if (!bytes.empty() && bytes.back() != 0) --pieces; // its end may still come
    }
};

TEST(Received, OnlyWhatTheLinkHasSpoiltIsMissingAndAllOfItIsCounted) {
    const unsigned first_seed = std::random_device()();
    std::cout << "seed " << first_seed << '\n';
    for (unsigned seed = first_seed; seed != first_seed + 20; ++seed) {
        std::mt19937 random(seed);
        const auto frames = frames_of(500, random);
        const bad_link link(frames, random);

        const auto decoder = std::make_unique<mt::frame_decoder<>>();
        mt::sequence_account<> account;
        std::vector<std::uint32_t> arrived;
        for (std::size_t at = 0; at < link.bytes.size();) {
            const std::size_t size = 1 + random() % 300;
            decoder->read(std::string_view(link.bytes).substr(at, size), [&](const mt::frame& frame) {
                arrived.push_back(frame.sequence);
                account.add(frame.sequence);
                const auto received = mt::read_record(frame, now);
                ASSERT_EQ(received.trace.size(), 1U);
                EXPECT_EQ(received.trace.begin()->metadata(mt::user::name), "user-" + std::to_string(frame.sequence));
            });
            at += size;
        }
        ASSERT_EQ(arrived, link.whole) << "seed " << seed;

        const std::set<std::uint32_t> distinct(arrived.begin(), arrived.end());
        EXPECT_EQ(decoder->damaged(), link.pieces - arrived.size()) << "seed " << seed;
        EXPECT_EQ(account.received(), distinct.size()) << "seed " << seed;
        EXPECT_EQ(account.doubled(), arrived.size() - distinct.size()) << "seed " << seed;
        EXPECT_EQ(account.first(), *distinct.begin()) << "seed " << seed;
        EXPECT_EQ(account.lost(), *distinct.rbegin() - *distinct.begin() + 1 - distinct.size()) << "seed " << seed;
        std::uint32_t late = 0;
        std::set<std::uint32_t> seen;
        for (const std::uint32_t sequence : arrived)
            if (seen.insert(sequence).second && *seen.rbegin() != sequence) ++late;
        EXPECT_EQ(account.reordered(), late) << "seed " << seed;
        EXPECT_LT(distinct.size(), 450U);
        EXPECT_GT(distinct.size(), 250U);
    }
}

class received_times : public testing::Test {
protected:
    std::vector<char> memory = std::vector<char>(2'000);
    exporter::options told{.ring = memory, .monotonic_nano = &device_platform::monotonic_nano};

    // Began at 5 s, ended at 6 s, sent at 8 s.
    [[nodiscard]] mt::received_trace received(bool has_clock, std::uint64_t time_of_day = 0) {
        if (!has_clock) told.monotonic_nano = nullptr;
        tracer traces(told);
        device_platform::ticks = time_of_day + 5'000'000'000;
        {
            auto trace = traces.start_trace("turn");
            trace.event("woken");
            device_platform::ticks += 1'000'000'000;
        }
        device_platform::ticks += 2'000'000'000;
        mt::received_trace found;
        mt::frame_decoder<2'000> decoder;
        decoder.read(next_frame(traces), [&](const mt::frame& frame) { found = mt::read_record(frame, now); });
        return found;
    }
    static void expect(const mt::received_trace& found, std::uint64_t begin) {
        ASSERT_EQ(found.trace.size(), 1U);
        const mt::trace_data& trace = *found.trace.begin();
        EXPECT_EQ(trace.start_unix_nano, begin);
        EXPECT_EQ(trace.duration_nano, 1'000'000'000U);
        const auto span = mt::decode(trace).spans.at(0);
        EXPECT_EQ(span.start_unix_nano, begin);
        EXPECT_EQ(span.end_unix_nano, begin + 1'000'000'000);
        EXPECT_EQ(span.events.at(0).unix_nano, begin);
    }
};

TEST_F(received_times, AreThoseOfTheDeviceByItsClock) {
    const auto found = received(true);
    expect(found, now - 3'000'000'000);
    EXPECT_EQ(found.trace.begin()->metadata("device.time").data(), nullptr);
}

TEST_F(received_times, AreTheArrivalWhereTheDeviceHasNoClock) {
    const auto found = received(false);
    expect(found, now - 1'000'000'000);
    EXPECT_EQ(found.trace.begin()->metadata("device.time"), "arrival");
}

TEST_F(received_times, AreLeftAloneWhereTheDeviceKnowsTheTimeOfDay) {
    expect(received(true, 1'700'000'000'000'000'000), 1'700'000'005'000'000'000);
}

TEST(Received, IsNothingWhereThePayloadIsNoRecord) {
    for (const std::string_view payload : {"", "x", "\x09\x01", "noise that is no protobuf"})
        EXPECT_TRUE(mt::read_record({.payload = payload}, now).trace.empty());
}

TEST(Received, IsNothingWhereASpanSaysThatItIsOfAnotherTrace) {
    std::mt19937 random(1);
    for (const std::string& bytes : frames_of(3, random)) {
        mt::frame_decoder<2'000> decoder;
        decoder.read(bytes, [](const mt::frame& frame) {
            std::string payload(frame.payload);
            payload[1] = static_cast<char>(payload[1] ^ 1); // of the trace's ID
            EXPECT_TRUE(mt::read_record({.clock = frame.clock, .payload = payload}, now).trace.empty());
        });
        EXPECT_EQ(decoder.frames(), 1U);
    }
}

} // namespace
