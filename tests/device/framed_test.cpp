// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/device/received.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mt = mlflow::trace;

namespace {

std::uint64_t device_time() noexcept { return 7'000'000'000; }

struct text_link {
    std::string* sent = nullptr;
    std::size_t* room = nullptr;

    bool write(std::string_view bytes) noexcept {
        if (*room < bytes.size()) return false;
        *room -= bytes.size();
        sent->append(bytes);
        return true;
    }
};

using exporter = mt::framed_exporter<text_link, std::mutex>;
using tracer = mt::tracer<mt::open_schema, mt::thread_local_context, exporter>;

class framed : public testing::Test {
protected:
    std::vector<char> memory = std::vector<char>(4'000);
    std::string sent;
    std::size_t room = SIZE_MAX;
    mt::frame_decoder<> decoder;

    [[nodiscard]] exporter::options options(bool is_acknowledged, mt::ring_full full = mt::ring_full::drop_newest) {
        return {.ring = memory,
                .when_full = full,
                .device = {.id = "kitchen-7f", .firmware = "1.4.2"},
                .stream = 77,
                .monotonic_nano = device_time,
                .is_acknowledged = is_acknowledged,
                .link = {&sent, &room}};
    }
    static void record(tracer& traces, std::string_view name) {
        auto trace = traces.start_trace(name, mt::user{"user-1042"}, mt::session{"kitchen-7"});
        auto span = traces.start_span("generate");
        span.attribute("app.microphone", 2);
    }
    static void acknowledge(exporter& to, std::uint32_t sequence, std::uint32_t stream = 77) {
        const mt::detail::framing::header header(mt::frame_kind::acknowledgement, 0, stream, sequence);
        mt::frame_encoder encoder(
            header.view(), {}, mt::detail::framing::crc_of(header.view(), mt::detail::framing::crc_begin), nullptr);
        char bytes[64];
        const auto size = encoder.read(bytes, sizeof bytes);
        for (std::size_t i = 0; i < size; ++i) to.acknowledge({bytes + i, 1});
    }
    // The sequence numbers of what was sent since.
    std::vector<std::uint32_t> arrived() {
        std::vector<std::uint32_t> sequences;
        decoder.read(sent, [&](const mt::frame& frame) { sequences.push_back(frame.sequence); });
        sent.clear();
        return sequences;
    }
};

TEST_F(framed, CarriesATraceWithItsIdentityAndSpans) {
    tracer traces(options(false));
    record(traces, "assistant");
    ASSERT_TRUE(traces.exporter().send());
    int frames = 0;
    decoder.read(sent, [&](const mt::frame& frame) {
        ++frames;
        EXPECT_EQ(frame.stream, 77U);
        EXPECT_EQ(frame.clock, 7'000'000'000U);
        const auto received = mt::read_record(frame, 0);
        EXPECT_EQ(received.device, "kitchen-7f");
        EXPECT_EQ(received.firmware, "1.4.2");
        ASSERT_EQ(received.trace.size(), 1U);
        const mt::trace_data& trace = *received.trace.begin();
        const auto decoded = mt::decode(trace);
        EXPECT_EQ(trace.metadata(mt::user::name), "user-1042");
        EXPECT_EQ(trace.metadata(mt::session::name), "kitchen-7");
        const mt::recorded_span* const root = decoded.root();
        const mt::recorded_span* const generate = decoded.find("generate");
        ASSERT_TRUE(root && generate);
        EXPECT_EQ(root->name, "assistant");
        EXPECT_EQ(generate->parent, root->id);
        EXPECT_EQ(decoded.spans.size(), 2U);
        EXPECT_EQ(trace.metadata("device.id"), "kitchen-7f");
    });
    EXPECT_EQ(frames, 1);
    EXPECT_EQ(traces.exporter().counts().sent, 1U);
    EXPECT_EQ(traces.account().exported, 2U);
}

TEST_F(framed, DrainsInChunksOfAnySizeNeverOfTwoFrames) {
    for (std::size_t size = 1; size < 700; size += 13) {
        tracer traces(options(false));
        record(traces, "one");
        record(traces, "two");
        std::vector<char> chunk(size);
        while (const auto count = traces.exporter().drain(chunk)) {
            sent.append(chunk.data(), count);
            if (size > 600) {
                EXPECT_EQ(arrived().size(), 1U);
            }
        }
        if (size <= 600) {
            EXPECT_EQ(arrived(), (std::vector<std::uint32_t>{0, 1})) << size;
        }
        EXPECT_EQ(traces.exporter().counts().waiting, 0U);
    }
    EXPECT_EQ(decoder.damaged(), 0U);
}

TEST_F(framed, BeginsAFrameAgainWhereTheLinkFails) {
    tracer traces(options(false));
    record(traces, "one");
    room = 130;
    EXPECT_FALSE(traces.exporter().send());
    EXPECT_EQ(traces.exporter().counts().waiting, 1U);
    room = SIZE_MAX;
    EXPECT_TRUE(traces.exporter().send());
    EXPECT_EQ(arrived(), std::vector<std::uint32_t>{0});
    EXPECT_EQ(decoder.damaged(), 1U);
}

TEST_F(framed, KeepsWhatIsNotAcknowledged) {
    tracer traces(options(true));
    for (int i = 0; i < 3; ++i) record(traces, "turn");
    auto& to = traces.exporter();
    EXPECT_TRUE(to.send());
    EXPECT_EQ(arrived(), (std::vector<std::uint32_t>{0, 1, 2}));
    EXPECT_TRUE(to.send());
    EXPECT_TRUE(arrived().empty());
    acknowledge(to, 1);
    acknowledge(to, 1);
    acknowledge(to, 2, 78); // of an earlier start
    acknowledge(to, 9);
    to.resend();
    EXPECT_TRUE(to.send());
    EXPECT_EQ(arrived(), (std::vector<std::uint32_t>{0, 2}));
    acknowledge(to, 0);
    acknowledge(to, 2);
    to.resend();
    EXPECT_TRUE(to.send());
    EXPECT_TRUE(arrived().empty());
    EXPECT_EQ(to.counts().sent, 3U);
    EXPECT_EQ(to.counts().waiting, 0U);
}

TEST_F(framed, MovesRecordsIntoAStoreThatLasts) {
    std::vector<std::string> stored;
    {
        tracer traces(options(true));
        for (int i = 0; i < 20; ++i) record(traces, "turn");
        char one[2'000];
        const auto keep = [&stored](std::string_view record) {
            if (stored.size() == 3) return false;
            stored.emplace_back(record);
            return true;
        };
        EXPECT_FALSE(traces.exporter().move_to(keep, std::span(one, 10)));
        EXPECT_FALSE(traces.exporter().move_to(keep, one));
        const auto counts = traces.exporter().counts();
        EXPECT_EQ(counts.sent, 3U);
        EXPECT_EQ(counts.waiting + counts.dropped, 17U);
        EXPECT_TRUE(traces.exporter().move_to([](std::string_view) { return true; }, one));
        EXPECT_EQ(traces.exporter().counts().waiting, 0U);
    }
    for (const std::uint32_t stream : {77U, 78U}) { // this start of the device, and the next one
        std::uint32_t sequence = 0;
        for (const std::string& record : stored) {
            auto encoder = mt::frame_of(record, stream, device_time);
            char bytes[2'000];
            decoder.read({bytes, encoder.read(bytes, sizeof bytes)}, [&](const mt::frame& frame) {
                EXPECT_EQ(frame.sequence, sequence++);
                EXPECT_EQ(frame.clock, stream == 77 ? device_time() : 0);
                EXPECT_EQ(mt::read_record(frame, 0).trace.span_count(), 2U);
            });
        }
        EXPECT_EQ(sequence, 3U);
    }
}

TEST_F(framed, IsAcknowledgedWhileItIsSentOnceMore) {
    tracer traces(options(true));
    record(traces, "one");
    auto& to = traces.exporter();
    EXPECT_TRUE(to.send());
    to.resend();
    char chunk[100];
    ASSERT_EQ(to.drain(chunk), sizeof chunk);
    acknowledge(to, 0);
    record(traces, "two");
    EXPECT_TRUE(to.send());
    arrived();
    acknowledge(to, 1);
    EXPECT_EQ(to.counts().waiting, 0U);
    EXPECT_EQ(to.counts().sent, 2U);
}

TEST_F(framed, MovesARecordThatIsBeingSent) {
    for (const bool is_acknowledged : {false, true}) {
        tracer traces(options(is_acknowledged));
        auto& to = traces.exporter();
        for (int i = 0; i < 2; ++i) record(traces, "turn");
        char chunk[100];
        ASSERT_EQ(to.drain(chunk), sizeof chunk);
        int moved = 0;
        char one[2'000];
        EXPECT_TRUE(to.move_to([&moved](std::string_view) { return ++moved < 10; }, one));
        EXPECT_EQ(moved, 2);
        EXPECT_EQ(to.counts().sent, 2U);
        record(traces, "next");
        EXPECT_TRUE(to.send());
        EXPECT_EQ(arrived(), std::vector<std::uint32_t>{2});
    }
}

TEST_F(framed, DoesNotMoveWhatWasAcknowledgedWhileItIsSentOnceMore) {
    tracer traces(options(true));
    auto& to = traces.exporter();
    for (int i = 0; i < 2; ++i) record(traces, "turn");
    EXPECT_TRUE(to.send());
    to.resend();
    char chunk[100];
    ASSERT_EQ(to.drain(chunk), sizeof chunk);
    acknowledge(to, 0);
    int moved = 0;
    char one[2'000];
    EXPECT_TRUE(to.move_to([&moved](std::string_view) { return ++moved < 10; }, one));
    EXPECT_EQ(moved, 1);
    EXPECT_EQ(to.counts().sent, 2U);
}

// The place of a record that was acknowledged while it was sent once more is free once that has ended in any way.
TEST_F(framed, FreesWhatWasAcknowledgedWhileItWasSentOnceMore) {
    memory.resize(700); // for one record
    for (const bool link_fails : {false, true}) {
        tracer traces(options(true));
        auto& to = traces.exporter();
        record(traces, "one");
        EXPECT_TRUE(to.send());
        to.resend();
        char chunk[100];
        ASSERT_EQ(to.drain(chunk), sizeof chunk);
        acknowledge(to, 0);
        if (link_fails) {
            room = 0;
            EXPECT_FALSE(to.send());
            room = SIZE_MAX;
        } else {
            to.resend();
        }
        record(traces, "two");
        EXPECT_EQ(to.counts().dropped, 0U);
        EXPECT_EQ(to.counts().waiting, 1U);
    }
}

class framed_with_a_full_ring : public framed, public testing::WithParamInterface<mt::ring_full> {};

TEST_P(framed_with_a_full_ring, CountsEveryDrop) {
    tracer traces(options(false, GetParam()));
    auto& to = traces.exporter();
    constexpr std::uint32_t count = 5'000;
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < count; ++i) {
        record(traces, "turn");
        char chunk[256]; // now a part of a frame, which drop_oldest may tear, now the rest of one
        sent.append(chunk, to.drain({chunk, 1 + i * 37 % sizeof chunk}));
        const auto counts = to.counts();
        ASSERT_EQ(counts.recorded, i + 1);
        ASSERT_EQ(counts.sent + counts.dropped + counts.waiting, i + 1);
    }
    EXPECT_TRUE(to.send());
    all = arrived();
    EXPECT_EQ(all.size() + to.counts().dropped, count);
    EXPECT_GT(to.counts().dropped, count / 2);
    const bool has_newest = all.back() == count - 1;
    EXPECT_EQ(has_newest, GetParam() == mt::ring_full::drop_oldest);
}

INSTANTIATE_TEST_SUITE_P(policies, framed_with_a_full_ring,
                         testing::Values(mt::ring_full::drop_newest, mt::ring_full::drop_oldest));

TEST_F(framed, DropsWhatIsLargerThanTheRing) {
    tracer traces(options(false));
    {
        auto trace = traces.start_trace("large");
        trace.inputs(std::string(5'000, 'x'));
    }
    record(traces, "small");
    {
        auto trace = traces.start_trace("larger than a frame");
        trace.inputs(std::string(70'000, 'x'));
    }
    EXPECT_EQ(traces.exporter().counts().dropped, 2U);
    EXPECT_EQ(traces.account().failed, 2U);
    EXPECT_TRUE(traces.exporter().send());
    EXPECT_EQ(arrived(), std::vector<std::uint32_t>{1});
}

} // namespace
