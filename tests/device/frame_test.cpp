// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/spool/checksum.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace mt = mlflow::trace;
namespace framing = mt::detail::framing;
using namespace std::string_view_literals;

namespace {

std::uint64_t some_time() noexcept { return 0x0102030405060708; }

std::string encoded(std::string_view payload, std::uint32_t sequence = 5, mt::frame_encoder::clock now = some_time) {
    const framing::header header(mt::frame_kind::record, static_cast<std::uint16_t>(payload.size()), 0x11223344,
                                 sequence);
    const std::string content = std::string(header.view()) + std::string(payload);
    const auto first = content.size() / 2; // as if it went over the end of a ring
    mt::frame_encoder encoder(std::string_view(content).substr(0, first), std::string_view(content).substr(first),
                              framing::crc_of(content, framing::crc_begin), now);
    std::string bytes;
    char byte = 0;
    while (encoder.read(&byte, 1) == 1) bytes += byte;
    return bytes;
}

template <class Decoder>
std::vector<std::string> payloads(Decoder& decoder, std::string_view bytes) {
    std::vector<std::string> found;
    decoder.read(bytes, [&found](const mt::frame& frame) { found.emplace_back(frame.payload); });
    return found;
}

TEST(Frame, HasTheCrcOfRfc3720) {
    EXPECT_EQ(~framing::crc_of("123456789"sv, framing::crc_begin), 0xe3069283U);
    for (std::size_t size = 0; size < 300; ++size) {
        const std::string text(size, static_cast<char>(size));
        EXPECT_EQ(static_cast<std::uint32_t>(~framing::crc_of(text, framing::crc_begin)), mt::detail::crc32c(text));
    }
}

TEST(Frame, IsTheBytesThatItsTableSays) {
    EXPECT_EQ(encoded("a\0b"sv, 5, nullptr).substr(0, 15), "\0\x04\x01\x01\x03\x06\x44\x33\x22\x11\x05\x01\x01\x02"sv
                                                           "a");
    EXPECT_EQ(encoded("").size(), 27U);
}

TEST(Frame, IsReadAsItWasWritten) {
    const auto decoder = std::make_unique<mt::frame_decoder<>>();
    for (const unsigned size :
         {0U, 1U, 2U, 229U, 230U, 241U, 242U, 243U, 254U, 255U, 508U, 509U, 762U, 1'000U, 65'535U})
        for (const int kind : {0, 1, 2}) { // zeros, none, and some
            std::string payload(size, kind == 1 ? 'x' : '\0');
            for (std::size_t i = 0; kind == 2 && i < size; ++i) payload[i] = static_cast<char>(i * i % 251);
            const auto bytes = encoded(payload);
            EXPECT_LE(bytes.size(), size + 28 + size / 254);
            EXPECT_EQ(bytes.find('\0', 1), bytes.size() - 1);
            EXPECT_EQ(payloads(*decoder, bytes), std::vector<std::string>{payload}) << size;
        }
    EXPECT_EQ(decoder->damaged(), 0U);
}

TEST(Frame, TellsItsNumbers) {
    const auto decoder = std::make_unique<mt::frame_decoder<>>();
    decoder->read(encoded("content"), [](const mt::frame& frame) {
        EXPECT_EQ(frame.kind, mt::frame_kind::record);
        EXPECT_EQ(frame.stream, 0x11223344U);
        EXPECT_EQ(frame.sequence, 5U);
        EXPECT_EQ(frame.clock, some_time());
    });
    EXPECT_EQ(decoder->frames(), 1U);
}

TEST(Frame, OfAnAcknowledgementIsReadAsOne) {
    const std::string record = std::string(framing::header(mt::frame_kind::record, 1, 7, 0xff00'0000).view()) + "x";
    for (const auto& each :
         {std::tuple{7U, 0xff00'0000U, true}, {7U, 0xff00'0001U, false}, {8U, 0xff00'0000U, false}}) {
        // Clang before 16 captures no structured bindings.
        const std::uint32_t stream = std::get<0>(each), sequence = std::get<1>(each);
        const bool is_its = std::get<2>(each);
        const auto bytes = mt::acknowledgement_of(stream, sequence);
        mt::frame_decoder<0> decoder;
        int count = 0;
        decoder.read({bytes.data(), bytes.size()}, [&](auto& found) {
            ++count;
            EXPECT_EQ(found.kind, mt::frame_kind::acknowledgement);
            EXPECT_EQ(found.stream, stream);
            EXPECT_EQ(found.sequence, sequence);
            EXPECT_EQ(found.clock, 0U);
            EXPECT_EQ(mt::acknowledges(found, record), is_its);
            EXPECT_FALSE(mt::acknowledges(found, std::string_view(record).substr(0, 11)));
        });
        EXPECT_EQ(count, 1);
        EXPECT_EQ(decoder.damaged(), 0U);
    }
    mt::frame other{.kind = mt::frame_kind::record, .stream = 7, .sequence = 0xff00'0000, .clock = 0, .payload = {}};
    EXPECT_FALSE(mt::acknowledges(other, record));
}

TEST(FrameDecoder, TakesNoFrameThatIsTornOrAltered) {
    const auto decoder = std::make_unique<mt::frame_decoder<>>();
    const auto whole = encoded("a payload \0 of some bytes"sv);
    for (std::size_t size = 1; size < whole.size() - 1; ++size) {
        EXPECT_EQ(payloads(*decoder, whole.substr(0, size) + whole).size(), 1U) << size;  // its end is missing
        EXPECT_EQ(payloads(*decoder, whole.substr(size + 1) + whole).size(), 1U) << size; // its begin is
    }
    for (std::size_t at = 0; at < whole.size() * 8; ++at) {
        std::string altered = whole;
        altered[at / 8] = static_cast<char>(altered[at / 8] ^ 1 << at % 8);
        const auto before = decoder->damaged();
        EXPECT_EQ(payloads(*decoder, whole + altered + whole).size(), 2U) << at;
        EXPECT_GT(decoder->damaged(), before) << at;
    }
}

TEST(FrameDecoder, PassesOverWhatIsTooLong) {
    mt::frame_decoder<10> decoder;
    EXPECT_TRUE(payloads(decoder, encoded(std::string(11, 'x'))).empty());
    EXPECT_EQ(decoder.damaged(), 1U);
    EXPECT_EQ(payloads(decoder, encoded(std::string(10, 'x'))).size(), 1U);
}

TEST(FrameDecoder, TakesNoOtherVersion) {
    std::string bytes = encoded("x");
    bytes[2] = 2;
    mt::frame_decoder<10> decoder;
    EXPECT_TRUE(payloads(decoder, bytes).empty());
    EXPECT_EQ(decoder.damaged(), 1U);
}

} // namespace
