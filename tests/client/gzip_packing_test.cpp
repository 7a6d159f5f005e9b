// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/gzip_packing.hpp>

#include <gtest/gtest.h>

#include <string>

namespace mt = mlflow::trace;

namespace {

TEST(GzipPacking, OfPiecesIsOneFile) {
    const auto packing = mt::gzip_packing();
    const auto packer = packing.open();
    std::string file;
    EXPECT_TRUE(packer->pack("one ", false, file));
    EXPECT_TRUE(packer->pack("", false, file));
    EXPECT_TRUE(packer->pack("two", true, file));
    const auto unpacker = packing.unpacking.open();
    std::string text;
    EXPECT_TRUE(unpacker->unpack(file, text));
    EXPECT_TRUE(unpacker->is_complete());
    EXPECT_EQ(text, "one two");
}

TEST(GzipPacking, OfRepeatedTextIsShort) {
    std::string file;
    EXPECT_TRUE(mt::gzip_packing().open()->pack(std::string(1'000'000, 'x'), true, file));
    EXPECT_LT(file.size(), 2'000U);
}

} // namespace
