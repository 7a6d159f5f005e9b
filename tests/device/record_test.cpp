// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/device/record.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mt = mlflow::trace;
namespace record = mt::detail::device_record;

namespace {

struct text_out {
    std::string bytes;
    void put(std::string_view part) noexcept { bytes += part; }
};

// Records with `write` what a tracer passes to its exporter.
struct recording {
    struct options {
        std::string* into = nullptr;
    };
    explicit recording(options chosen) : into_(chosen.into) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        for (const mt::trace_data& trace : batch) {
            text_out out;
            record::write(out, trace, {"device-7", "1.2"}, 300);
            *into_ = out.bytes;
        }
        outcome.exported_spans = batch.span_count();
        return outcome;
    }

private:
    std::string* into_;
};

std::string recorded() {
    std::string bytes;
    mt::tracer<mt::open_schema, mt::thread_local_context, recording> tracer({.exporter = {&bytes}});
    auto trace = tracer.start_trace("turn", mt::user{"user-1"}, mt::tag{"stage", "test"});
    trace.inputs(std::string(1'000, 'x'));
    tracer.start_span("step").attribute("n", 1);
    trace.end();
    return bytes;
}

TEST(DeviceRecord, IsTheTraceInTheFormatOfASpool) {
    const std::string bytes = recorded();
    mt::trace_data* const trace = mt::detail::spool_format::decode_record(bytes);
    ASSERT_TRUE(trace);
    const mt::trace_batch owner(trace);
    const auto decoded = mt::decode(*trace);
    EXPECT_EQ(decoded.spans.size(), 2U);
    EXPECT_EQ(decoded.metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(decoded.tags["stage"], "test");
    ASSERT_TRUE(trace->root);
    EXPECT_TRUE(trace->root->is_root);
}

TEST(DeviceRecord, HasWhatTheReceiverHasToKnowOfTheDevice) {
    const std::string bytes = recorded();
    std::string device, firmware;
    std::uint64_t dropped = 0;
    for (mt::detail::protobuf_reader at(bytes); at.next();) {
        if (at.field() == record::device) device = at.bytes();
        if (at.field() == record::firmware) firmware = at.bytes();
        if (at.field() == record::dropped) dropped = at.number();
    }
    EXPECT_EQ(device, "device-7");
    EXPECT_EQ(firmware, "1.2");
    EXPECT_EQ(dropped, 300U);
}

TEST(DeviceRecord, IsCountedBeforeItIsWritten) {
    record::size_counter counter;
    const record::writer to(counter);
    const auto content = [](const auto& in) {
        in.number(1, 300);
        in.fixed64(2, 1);
        in.bytes(3, "abc");
    };
    content(to);
    text_out out;
    content(record::writer(out));
    EXPECT_EQ(out.bytes.size(), counter.size());
    text_out nested;
    record::writer(nested).message(4, content);
    EXPECT_EQ(nested.bytes, "\x22" + std::string(1, static_cast<char>(counter.size())) + out.bytes);
}

} // namespace
