// SPDX-License-Identifier: Apache-2.0
#include "support/spool_folder.hpp"
#include <mlflow/trace/spool/segment_name.hpp>

#include <cerrno>
#include <string>
#include <vector>

namespace {

using namespace spool_testing;

TEST(segment_name, are_read_strictly) {
    using mt::detail::segment_name;
    const segment_name name{0x0123456789abcdef, 0xfedcba9876543210};
    EXPECT_EQ(name.text(), "0123456789abcdef-fedcba9876543210.spool");
    const auto parsed = segment_name::parse(name.text());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->created_nano, name.created_nano);
    EXPECT_EQ(parsed->marker, name.marker);
    EXPECT_EQ(segment_name::parse("0123456789abcdef-fedcba9876543210.rejected")->kind, segment_name::rejected);
    for (const char* const other :
         {"", ".", "..", ".spool", "0123456789abcdef_fedcba9876543210.spool",
          "0123456789abcdef-fedcba987654321g.spool", "123456789abcdef-fedcba9876543210.spool",
          "0123456789abcdef-fedcba9876543210.spool.bak"})
        EXPECT_FALSE(segment_name::parse(other)) << other;
}

class segments_in : public in_a_folder {};

TEST_F(segments_in, are_listed_oldest_first_without_other_files) {
    const std::string older = "0000000000000001-ffffffffffffffff.spool";
    const std::string newer = "0000000000000002-0000000000000000.rejected";
    for (const std::string& name : {newer, older, std::string("notes.txt"), older + ".bak"})
        write_file(root / name, "x");
    EXPECT_EQ(mt::detail::segments_in(root), (std::vector<std::string>{older, newer}));
}

TEST_F(segments_in, a_directory_that_cannot_be_read_is_told_from_an_empty_one) {
    EXPECT_TRUE(mt::detail::segments_in(root).empty());
    EXPECT_EQ(errno, 0);
    EXPECT_TRUE(mt::detail::segments_in(root / "missing").empty());
    EXPECT_EQ(errno, ENOENT);
}

} // namespace
