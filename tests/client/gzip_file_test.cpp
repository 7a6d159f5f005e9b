// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/gzip_file.hpp>
#include <mlflow/trace/client/gzip_packing.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

std::string packed(std::string_view text) {
    const auto packer = mt::gzip_packing().open();
    std::string out;
    EXPECT_TRUE(packer->pack(text, true, out));
    return out;
}

TEST(GzipFile, IsRecognisedByItsFirstBytes) {
    const auto format = mt::gzip_compression();
    EXPECT_EQ(format.name, "gzip");
    EXPECT_TRUE(packed("x").starts_with(format.magic));
}

TEST(GzipFile, IsUnpackedInPiecesOfAnySize) {
    std::string text;
    std::mt19937 random(1);
    while (text.size() < 300'000) text += std::to_string(random()); // larger than a block when packed
    const std::string file = packed(text);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1'000}, file.size()}) {
        const auto unpacker = mt::gzip_compression().open();
        std::string out;
        for (std::size_t at = 0; at < file.size(); at += piece)
            ASSERT_TRUE(unpacker->unpack(std::string_view(file).substr(at, piece), out));
        EXPECT_TRUE(unpacker->is_complete());
        EXPECT_TRUE(out == text) << piece;
    }
}

TEST(GzipFile, MayHaveSeveralMembersAndZerosAtItsEnd) {
    const auto unpacker = mt::gzip_compression().open();
    std::string out;
    ASSERT_TRUE(unpacker->unpack(packed("one ") + packed("two") + std::string(512, '\0'), out));
    EXPECT_EQ(out, "one two");
    EXPECT_TRUE(unpacker->is_complete());
}

TEST(GzipFile, ThatWasCutOrDamagedIsToldFromAWholeOne) {
    const std::string whole = packed("some text that is long enough to be cut");
    const auto cut = mt::gzip_compression().open();
    std::string out;
    EXPECT_TRUE(cut->unpack(whole.substr(0, whole.size() - 1), out));
    EXPECT_FALSE(cut->is_complete());
    std::string damaged = whole;
    damaged[damaged.size() - 6] ^= 1; // of the checksum
    EXPECT_FALSE(mt::gzip_compression().open()->unpack(damaged, out));
    EXPECT_FALSE(mt::gzip_compression().open()->unpack("no gzip", out));
}

} // namespace
