// SPDX-License-Identifier: Apache-2.0
#include "support/spool_folder.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace spool_testing;
using segment = mt::detail::spool_segment<mt::posix_files>;

// What a tracer records, as the bytes of records.
struct recording_to_bytes {
    struct options {
        std::uint64_t marker = 0;
        std::vector<std::string>* into = nullptr;
    };
    explicit recording_to_bytes(options chosen) : into(chosen) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        for (const mt::trace_data& trace : batch) {
            mt::detail::buffer record;
            EXPECT_TRUE(mt::detail::spool_format::append_record(record, into.marker, trace));
            into.into->emplace_back(record.view());
        }
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    options into;
};
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, recording_to_bytes>;

class spool_segment : public in_a_folder {
protected:
    void SetUp() override {
        in_a_folder::SetUp();
        ASSERT_EQ(mt::detail::make_folder(folder).message(), "");
        written = segment::create(folder, mt::detail::segment_name::waiting);
        ASSERT_TRUE(written);
        tracer_type tracer({.exporter = {written->marker(), &records}});
        for (int i = 0; i < 5; ++i) {
            auto trace = tracer.start_trace(std::to_string(i), mt::user{"user-1"}, mt::session{"session-1"});
            trace.inputs(std::string(static_cast<std::size_t>(40 * i), 'x'));
        }
    }

    [[nodiscard]] std::string all() const {
        std::string joined;
        for (const std::string& record : records) joined += record;
        return joined;
    }
    // The names of the roots that are found in these bytes.
    std::vector<std::string> found_in(std::string_view bytes, mt::spool_damage* damage = nullptr) {
        write_file(written->path(), bytes);
        return segment_names(damage, written->marker());
    }
    std::vector<std::string> segment_names(mt::spool_damage* damage, std::uint64_t marker) {
        const std::string path = written->path();
        const mt::detail::owned_file file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        mt::detail::spool_reader<mt::posix_files> reader(file.get(), marker, 0, std::filesystem::file_size(path));
        std::vector<std::string> names;
        for (std::string_view content; (content = reader.next()).data();) {
            mt::trace_data* const trace = mt::detail::spool_format::decode_record(content);
            if (!trace) {
                ADD_FAILURE() << "a record that is whole but not read";
                continue;
            }
            mt::trace_batch owner(trace);
            names.push_back(mt::decode(*trace).spans.at(0).name);
        }
        EXPECT_FALSE(reader.failed());
        if (damage) *damage = reader.damage();
        return names;
    }

    std::unique_ptr<segment> written;
    std::vector<std::string> records;
};

const std::vector<std::string> all_names{"0", "1", "2", "3", "4"};

TEST(crc32c, is_the_one_of_rfc_3720) {
    EXPECT_EQ(mt::detail::crc32c("123456789"), 0xe3069283U);
    EXPECT_EQ(mt::detail::crc32c(std::string(32, '\0')), 0x8a9136aaU);
    EXPECT_EQ(mt::detail::crc32c(std::string(32, '\xff')), 0x62a8ab43U);
    EXPECT_EQ(mt::detail::crc32c("6789", mt::detail::crc32c("12345")), 0xe3069283U);
}

TEST_F(spool_segment, gives_back_what_was_written) {
    mt::spool_damage damage;
    EXPECT_EQ(found_in(all(), &damage), all_names);
    EXPECT_EQ(damage.places, 0U);
    EXPECT_EQ(found_in("", &damage), std::vector<std::string>{});
}

TEST_F(spool_segment, torn_at_every_byte_of_its_last_record_loses_no_other) {
    const std::string before = all().substr(0, all().size() - records.back().size());
    std::vector<std::string> names = all_names;
    names.pop_back();
    for (std::size_t size = 0; size < records.back().size(); ++size) {
        mt::spool_damage damage;
        const std::string lost = records.back().substr(size);
        const std::string torn = before + records.back().substr(0, size);
        ASSERT_EQ(found_in(torn, &damage), names) << size;
        ASSERT_EQ(damage.bytes, size);
        // Whoever writes on behind it.
        if (records[0].starts_with(lost)) continue; // by chance it is not torn then: the next test
        names.push_back("0");
        ASSERT_EQ(found_in(torn + records[0], &damage), names) << size;
        ASSERT_EQ(damage.bytes, size);
        ASSERT_EQ(damage.places, size == 0 ? 0U : 1U);
        names.pop_back();
    }
}

TEST_F(spool_segment, is_read_to_its_end_where_it_is_shorter_than_it_was) {
    const std::string complete = all();
    const mt::detail::owned_file file(::open(written->path().c_str(), O_RDONLY | O_CLOEXEC));
    for (std::size_t size = 0; size < complete.size(); size += 7) {
        write_file(written->path(), complete.substr(0, size));
        mt::detail::spool_reader<mt::posix_files> reader(file.get(), written->marker(), 0, complete.size());
        std::size_t read = 0;
        for (std::string_view content; (content = reader.next()).data();)
            read += mt::detail::spool_format::header_size + content.size();
        ASSERT_EQ(reader.position(), complete.size()) << size;
        ASSERT_EQ(reader.damage().bytes, complete.size() - read) << size;
        ASSERT_EQ(reader.damage().places, 1U) << size;
        ASSERT_FALSE(reader.failed());
    }
}

TEST_F(spool_segment, torn_where_the_next_record_begins_with_what_is_missing_loses_neither) {
    for (const std::size_t missing : {1U, 4U, 7U}) {
        std::string marker = records[1].substr(records[1].size() - missing);
        marker.resize(8, '\x5a');
        const std::string torn = marker + records[1].substr(8, records[1].size() - 8 - missing);
        const std::string next = marker + records[0].substr(8);
        std::uint64_t number = 0;
        std::memcpy(&number, marker.data(), sizeof number); // as it is written, little-endian
        mt::spool_damage damage;
        write_file(written->path(), torn + next);
        EXPECT_EQ(segment_names(&damage, number), (std::vector<std::string>{"1", "0"})) << missing;
        EXPECT_EQ(damage.bytes, 0U);
        EXPECT_EQ(damage.places, 0U);
    }
}

TEST_F(spool_segment, ten_thousand_bit_flips_lose_the_damaged_record_alone) {
    std::mt19937 random(20'261'123);
    const std::string good = all();
    write_file(written->path(), good);
    const mt::detail::owned_file file(::open(written->path().c_str(), O_RDWR | O_CLOEXEC));
    const auto put = [&](char byte, std::size_t at) {
        ASSERT_EQ(::pwrite(file.get(), &byte, 1, static_cast<off_t>(at)), 1);
    };
    for (int flip = 0; flip < 10'000; ++flip) {
        const std::size_t at = random() % good.size();
        std::vector<std::string> names;
        std::size_t end = 0;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const bool is_damaged = end <= at && at < end + records[i].size();
            if (!is_damaged) names.push_back(all_names[i]);
            end += records[i].size();
        }
        put(static_cast<char>(good[at] ^ (1 << random() % 8)), at);
        mt::spool_damage damage;
        ASSERT_EQ(segment_names(&damage, written->marker()), names) << "byte " << at;
        ASSERT_EQ(damage.places, 1U);
        put(good[at], at);
    }
}

TEST_F(spool_segment, garbage_of_any_kind_is_survived) {
    std::mt19937 random(7);
    for (int run = 0; run < 300; ++run) {
        std::string garbage(random() % 200'000, '\0');
        for (char& byte : garbage) byte = static_cast<char>(random());
        mt::spool_damage damage;
        ASSERT_EQ(found_in(garbage + all() + garbage, &damage), all_names);
        ASSERT_EQ(damage.bytes, 2 * garbage.size());
    }
    std::string markers; // each the beginning of a record, by its looks
    for (int i = 0; i < 20'000; ++i) markers += records[0].substr(0, 8);
    EXPECT_EQ(found_in(markers + all()), all_names);
}

TEST_F(spool_segment, what_a_user_wrote_does_not_pass_for_a_record) {
    namespace format = mt::detail::spool_format;
    // A whole record inside a value of another, which is then damaged. Only who knows the marker can forge it.
    for (const std::uint64_t marker : {written->marker() + 1, written->marker()}) {
        const std::string_view content = std::string_view(records[0]).substr(format::header_size);
        mt::trace_batch batch(format::decode_record(content));
        mt::detail::buffer forged;
        ASSERT_TRUE(format::append_record(forged, marker, *batch.begin()));
        mt::trace_data* const around = batch.pop_front();
        ASSERT_TRUE(around->entries.set(mt::entry_kind::tag, "key", forged.view()));
        batch.push_back(around);
        mt::detail::buffer record;
        ASSERT_TRUE(format::append_record(record, written->marker(), *around));
        std::string bytes(record.view());
        bytes[mt::detail::spool_format::header_size] ^= 1;
        EXPECT_EQ(found_in(bytes).size(), marker == written->marker() ? 1U : 0U);
    }
}

TEST_F(spool_segment, belongs_to_one_at_a_time) {
    const auto name = std::filesystem::path(written->path()).filename().string();
    EXPECT_FALSE(segment::adopt(folder, name));
    ASSERT_TRUE(written->append(all()));
    written.reset();
    const auto adopted = segment::adopt(folder, name);
    ASSERT_TRUE(adopted);
    EXPECT_EQ(adopted->size(), all().size());
    EXPECT_FALSE(segment::adopt(folder, name));
    ASSERT_TRUE(adopted->remove());
    EXPECT_TRUE(adopted->remove()) << "removed already is as good";
    EXPECT_FALSE(segment::adopt(folder, name));
    EXPECT_EQ(files().size(), 0U);
}

} // namespace
