// SPDX-License-Identifier: Apache-2.0
#include "support/spool_folder.hpp"
#include <mlflow/trace/spool/reader.hpp>

#include <cstdint>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace spool_testing;
namespace format = mt::detail::spool_format;
constexpr std::uint64_t marker = 0x0123456789abcdef;

class spool_reader : public in_a_folder {
protected:
    static std::string record(std::string_view content) {
        mt::detail::buffer out;
        EXPECT_TRUE(format::append_record_of(out, marker, [&] { return out.append(content); }));
        return std::string(out.view());
    }
    std::vector<std::string> read(std::string_view bytes, std::uint64_t end = ~std::uint64_t{0}) {
        const std::string path = root / "a.spool";
        write_file(path, bytes);
        const mt::detail::owned_file file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        mt::detail::spool_reader<mt::posix_files> reader(file.get(), marker, 0,
                                                         end == ~std::uint64_t{0} ? bytes.size() : end);
        std::vector<std::string> contents;
        for (std::string_view content; (content = reader.next()).data();) contents.emplace_back(content);
        EXPECT_FALSE(reader.failed());
        damage = reader.damage();
        return contents;
    }
    mt::spool_damage damage;
};

TEST_F(spool_reader, reads_records_in_their_order) {
    const std::string large(200'000, 'x'); // more than its window
    EXPECT_EQ(read(record("one") + record(large) + record("")), (std::vector<std::string>{"one", large, ""}));
    EXPECT_EQ(damage.places, 0U);
    EXPECT_TRUE(read("").empty());
    EXPECT_EQ(damage.places, 0U);
}

TEST_F(spool_reader, skips_damage_and_counts_it) {
    std::string middle = record("damaged");
    middle.back() ^= 1;
    EXPECT_EQ(read("noise" + record("one") + middle + record("two") + "end"),
              (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(damage.places, 3U);
    EXPECT_EQ(damage.bytes, 5 + middle.size() + 3);
}

TEST_F(spool_reader, counts_what_is_missing_at_the_end_of_a_shorter_file) {
    const std::string one = record("one");
    EXPECT_EQ(read(one, one.size() + 100), std::vector<std::string>{"one"});
    EXPECT_EQ(damage.places, 1U);
    EXPECT_EQ(damage.bytes, 100U);
}

TEST_F(spool_reader, records_of_another_file_are_damage) {
    std::string other = record("other");
    other[0] ^= 1; // of the marker
    EXPECT_EQ(read(other + record("one")), std::vector<std::string>{"one"});
    EXPECT_EQ(damage.bytes, other.size());
}

TEST_F(spool_reader, a_file_that_cannot_be_read_is_not_an_empty_one) {
    const mt::detail::owned_file folder_itself(::open(root.c_str(), O_RDONLY | O_CLOEXEC));
    mt::detail::spool_reader<mt::posix_files> reader(folder_itself.get(), marker, 0, 100);
    EXPECT_FALSE(reader.next().data());
    EXPECT_TRUE(reader.failed());
}

} // namespace
