// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <string>
#include <thread>
#include <vector>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;
using clock_type = std::chrono::steady_clock;

// The resolver of this program hangs for one name, as a resolver does whose servers do not answer.
namespace {
std::atomic<int> hanging_lookups{0};
std::atomic<bool> release_lookups{false};
} // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
    if (node && std::strcmp(node, "hanging.test") == 0) {
        ++hanging_lookups;
        while (!release_lookups) std::this_thread::sleep_for(5ms);
        --hanging_lookups;
        node = "127.0.0.1";
    }
    if (node && std::strcmp(node, "missing.test") == 0) return EAI_NONAME;
    static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(node, service, hints, found);
}

namespace {

constexpr auto patience = 300ms;

mt::beast_transport transport_to(const std::string& url, mt::beast_transport::options options = {}) {
    return mt::beast_transport(mt::endpoint::parse(url).value(), options);
}

// Sends, and holds that it ended in time: never more than a second after its deadline.
mt::result<mt::http_response> send_in_time(mt::beast_transport& transport,
                                           mt::http_request request = {.timeout = patience}) {
    const auto begin = clock_type::now();
    auto reply = transport.send(request);
    EXPECT_LT(clock_type::now() - begin, request.timeout + 1s);
    return reply;
}

// What one request to a server with this script ends in.
mt::result<mt::http_response> outcome(raw::server::script script, mt::http_request request = {.timeout = patience}) {
    raw::server server(std::move(script));
    auto transport = transport_to(server.url());
    return send_in_time(transport, request);
}

void expect_failure(const mt::result<mt::http_response>& reply, kind reason, std::string_view text) {
    ASSERT_FALSE(reply) << "status " << reply->status;
    EXPECT_EQ(reply.error().kind(), reason) << reply.error().message();
    EXPECT_NE(reply.error().message().find(text), std::string::npos) << reply.error().message();
    EXPECT_EQ(reply.error().message().find_first_of("\r\n"), std::string::npos);
}

TEST(BeastTransportFault, Refused) {
    const auto port = raw::listener().port();
    auto transport = transport_to("http://127.0.0.1:" + std::to_string(port));
    expect_failure(send_in_time(transport), kind::connect,
                   "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

// A listening socket whose queue is full drops what comes, as a host that is gone does.
class full_queue {
public:
    explicit full_queue(raw::family on = raw::family::v4, std::uint16_t port = 0) : listener_(on, port, 0) {
        for (auto& client : clients_) {
            client =
                ::socket(on == raw::family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            sockaddr_storage address{};
            socklen_t size = sizeof address;
            ::getsockname(listener_.socket(), reinterpret_cast<sockaddr*>(&address), &size);
            ::connect(client, reinterpret_cast<const sockaddr*>(&address), size);
        }
        std::this_thread::sleep_for(20ms);
    }
    full_queue(const full_queue&) = delete;
    full_queue& operator=(const full_queue&) = delete;
    ~full_queue() {
        for (const int client : clients_) ::close(client);
    }
    std::string url() const { return listener_.url(); }

private:
    raw::listener listener_;
    std::array<int, 4> clients_{};
};

TEST(BeastTransportFault, ConnectHangs) {
    const full_queue queue;
    auto transport = transport_to(queue.url());
    expect_failure(send_in_time(transport), kind::timeout, ": no response within 300 ms");
}

TEST(BeastTransportFault, ALaterAddressIsTriedWhenAnEarlierOneHangs) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, ""));
        peer.wait_for_close();
    });
    try {
        const full_queue queue(raw::family::v6, server.port());
        auto transport = transport_to("http://localhost:" + std::to_string(server.port()));
        const auto reply = send_in_time(transport, {.timeout = 1s});
        ASSERT_TRUE(reply) << reply.error().message();
    } catch (const std::system_error& error) {
        GTEST_SKIP() << "no IPv6 loopback: " << error.what();
    }
}

TEST(BeastTransportFault, NameIsUnknown) {
    auto transport = transport_to("http://missing.test:5000");
    expect_failure(send_in_time(transport), kind::connect, "look up missing.test:5000: Host not found");
}

TEST(BeastTransportFault, LookupHangs) {
    release_lookups = false;
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) peer.write(raw::reply(200, ""));
    });
    const auto begin = clock_type::now();
    const auto url = "http://hanging.test:" + std::to_string(server.port());
    {
        auto transport = transport_to(url);
        for (int i = 0; i < 3; ++i)
            expect_failure(send_in_time(transport, {.timeout = 50ms}), kind::timeout, "look up hanging.test:");
        EXPECT_EQ(hanging_lookups, 1);
    }
    EXPECT_LT(clock_type::now() - begin, 1s) << "the destructor waited";

    auto waiting = transport_to(url);
    expect_failure(send_in_time(waiting, {.timeout = 50ms}), kind::timeout, "look up hanging.test:");
    release_lookups = true;
    EXPECT_TRUE(send_in_time(waiting, {.timeout = 2s}));
    while (hanging_lookups != 0) std::this_thread::sleep_for(1ms);
}

TEST(BeastTransportFault, NeverAnswers) {
    raw::server server([](raw::peer& peer, int) { peer.wait_for_close(); });
    auto transport = transport_to(server.url());
    expect_failure(send_in_time(transport), kind::timeout, ": no response within 300 ms");
    expect_failure(send_in_time(transport), kind::timeout, ": no response within 300 ms");
    EXPECT_EQ(server.connections(), 2) << "a late reply could be taken for the next one";
}

TEST(BeastTransportFault, KeptConnectionFallsSilent) {
    raw::server server([](raw::peer& peer, int number) {
        peer.read_request();
        peer.write(raw::reply(200, ""));
        if (number == 0) peer.wait_for_close();
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(send_in_time(transport));
    expect_failure(send_in_time(transport), kind::timeout, ": no response within 300 ms");
    EXPECT_TRUE(send_in_time(transport));
}

TEST(BeastTransportFault, TheSecondAttemptHasNoDeadlineOfItsOwn) {
    raw::server server([](raw::peer& peer, int number) {
        if (number == 1) return peer.wait_for_close();
        peer.read_request();
        peer.write(raw::reply(200, ""));
        peer.read_request();
        std::this_thread::sleep_for(200ms);
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(send_in_time(transport));
    const auto begin = clock_type::now();
    expect_failure(send_in_time(transport), kind::timeout, "no response");
    EXPECT_LT(clock_type::now() - begin, 450ms);
    EXPECT_EQ(server.connections(), 2);
}

TEST(BeastTransportFault, NoTimeAtAll) {
    raw::server server([](raw::peer& peer, int) { peer.wait_for_close(); });
    auto transport = transport_to(server.url());
    expect_failure(send_in_time(transport, {.timeout = 0ms}), kind::timeout, "no response");
    expect_failure(send_in_time(transport, {.timeout = -5ms}), kind::timeout, "no response");
}

TEST(BeastTransportFault, TheLargestTimeoutDoesNotOverflow) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, ""));
    });
    auto transport = transport_to(server.url());
    EXPECT_TRUE(transport.send({.timeout = std::chrono::milliseconds::max()}));
}

TEST(BeastTransportFault, SlowDripOfTheHeader) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.drip(raw::reply(200, "", "X-Long: " + std::string(1000, 'a') + "\r\n"), 20ms);
                   }),
                   kind::timeout, "no response within 300 ms");
}

TEST(BeastTransportFault, SlowDripOfTheBody) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
                       peer.drip(std::string(1000, 'a'), 20ms);
                   }),
                   kind::timeout, "no response within 300 ms");
}

TEST(BeastTransportFault, EndlessInterimReplies) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       while (peer.write("HTTP/1.1 100 Continue\r\n\r\n")) {
                       }
                   }),
                   kind::timeout, "no response within 300 ms");
}

TEST(BeastTransportFault, TruncatedBody) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                   }),
                   kind::closed, "connection closed before the response was complete");
}

TEST(BeastTransportFault, TruncatedChunks) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
                   }),
                   kind::closed, "connection closed before the response was complete");
}

TEST(BeastTransportFault, ResetInsideTheBody) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                       std::this_thread::sleep_for(50ms);
                       peer.reset();
                   }),
                   kind::closed, "Connection reset by peer");
}

TEST(BeastTransportFault, ClosedWithoutAReply) {
    expect_failure(outcome([](raw::peer& peer, int) { peer.read_request(); }), kind::closed, "end of stream");
}

TEST(BeastTransportFault, AcceptedAndClosedAtOnce) {
    const auto reply = outcome([](raw::peer& peer, int) { peer.reset(); });
    ASSERT_FALSE(reply);
    EXPECT_TRUE(reply.error().kind() == kind::closed || reply.error().kind() == kind::connect)
        << reply.error().message();
}

TEST(BeastTransportFault, HalfClosedWithoutAReply) {
    expect_failure(outcome([](raw::peer& peer, int) {
                       peer.read_request();
                       peer.shut_down_write();
                       peer.wait_for_close();
                   }),
                   kind::closed, "connection closed before the response was complete");
}

// 20 MB do not fit into the socket's buffers: the write is still going on when the connection dies. A SIGPIPE would
// end this program.
TEST(BeastTransportFault, ClosedWhileTheBodyIsWritten) {
    const std::string body(20'000'000, 'x');
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_head();
                           peer.reset();
                       },
                       {.method = mt::http_method::post, .body = body, .timeout = 2s}),
                   kind::closed, "connection closed before the response was complete");
}

TEST(BeastTransportFault, TheServerStopsReadingTheBody) {
    const std::string body(20'000'000, 'x');
    raw::server server([](raw::peer& peer, int) {
        peer.read_head();
        peer.wait_without_reading();
    });
    auto transport = transport_to(server.url());
    expect_failure(send_in_time(transport, {.method = mt::http_method::post, .body = body, .timeout = patience}),
                   kind::timeout, "no response within 300 ms");
}

TEST(BeastTransportFault, EarlyReplyWhileTheBodyIsStillWritten) {
    const std::string body(20'000'000, 'x');
    for (const bool closes : {false, true}) {
        raw::server server([closes](raw::peer& peer, int) {
            peer.read_head();
            peer.write(raw::reply(413, "too large"));
            if (!closes) peer.wait_without_reading();
        });
        auto transport = transport_to(server.url());
        const auto reply = send_in_time(transport, {.method = mt::http_method::post, .body = body, .timeout = 2s});
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->status, 413);
        EXPECT_EQ(reply->body, "too large");
        EXPECT_EQ(server.connections(), 1);
        const auto next = send_in_time(transport);
        ASSERT_TRUE(next) << next.error().message();
        EXPECT_EQ(server.connections(), 2) << "the rest of the body would be taken for a request";
    }
}

TEST(BeastTransportFault, ReplyTooLargeByItsLength) {
    for (const std::string_view begin_of_body : {"", "x"})
        expect_failure(outcome([begin_of_body](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n" +
                                      std::string(begin_of_body));
                           peer.wait_for_close();
                       }),
                       kind::bad_reply, "response larger than 4194304 bytes");
}

TEST(BeastTransportFault, ReplyTooLargeByItsChunks) {
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                           const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
                           while (peer.write(chunk)) {
                           }
                       },
                       {.timeout = 2s}),
                   kind::bad_reply, "response larger than 4194304 bytes");
}

TEST(BeastTransportFault, ReplyTooLargeUntilTheEnd) {
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.0 200 OK\r\n\r\n");
                           const std::string piece(65536, 'x');
                           while (peer.write(piece)) {
                           }
                       },
                       {.timeout = 2s}),
                   kind::bad_reply, "response larger than 4194304 bytes");
}

TEST(BeastTransportFault, HundredMegabytes) {
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
                           const std::string piece(1'000'000, 'x');
                           for (int i = 0; i < 100 && peer.write(piece); ++i) {
                           }
                       },
                       {.timeout = 2s}),
                   kind::bad_reply, "response larger than 4194304 bytes");
}

TEST(BeastTransportFault, HeaderTooLarge) {
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.1 200 OK\r\n");
                           const std::string header = "X: " + std::string(1000, 'x') + "\r\n";
                           while (peer.write(header)) {
                           }
                       },
                       {.timeout = 2s}),
                   kind::bad_reply, "response header larger than 65536 bytes");
}

TEST(BeastTransportFault, HeaderLineWithoutEnd) {
    expect_failure(outcome(
                       [](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write("HTTP/1.1 200 OK\r\nX: ");
                           const std::string piece(65536, 'x');
                           while (peer.write(piece)) {
                           }
                       },
                       {.timeout = 2s}),
                   kind::bad_reply, "response header larger than 65536 bytes");
}

TEST(BeastTransportFault, ChunkExtensionWithoutEnd) {
    const auto reply = outcome(
        [](raw::peer& peer, int) {
            peer.read_request();
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=");
            const std::string piece(65536, 'x');
            while (peer.write(piece)) {
            }
        },
        {.timeout = 2s});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind(), kind::bad_reply) << reply.error().message();
}

TEST(BeastTransportFault, NotHttp) {
    for (const std::string_view garbage :
         {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
          "HTTP/1.1 99999 x\r\n\r\n", "HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"})
        expect_failure(outcome([garbage](raw::peer& peer, int) {
                           peer.read_request();
                           peer.write(garbage);
                           peer.wait_for_close();
                       }),
                       kind::bad_reply, "the response is not HTTP/1");
}

TEST(BeastTransportFault, InjectionIsRefusedBeforeAConnection) {
    raw::server server([](raw::peer& peer, int) { peer.wait_for_close(); });
    auto transport = transport_to(server.url());
    const std::array headers = {mt::http_header{"X-Session", "a\r\nX-Admin: true"}};
    const auto reply = send_in_time(transport, {.headers = headers, .timeout = patience});
    expect_failure(reply, kind::bad_request, "X-Session");
    EXPECT_EQ(reply.error().message().find("Admin"), std::string::npos);
    expect_failure(send_in_time(transport, {.target = "/ HTTP/1.1\r\nX: y", .timeout = patience}), kind::bad_request,
                   "the target");
    EXPECT_EQ(server.connections(), 0);
}

} // namespace
