// SPDX-License-Identifier: Apache-2.0
// Many devices that record and send to a gateway, which comes and goes, until standard input ends:
// device_fleet PORT DEVICES. Then each sends the rest, and the IDs of all traces are written.
#include <mlflow/trace.hpp>
#include <mlflow/trace/device/framed.hpp>

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <random>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

namespace {

using exporter = mt::framed_exporter<>;
using tracer = mt::tracer<mt::open_schema, mt::thread_local_context, exporter>;

std::atomic<bool> is_over{false};

class device {
public:
    device(unsigned number, std::uint16_t port)
        : random_(number), port_(port), name_("device-" + std::to_string(number)), ring_(256 * 1024),
          tracer_(exporter::options{.ring = ring_,
                                    .device = {.id = name_, .firmware = "1"},
                                    .stream = static_cast<std::uint32_t>(random_()),
                                    .is_acknowledged = true}) {}

    // False where a trace was dropped.
    bool run() {
        while (!is_over) {
            const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(random_() % 4'000);
            record();
            while (std::chrono::steady_clock::now() < next && !is_over) exchange();
        }
        for (int silent = 0; tracer_.exporter().counts().waiting > 0; ++silent) {
            exchange();
            if (silent % 40 == 39) tracer_.exporter().resend();
        }
        disconnect();
        return tracer_.exporter().counts().dropped == 0;
    }
    [[nodiscard]] const std::vector<std::string>& traces() const { return traces_; }

private:
    void record() {
        auto trace = tracer_.start_trace("turn", *mt::user::parse(name_), mt::session{"kitchen-7"});
        trace.inputs(std::string(random_() % 300, 'x'));
        traces_.emplace_back(trace.trace_id().mlflow_id().view());
    }

    void exchange() {
        if (socket_ < 0 && !connect()) {
            std::this_thread::sleep_for(50ms);
            return;
        }
        char chunk[100];
        while (const auto size = tracer_.exporter().drain(chunk))
            if (::send(socket_, chunk, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) return disconnect();
        pollfd waited{socket_, POLLIN, 0};
        if (::poll(&waited, 1, 50) <= 0) return;
        const auto size = ::read(socket_, chunk, sizeof chunk);
        if (size <= 0) return disconnect();
        tracer_.exporter().acknowledge({chunk, static_cast<std::size_t>(size)});
    }
    bool connect() {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port_);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return true;
        disconnect();
        return false;
    }
    void disconnect() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
        tracer_.exporter().resend();
    }

    std::mt19937 random_;
    const std::uint16_t port_;
    const std::string name_;
    std::vector<char> ring_;
    tracer tracer_;
    std::vector<std::string> traces_;
    int socket_ = -1;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::vector<std::unique_ptr<device>> devices;
    for (int i = 0; i < std::atoi(argv[2]); ++i)
        devices.push_back(
            std::make_unique<device>(static_cast<unsigned>(i), static_cast<std::uint16_t>(std::atoi(argv[1]))));
    std::atomic<int> failed{0};
    std::vector<std::thread> running;
    for (auto& each : devices) running.emplace_back([&] { failed += each->run() ? 0 : 1; });
    while (std::getchar() != EOF) {
    }
    is_over = true;
    for (auto& each : running) each.join();
    for (const auto& each : devices)
        for (const std::string& trace : each->traces()) std::printf("%s\n", trace.c_str());
    return failed == 0 ? 0 : 1;
}
