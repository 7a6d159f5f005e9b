// SPDX-License-Identifier: Apache-2.0
// LLM spans over OTLP/HTTP to a server in a process of its own that reads each request and responds: spans a second,
// processor time and memory of the process that records. The floor is requests of the same size that were made
// before, sent by the same transport. Then the same with a server that stalls now and then: what is dropped, and the
// memory beside the limit of the queue.
//
//   benchmark_http [SPANS]     default 100000
#include "measuring.hpp"
#include "recorded.hpp"
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace benchmarks;
using namespace std::chrono_literals;

constexpr int repetitions = 7;
constexpr std::size_t limit_bytes = std::size_t{64} << 20U;

// Reads requests with a Content-Length from one connection, and responds to each.
void serve(int connection, std::chrono::milliseconds stall) {
    static std::array<char, std::size_t{1} << 18U> bytes;
    constexpr std::string_view reply =
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    std::string head;
    std::size_t left = 0;
    for (int requests = 0;;) {
        const ssize_t count = ::read(connection, bytes.data(), bytes.size());
        if (count <= 0) return;
        std::string_view read(bytes.data(), static_cast<std::size_t>(count));
        if (left == 0) {
            head.append(read);
            const std::size_t end = head.find("\r\n\r\n");
            if (end == std::string::npos) continue;
            const std::size_t at = head.find("Content-Length: ");
            if (at > end) return;
            std::from_chars(&head[at + 16], head.data() + end, left);
            read.remove_prefix(read.size() - (head.size() - end - 4));
            head.clear();
        }
        left -= std::min(left, read.size());
        if (left != 0) continue;
        if (stall > 0ms && ++requests % 8 == 0) std::this_thread::sleep_for(stall);
        if (::write(connection, reply.data(), reply.size()) < 0) return;
    }
}

class server {
public:
    explicit server(std::chrono::milliseconds stall = 0ms) {
        const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener, generic, size) != 0 || ::listen(listener, 16) != 0 ||
            ::getsockname(listener, generic, &size) != 0)
            throw std::runtime_error("no server");
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/v1/traces";
        process_ = ::fork();
        if (process_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) {
                const int connection = ::accept(listener, nullptr, nullptr);
                serve(connection, stall);
                ::close(connection);
            }
        }
        ::close(listener);
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    [[nodiscard]] const std::string& url() const noexcept { return url_; }

private:
    std::string url_;
    pid_t process_ = -1;
};

double processor_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto of = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return of(used.ru_utime) + of(used.ru_stime);
}

// The most memory that the process had at a time since `forget_most`.
double most_megabytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
    return 0;
}
void forget_most() { std::ofstream("/proc/self/clear_refs") << "5"; }

struct outcome {
    double seconds = 0, processor = 0, megabytes = 0;
    std::size_t dropped = 0;
};

outcome record(const server& to, std::size_t spans) {
    using exporter = mt::otlp_exporter<mt::beast_transport>;
    using delivery = mt::batch<mt::retry<exporter>>;
    text_pairs texts;
    outcome found;
    forget_most();
    const double begun = now_nano(), used = processor_seconds();
    tracer_to<delivery> tracer(delivery::options{.max_queue_bytes = limit_bytes, .max_queue_spans = spans},
                               exporter::options{.traces_endpoint = to.url(), .timeout = 60s});
    for (std::size_t i = 0; i < spans / 4; ++i) record_trace(tracer, texts);
    if (!tracer.flush(60s)) throw std::runtime_error(tracer.last_error().message());
    found.seconds = (now_nano() - begun) / 1e9;
    found.processor = processor_seconds() - used;
    found.megabytes = most_megabytes();
    const auto account = tracer.account();
    found.dropped = account.dropped;
    if (account.failed != 0 || account.exported + account.dropped != spans)
        throw std::runtime_error("the account is not that of the spans");
    return found;
}

// Requests of 1,024 spans, as `batch` sends them.
outcome send_prepared(const server& to, std::size_t spans) {
    tracer_to<mt::memory_exporter> tracer;
    text_pairs texts;
    outcome found;
    const std::string body(std::size_t{1'024} * 2'100, 'x');
    const auto place = mt::endpoint::parse(to.url());
    mt::beast_transport transport(*place, {});
    const mt::http_header headers[] = {{"Content-Type", "application/x-protobuf"}};
    const double begun = now_nano(), used = processor_seconds();
    for (std::size_t sent = 0; sent < spans; sent += 1'024) {
        const auto reply = transport.send({.method = mt::http_method::post,
                                           .target = "/v1/traces",
                                           .headers = headers,
                                           .body = body,
                                           .timeout = 60s});
        if (!reply || reply->status != 200) throw std::runtime_error("not sent");
    }
    found.seconds = (now_nano() - begun) / 1e9;
    found.processor = processor_seconds() - used;
    return found;
}

void keep_best(outcome& best, const outcome& found) {
    if (best.seconds == 0 || found.seconds < best.seconds) best.seconds = found.seconds;
    if (best.processor == 0 || found.processor < best.processor) best.processor = found.processor;
    best.megabytes = std::max(best.megabytes, found.megabytes);
    best.dropped = std::max(best.dropped, found.dropped);
}

void print(const char* name, const outcome& of, std::size_t spans) {
    const auto count = static_cast<double>(spans);
    std::printf("%-34s %9.0f spans/s   %5.2f us of a processor a span   %6.1f MB at most   %zu dropped\n", name,
                count / of.seconds, of.processor * 1e6 / count, of.megabytes, of.dropped);
}

} // namespace

int main(int count, char** given) {
    const std::size_t spans = count > 1 ? std::strtoul(given[1], nullptr, 10) / 4 * 4 : 100'000;
    try {
        const server calm;
        const server stalling(200ms);
        outcome recorded, prepared, starved;
        for (int i = 0; i < repetitions; ++i) {
            keep_best(recorded, record(calm, spans));
            keep_best(prepared, send_prepared(calm, spans));
            keep_best(starved, record(stalling, spans));
        }
        print("recorded and sent", recorded, spans);
        print("prepared requests of the same size", prepared, spans);
        print("a server that stalls, limit 67.1 MB", starved, spans);
    } catch (const std::exception& failed) {
        return std::fprintf(stderr, "%s\n", failed.what()), 1;
    }
    return 0;
}
