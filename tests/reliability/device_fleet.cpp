// SPDX-License-Identifier: Apache-2.0
// Many devices that record and send to a gateway, which comes and goes, until standard input ends:
// device_fleet PORT DEVICES [mqtt]. Then each sends the rest, and the IDs of all traces are written. With `mqtt`,
// PORT is a broker's.
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
#ifdef DEVICE_GATEWAY_READS_MQTT
#include <mosquitto.h>
#endif

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

namespace {

using exporter = mt::framed_exporter<>;
using tracer = mt::tracer<mt::open_schema, mt::thread_local_context, exporter>;

std::atomic<bool> is_over{false};

class tcp_link {
public:
    static constexpr std::size_t chunk_size = 100;

    tcp_link(const std::string&, std::uint16_t port) : port_(port) {}
    ~tcp_link() { close(); }
    tcp_link(const tcp_link&) = delete;
    tcp_link& operator=(const tcp_link&) = delete;

    bool open() {
        if (socket_ >= 0) return true;
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port_);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return true;
        close();
        return false;
    }
    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }
    bool send(std::string_view bytes) {
        return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    // False at the end of the connection.
    bool receive(int milliseconds, std::string& bytes) {
        bytes.clear();
        pollfd waited{socket_, POLLIN, 0};
        if (::poll(&waited, 1, milliseconds) <= 0) return true;
        char chunk[100];
        const auto size = ::read(socket_, chunk, sizeof chunk);
        if (size > 0) bytes.assign(chunk, static_cast<std::size_t>(size));
        return size > 0;
    }

private:
    const std::uint16_t port_;
    int socket_ = -1;
};

#ifdef DEVICE_GATEWAY_READS_MQTT
// One frame is one message, of QoS 1. Some are published twice, as a client does that has missed the broker's answer.
class mqtt_link {
public:
    static constexpr std::size_t chunk_size = 2'000;

    mqtt_link(const std::string& name, std::uint16_t port)
        : topic_("mlflow_trace/" + name), port_(port), client_(::mosquitto_new(name.c_str(), true, this)) {
        ::mosquitto_connect_callback_set(client_, [](mosquitto* client, void* self, int code) {
            auto& link = *static_cast<mqtt_link*>(self);
            link.is_open_ = code == 0;
            ::mosquitto_subscribe(client, nullptr, (link.topic_ + "/acknowledgements").c_str(), 1);
        });
        ::mosquitto_message_callback_set(client_, [](mosquitto*, void* self, const mosquitto_message* message) {
            static_cast<mqtt_link*>(self)->received_.append(static_cast<const char*>(message->payload),
                                                            static_cast<std::size_t>(message->payloadlen));
        });
    }
    ~mqtt_link() {
        ::mosquitto_disconnect(client_);
        ::mosquitto_destroy(client_);
    }
    mqtt_link(const mqtt_link&) = delete;
    mqtt_link& operator=(const mqtt_link&) = delete;

    bool open() {
        if (is_open_) return true;
        if (::mosquitto_connect(client_, "127.0.0.1", port_, 30) != MOSQ_ERR_SUCCESS) return false;
        while (!is_open_)
            if (::mosquitto_loop(client_, 50, 1) != MOSQ_ERR_SUCCESS) return false;
        return true;
    }
    void close() { is_open_ = false; }
    bool send(std::string_view bytes) {
        for (int times = ++sent_ % 10 == 0 ? 2 : 1; times > 0; --times)
            if (::mosquitto_publish(client_, nullptr, (topic_ + "/frames").c_str(), static_cast<int>(bytes.size()),
                                    bytes.data(), 1, false) != MOSQ_ERR_SUCCESS)
                return false;
        return true;
    }
    bool receive(int milliseconds, std::string& bytes) {
        received_.clear();
        const bool is_up = ::mosquitto_loop(client_, milliseconds, 1) == MOSQ_ERR_SUCCESS;
        bytes = received_;
        return is_up;
    }

private:
    const std::string topic_;
    const std::uint16_t port_;
    mosquitto* const client_;
    std::string received_;
    unsigned sent_ = 0;
    bool is_open_ = false;
};
#endif

template <class Link>
class device {
public:
    device(unsigned number, std::uint16_t port)
        : random_(number), name_("device-" + std::to_string(number)), link_(name_, port), ring_(256 * 1024),
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
        while (tracer_.exporter().counts().waiting > 0) exchange();
        link_.close();
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
        if (!link_.open()) {
            std::this_thread::sleep_for(50ms);
            return;
        }
        char chunk[Link::chunk_size];
        while (const auto size = tracer_.exporter().drain(chunk))
            if (!link_.send({chunk, size})) return disconnect();
        if (!link_.receive(50, received_)) return disconnect();
        tracer_.exporter().acknowledge(received_);
        silent_ = received_.empty() ? silent_ + 1 : 0;
        if (silent_ % 40 == 39) tracer_.exporter().resend();
    }
    void disconnect() {
        link_.close();
        tracer_.exporter().resend();
    }

    std::mt19937 random_;
    const std::string name_;
    Link link_;
    std::vector<char> ring_;
    tracer tracer_;
    std::vector<std::string> traces_;
    std::string received_;
    int silent_ = 0;
};

template <class Link>
int run(std::uint16_t port, unsigned count) {
    std::vector<std::unique_ptr<device<Link>>> devices;
    for (unsigned i = 0; i < count; ++i) devices.push_back(std::make_unique<device<Link>>(i, port));
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

} // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 4) return 2;
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const auto count = static_cast<unsigned>(std::atoi(argv[2]));
    if (argc == 3) return run<tcp_link>(port, count);
#ifdef DEVICE_GATEWAY_READS_MQTT
    ::mosquitto_lib_init();
    return run<mqtt_link>(port, count);
#else
    return 2;
#endif
}
