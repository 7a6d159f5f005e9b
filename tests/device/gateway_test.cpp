// SPDX-License-Identifier: Apache-2.0
// What the example's gateway acknowledges, with a spool that cannot store everything.
#include "examples/device_gateway/collector.hpp"
#include "support/spool_folder.hpp"
#include "support/spool_sink.hpp"
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/spool/spool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;
namespace mt = mlflow::trace;

// POSIX, but for the next syncs.
struct unsynced_files : mt::posix_files {
    static inline std::atomic<int> failures{0};
    static int sync(int file) {
        if (failures <= 0) return posix_files::sync(file);
        --failures;
        errno = EIO;
        return -1;
    }
};

std::vector<std::string> frames(std::size_t count, std::string_view id = "kitchen-1", std::uint32_t stream = 9) {
    using exporter = mt::framed_exporter<>;
    std::vector<char> ring(64 * 1024);
    std::vector<char> chunk(4'000);
    mt::tracer<mt::open_schema, mt::explicit_context, exporter> device(
        exporter::options{.ring = ring, .device = {.id = id, .firmware = "1"}, .stream = stream});
    std::vector<std::string> all;
    for (std::size_t i = 0; i < count; ++i) {
        device.start_trace("turn", mt::user{"user-1"}).inputs(std::string(800, 'x'));
        all.emplace_back(chunk.data(), device.exporter().drain(chunk));
    }
    return all;
}

class a_gateway : public in_a_folder {
protected:
    template <class Files>
    using spool_of = mt::spool<sink_exporter, Files>;

    template <class Files>
    typename spool_of<Files>::options options() {
        typename spool_of<Files>::options chosen{.exporter = {into}, .folder = folder};
        chosen.durability = mt::spool_durability::power_loss;
        chosen.delay = 1ms;
        chosen.first_wait = 1ms;
        chosen.diagnostics.write = nullptr;
        return chosen;
    }

    // The device sends `sent` again and again; which ones are acknowledged?
    template <class Collector>
    std::set<std::size_t> acknowledged(Collector& collector, const std::vector<std::string>& sent) {
        for (const std::string& bytes : sent)
            decoder->read(bytes, [&](const mt::frame& frame) { collector.take({1, {}}, frame); });
        std::set<std::size_t> numbers;
        collector.store([&](const device_gateway::origin&, std::string_view bytes) {
            decoder->read(bytes, [&](const mt::frame& frame) { numbers.insert(frame.sequence); });
        });
        collector.store([](const device_gateway::origin&, std::string_view) {}); // nothing has come in between
        return numbers;
    }

    std::shared_ptr<sink> into = std::make_shared<sink>();
    std::unique_ptr<mt::frame_decoder<>> decoder = std::make_unique<mt::frame_decoder<>>();
};

TEST_F(a_gateway, acknowledges_what_fits_when_not_everything_fits) {
    auto chosen = options<mt::posix_files>();
    chosen.max_bytes = 5'000;                                // for half of them
    chosen.durability = mt::spool_durability::process_crash; // so that none is forwarded while others are written
    spool_of<mt::posix_files> spool(chosen);
    device_gateway::collector collector(spool);
    const auto sent = frames(8);
    std::set<std::size_t> all;
    for (int times = 0; times < 500 && all.size() < sent.size(); ++times) {
        all.merge(acknowledged(collector, sent));
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(all.size(), sent.size());
}

// Its traces begin with number 0 again at each start.
TEST_F(a_gateway, loses_nothing_of_a_device_without_a_number_for_each_start) {
    into->set_away(true);
    spool_of<mt::posix_files> spool(options<mt::posix_files>());
    device_gateway::collector collector(spool);
    for (const std::uint64_t stored : {3U, 6U}) {
        EXPECT_EQ(acknowledged(collector, frames(3, "kitchen-1", 0)), (std::set<std::size_t>{0, 1, 2}));
        EXPECT_EQ(spool.account().queued, stored);
    }
}

TEST_F(a_gateway, acknowledges_nothing_that_is_not_on_the_disk) {
    into->set_away(true);
    spool_of<unsynced_files> spool(options<unsynced_files>());
    device_gateway::collector collector(spool);
    const auto sent = frames(3);
    EXPECT_EQ(acknowledged(collector, {sent[0]}), (std::set<std::size_t>{0}));
    unsynced_files::failures = 1;
    EXPECT_EQ(acknowledged(collector, {sent[1], sent[1]}), std::set<std::size_t>());
    unsynced_files::failures = 0;
    EXPECT_EQ(acknowledged(collector, {sent[0], sent[1], sent[1], sent[2]}), (std::set<std::size_t>{0, 1, 2}));
}

// The account remembers 1,024 numbers.
TEST_F(a_gateway, counts_a_frame_once_however_often_it_cannot_be_stored) {
    into->set_away(true);
    spool_of<unsynced_files> spool(options<unsynced_files>());
    device_gateway::collector collector(spool);
    const auto sent = frames(1'100);
    const auto expect = [&](std::uint32_t received, std::uint32_t lost) {
        const auto row = collector.report().at(0);
        EXPECT_EQ(row.at("received"), received);
        EXPECT_EQ(row.at("lost"), lost);
    };
    unsynced_files::failures = 1;
    EXPECT_EQ(acknowledged(collector, sent).size(), 0U);
    expect(0, 1'100);
    unsynced_files::failures = 0;
    EXPECT_EQ(acknowledged(collector, {sent[0]}).size(), 1U);
    expect(1, 1'099);
    EXPECT_EQ(acknowledged(collector, sent).size(), 1'100U);
    expect(1'100, 0);
    for (int times = 0; times < 10; ++times) {
        unsynced_files::failures = 1;
        EXPECT_EQ(acknowledged(collector, {sent[0]}).size(), 0U);
        expect(1'100, 0);
    }
    unsynced_files::failures = 0;
    EXPECT_EQ(acknowledged(collector, sent).size(), 1'100U);
    expect(1'100, 0);
}

TEST_F(a_gateway, has_no_frame_in_the_name_of_another_device_than_that_of_the_topic) {
    spool_of<mt::posix_files> spool(options<mt::posix_files>());
    device_gateway::collector collector(spool);
    const std::string whole = frames(1).at(0);
    const auto publish = [&](std::string_view payload) {
        collector.take({0, "evil"}, {.kind = mt::frame_kind::record, .stream = 1, .payload = payload});
    };
    publish("\x3a\x06victim"); // no record but for the device ID, which is field 7
    publish("\x3a\x06victim\xff");
    decoder->read(whole, [&](const mt::frame& frame) { collector.take({0, "evil"}, frame); });
    EXPECT_EQ(collector.misnamed(), 3U);
    EXPECT_TRUE(collector.report().empty()) << collector.report();
    publish("");
    publish("noise that is no protobuf");
    publish("\x3a\x04"
            "evil");
    const auto report = collector.report();
    ASSERT_EQ(report.size(), 1U) << report;
    EXPECT_EQ(report[0].at("device"), "evil");
    EXPECT_EQ(report[0].at("unreadable"), 3U);
    EXPECT_EQ(collector.misnamed(), 3U);
    collector.store([](const device_gateway::origin&, std::string_view) { ADD_FAILURE() << "acknowledged"; });
}

TEST_F(a_gateway, has_no_record_without_a_device_from_a_topic) {
    spool_of<mt::posix_files> spool(options<mt::posix_files>());
    device_gateway::collector collector(spool);
    decoder->read(frames(1, "").at(0), [&](const mt::frame& frame) { collector.take({0, "evil"}, frame); });
    EXPECT_EQ(collector.misnamed(), 1U);
    EXPECT_TRUE(collector.report().empty()) << collector.report();
}

} // namespace
