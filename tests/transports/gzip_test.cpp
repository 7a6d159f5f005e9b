// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/transports/gzip.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <zlib.h>

namespace mt = mlflow::trace;

namespace {

using transport = mt::gzip_transport<mt::memory_transport>;

std::string decompressed(std::string_view bytes) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK); // gzip alone
    std::string text(1'000'000, '\0');
    std::string in(bytes);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(text.data());
    stream.avail_out = static_cast<uInt>(text.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    text.resize(stream.total_out);
    inflateEnd(&stream);
    return text;
}

mt::memory_server::request sent(std::string_view body, std::string_view type, transport::options options = {}) {
    auto server = std::make_shared<mt::memory_server>();
    options.transport = {server};
    transport sender({"http", "h", 80, ""}, options);
    const mt::http_header headers[] = {{"content-type", type}, {"X-Other", "kept"}};
    for (int i = 0; i < 2; ++i) // the second time in the memory of the first
        EXPECT_TRUE(
            sender.send({.method = mt::http_method::post, .target = "/v1/traces", .headers = headers, .body = body}));
    const auto requests = server->requests();
    EXPECT_EQ(requests.front().body, requests.back().body);
    EXPECT_EQ(requests.back().header("X-Other"), "kept");
    return requests.back();
}

constexpr std::string_view protobuf = "application/x-protobuf";

TEST(GzipTransport, CompressesSpans) {
    for (const std::string& body :
         {std::string(100'000, 'x'), std::string(1024, '\0'), std::string(5000, '\xff') + "\x1f\x8b"}) {
        const auto request = sent(body, protobuf);
        EXPECT_EQ(request.header("Content-Encoding"), "gzip");
        EXPECT_LT(request.body.size(), body.size() / 2);
        EXPECT_EQ(decompressed(request.body), body);
    }
    std::string noise;
    for (unsigned i = 0, x = 1; i < 10'000; ++i)
        noise += static_cast<char>((x = x * 1'664'525U + 1'013'904'223U) >> 24U);
    EXPECT_EQ(decompressed(sent(noise, protobuf).body), noise);
}

TEST(GzipTransport, LeavesTheRestAsItIs) {
    const std::string body(2000, 'x');
    for (const auto& request :
         {sent(body, "application/json"), sent(body.substr(0, 1023), protobuf), sent("", protobuf),
          sent(body, protobuf, {.compress = false}), sent(body, protobuf, {.at_least = 2001})}) {
        EXPECT_EQ(request.header("Content-Encoding"), "");
        EXPECT_EQ(request.body, std::string(request.body.size(), 'x'));
    }
    EXPECT_EQ(sent(body, protobuf, {.at_least = 2000}).header("Content-Encoding"), "gzip");
}

} // namespace
