// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "links.hpp"
#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/platform/files.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>
#ifdef DEVICE_GATEWAY_READS_MQTT
#include <mosquitto.h>
#endif

// Devices at an MQTT broker. The device NAME publishes its frames to PREFIX/NAME/frames, one or more complete frames
// in a message, and subscribes to PREFIX/NAME/acknowledgements.
namespace device_gateway {

namespace mt = mlflow::trace;

/// Where the broker is. The user and password, if the broker requires them, are in the environment variables
/// MQTT_USERNAME and MQTT_PASSWORD.
struct broker_options {
    std::string address; ///< a host, or host:port; the port is 1883, or 8883 with TLS, if it is not given
    std::string prefix = "mlflow_trace";
    std::string client = "device_gateway"; ///< the client ID: the broker keeps messages for it while it is away
    std::string authorities;               ///< a file of certificates for TLS; empty: no TLS
};

#ifdef DEVICE_GATEWAY_READS_MQTT
/// The client of a broker. A thread of its own connects, and connects again after a failure.
class broker {
public:
    explicit broker(broker_options options) : options_(std::move(options)), at_(address_of(options_)) {
        ::mosquitto_lib_init();
        check_options();
        client_ = ::mosquitto_new(options_.client.c_str(), false, this);
        if (!client_ || event_.get() < 0) fail("the MQTT client");
        if (const char* user = std::getenv("MQTT_USERNAME"))
            check(::mosquitto_username_pw_set(client_, user, std::getenv("MQTT_PASSWORD")));
        if (!options_.authorities.empty())
            check(::mosquitto_tls_set(client_, options_.authorities.c_str(), nullptr, nullptr, nullptr, nullptr));
        ::mosquitto_connect_callback_set(
            client_, [](mosquitto*, void* self, int code) { static_cast<broker*>(self)->connected(code); });
        ::mosquitto_disconnect_callback_set(client_, [](mosquitto*, void* self, int code) {
            static_cast<broker*>(self)->why_ = ::mosquitto_strerror(code); // which may be errno's, now
        });
        ::mosquitto_subscribe_callback_set(client_, [](mosquitto*, void* self, int, int count, const int* granted) {
            static_cast<broker*>(self)->subscribed(count > 0 && granted[0] <= 2);
        });
        ::mosquitto_publish_callback_set(
            client_, [](mosquitto*, void* self, int) { --static_cast<broker*>(self)->unanswered_; });
        ::mosquitto_message_callback_set(client_, [](mosquitto*, void* self, const mosquitto_message* received) {
            static_cast<broker*>(self)->arrived(*received);
        });
        check(::mosquitto_threaded_set(client_, true));
        thread_ = std::thread([this] { work(); });
    }
    /// Takes at most a second, or as long as the system looks up the broker's name.
    ~broker() {
        {
            const std::lock_guard guard(mutex_);
            is_ended_ = true;
        }
        ::mosquitto_disconnect(client_);
        wake_.notify_all();
        if (thread_.joinable()) thread_.join();
        ::mosquitto_destroy(client_);
        ::mosquitto_lib_cleanup();
    }
    broker(const broker&) = delete;
    broker& operator=(const broker&) = delete;

    /// Becomes readable when messages have arrived.
    [[nodiscard]] int file() const { return event_.get(); }

    /// Calls `take(const std::string& device, const frame&)` for each frame that has arrived.
    template <class Take>
    void read(Take&& take) {
        std::vector<message> arrived;
        {
            const std::lock_guard guard(mutex_);
            arrived.swap(arrived_);
            bytes_ = 0;
            std::uint64_t count = 0;
            static_cast<void>(!::read(event_.get(), &count, sizeof count));
        }
        for (const message& each : arrived) {
            decoder_->read(each.bytes, [&](const mt::frame& frame) { take(each.device, frame); });
            decoder_->read({"", 1}, [](const mt::frame&) {}); // a frame ends with its message
        }
    }

    /// Publishes an acknowledgement. Without a connection, or if the broker has not answered too many of them, it is
    /// dropped: the device sends its frame again.
    void write(const std::string& device, std::string_view bytes) {
        {
            const std::lock_guard guard(mutex_);
            if (!is_connected_ || unanswered_ >= most_unanswered) return;
        }
        const std::string topic = options_.prefix + '/' + device + "/acknowledgements";
        ++unanswered_; // before, because the answer may arrive before the function returns
        // A message with an ID is queued, and answered later, even if there is no connection now.
        int id = 0;
        ::mosquitto_publish(client_, &id, topic.c_str(), static_cast<int>(bytes.size()), bytes.data(), 1, false);
        if (id == 0) --unanswered_;
    }

    [[nodiscard]] std::uint64_t damaged() const { return decoder_->damaged(); }
    /// Messages on topics without the name of one device. An earlier subscription of this client ID may bring them.
    [[nodiscard]] std::uint64_t misnamed() {
        const std::lock_guard guard(mutex_);
        return misnamed_;
    }
    /// Messages that the broker keeps for later subscribers. They are ignored, because it would deliver them at each
    /// connection, and their traces would be dated anew.
    [[nodiscard]] std::uint64_t retained() {
        const std::lock_guard guard(mutex_);
        return retained_;
    }

private:
    using clock = std::chrono::steady_clock;
    struct message {
        std::string device;
        std::string bytes;
    };
    struct address {
        std::string host;
        std::uint16_t port;
    };
    static constexpr std::size_t most_bytes = 16 * 1024 * 1024;
    static constexpr int most_unanswered = 10'000; // libmosquitto keeps all of them, with 16-bit numbers
    static constexpr std::chrono::seconds first_pause{1};
    static constexpr std::chrono::seconds longest_pause{30};

    static void check(int code) {
        if (code != MOSQ_ERR_SUCCESS) throw std::runtime_error(std::string("MQTT: ") + ::mosquitto_strerror(code));
    }
    // HOST, HOST:PORT, [IPv6], [IPv6]:PORT or IPv6.
    static address address_of(const broker_options& options) {
        std::string host = options.address;
        std::uint16_t port = options.authorities.empty() ? 1883 : 8883;
        const bool is_bracketed = host.starts_with('[');
        const auto colon = is_bracketed ? host.find("]:") + 1 : host.find(':');
        if (colon != (is_bracketed ? 0 : std::string::npos) && host.find(':', colon + 1) == std::string::npos) {
            port = port_in(std::string_view(host).substr(colon + 1), options.address);
            host.erase(colon);
        }
        if (is_bracketed && host.ends_with(']')) host = host.substr(1, host.size() - 2);
        if (host.empty() || port == 0)
            throw std::runtime_error("--mqtt: not a host, or HOST:PORT: " + options.address);
        return {host, port};
    }
    void check_options() const {
        if (options_.client.empty())
            throw std::runtime_error("--mqtt-client: empty; the broker keeps messages for a client ID only");
        if (options_.prefix.empty() || ::mosquitto_pub_topic_check(options_.prefix.c_str()) != MOSQ_ERR_SUCCESS)
            throw std::runtime_error("--mqtt-prefix: not the beginning of a topic, such as mlflow_trace");
        if (!options_.authorities.empty() && ::access(options_.authorities.c_str(), R_OK) != 0)
            fail("--mqtt-ca " + options_.authorities);
    }

    // The functions below are called by the client's thread.

    void work() {
        int code = ::mosquitto_connect_async(client_, at_.host.c_str(), at_.port, 30);
        for (;;) {
            while (code == MOSQ_ERR_SUCCESS && !is_overdue()) {
                if (!is_subscribed_ && clock::now() >= subscribe_at_) subscribe();
                code = ::mosquitto_loop(client_, 200, 1);
            }
            if (why_.empty()) why_ = ::mosquitto_strerror(code);
            disconnected(code == MOSQ_ERR_CONN_LOST);
            std::unique_lock guard(mutex_);
            if (wake_.wait_for(guard, pause_, [this] { return is_ended_; })) return;
            guard.unlock();
            pause_ = std::min(2 * pause_, longest_pause);
            code = ::mosquitto_reconnect_async(client_); // the other function would block until there is a connection
        }
    }
    // Whether the destructor has waited for a second.
    bool is_overdue() {
        const std::lock_guard guard(mutex_);
        if (is_ended_ && end_at_ == clock::time_point::max()) end_at_ = clock::now() + std::chrono::seconds(1);
        return clock::now() >= end_at_;
    }
    bool is_ending() {
        const std::lock_guard guard(mutex_);
        return is_ended_;
    }
    void log(const std::string& text) {
        if (text != std::exchange(logged_, text)) std::cerr << "device_gateway: " + text + '\n';
    }

    void connected(int code) {
        const std::string& where = options_.address;
        if (code != 0) return log("the MQTT broker at " + where + ": " + ::mosquitto_connack_string(code));
        log("connected to the MQTT broker at " + where);
        connected_at_ = clock::now();
        subscribe(); // each time, because a broker that has restarted may have forgotten it
        const std::lock_guard guard(mutex_);
        is_connected_ = true;
    }
    void subscribe() {
        ::mosquitto_subscribe(client_, nullptr, topics().c_str(), 1);
        subscribe_at_ = clock::now() + std::chrono::seconds(10);
    }
    void subscribed(bool is_granted) {
        is_subscribed_ = is_granted;
        if (!is_granted)
            log("the MQTT broker at " + options_.address + " rejects the subscription to " + topics() +
                "; let the gateway's user read these topics");
    }
    void disconnected(bool is_closed) {
        const bool was_connected = connected_at_ != clock::time_point();
        const bool is_short = clock::now() - std::exchange(connected_at_, {}) < std::chrono::minutes(1);
        if (was_connected && !is_short) pause_ = first_pause;
        const std::string why = std::exchange(why_, {});
        if (!is_ending())
            log("no connection to the MQTT broker at " + options_.address + ": " + why +
                (is_closed && was_connected && is_short
                     ? " If this repeats, another client has the client ID " + options_.client
                     : ""));
        is_subscribed_ = false;
        subscribe_at_ = clock::time_point::max();
        const std::lock_guard guard(mutex_);
        is_connected_ = false;
    }
    // Messages that do not fit are dropped: the device sends its frame again.
    void arrived(const mosquitto_message& received) {
        const std::string_view topic = received.topic;
        constexpr std::string_view end = "/frames";
        const std::size_t before = options_.prefix.size() + 1;
        const std::string_view device = topic.size() < before + end.size()
                                            ? std::string_view()
                                            : topic.substr(before, topic.size() - before - end.size());
        const auto size = static_cast<std::size_t>(received.payloadlen);
        const std::lock_guard guard(mutex_);
        if (device.empty() || device.find('/') != std::string_view::npos || topic[before - 1] != '/' ||
            !topic.starts_with(options_.prefix) || !topic.ends_with(end)) {
            ++misnamed_;
            return;
        }
        if (received.retain) {
            ++retained_;
            return;
        }
        const std::size_t memory = sizeof(message) + device.size() + size;
        if (size == 0 || bytes_ + memory > most_bytes) return;
        bytes_ += memory;
        arrived_.push_back({std::string(device), std::string(static_cast<const char*>(received.payload), size)});
        const std::uint64_t one = 1;
        static_cast<void>(!::write(event_.get(), &one, sizeof one));
    }
    [[nodiscard]] std::string topics() const { return options_.prefix + "/+/frames"; }

    const broker_options options_;
    const address at_;
    mt::detail::owned_file event_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    mosquitto* client_ = nullptr;
    std::unique_ptr<mt::frame_decoder<>> decoder_ = std::make_unique<mt::frame_decoder<>>();
    std::string logged_;
    std::string why_; // the latest connection ended
    std::chrono::seconds pause_ = first_pause;
    clock::time_point connected_at_;
    clock::time_point subscribe_at_ = clock::time_point::max();
    bool is_subscribed_ = false;
    std::atomic<int> unanswered_{0}; // acknowledgements that the broker has not answered
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<message> arrived_;
    std::size_t bytes_ = 0;
    std::uint64_t misnamed_ = 0;
    std::uint64_t retained_ = 0;
    clock::time_point end_at_ = clock::time_point::max();
    bool is_connected_ = false;
    bool is_ended_ = false;
    std::thread thread_;
};
#else
class broker {
public:
    explicit broker(const broker_options&) {
        throw std::runtime_error("--mqtt: this gateway was built without libmosquitto (Debian: libmosquitto-dev)");
    }
    [[nodiscard]] int file() const { return -1; }
    template <class Take>
    void read(const Take&) {}
    void write(const std::string&, std::string_view) {}
    [[nodiscard]] std::uint64_t damaged() const { return 0; }
    [[nodiscard]] std::uint64_t misnamed() const { return 0; }
    [[nodiscard]] std::uint64_t retained() const { return 0; }
};
#endif

} // namespace device_gateway
