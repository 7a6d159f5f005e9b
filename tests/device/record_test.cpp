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

// What `write` writes.
template <class Write>
std::string written(const Write& write) {
    mt::record_sink counted;
    write(counted);
    std::string memory(counted.size() + mt::record_ring::cost, '\0');
    mt::record_ring ring(memory, mt::ring_full::drop_newest);
    EXPECT_TRUE(ring.begin(counted.size(), [](mt::record_ring::place) {}));
    mt::record_sink sink(ring);
    write(sink);
    ring.end();
    EXPECT_EQ(sink.size(), counted.size());
    return std::string(ring.bytes(ring.front()).first);
}

// Records with `write` what a tracer passes to its exporter.
struct recording {
    struct options {
        std::string* into = nullptr;
    };
    explicit recording(options chosen) : into_(chosen.into) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        for (const mt::trace_data& trace : batch)
            *into_ = written([&trace](mt::record_sink& out) {
                record::write(out, trace);
                record::write(out, {"device-7", "1.2"}, 300);
            });
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
    const auto content = [](mt::record_sink& in) {
        in.number(1, 300);
        in.fixed64(2, 1);
        in.bytes(3, std::string(200, 'x'));
    };
    const std::string bytes = written(content);
    EXPECT_EQ(bytes, std::string("\x08\xac\x02\x11\1\0\0\0\0\0\0\0\x1a\xc8\1", 15) + std::string(200, 'x'));
    const std::string nested = written([&content](mt::record_sink& out) { out.message(4, content); });
    EXPECT_EQ(nested, "\x22\xd7\1" + bytes);
}

} // namespace
