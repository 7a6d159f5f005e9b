// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/platform/files.hpp>

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
    std::string address; ///< a host, or host:port; the port is 1883 unless it is given, or 8883 with TLS
    std::string prefix = "mlflow_trace";
    std::string client = "device_gateway"; ///< the client ID: the broker keeps messages for it while it is away
    std::string authorities;               ///< a file of certificates for TLS; empty: no TLS
};

#ifdef DEVICE_GATEWAY_READS_MQTT
/// The client of a broker. A thread of its own connects, and connects again after a failure.
class broker {
public:
    explicit broker(broker_options options) : options_(std::move(options)) {
        ::mosquitto_lib_init();
        client_ = ::mosquitto_new(options_.client.c_str(), false, this);
        if (!client_ || event_.get() < 0) throw std::runtime_error("no memory for the MQTT client");
        if (const char* user = std::getenv("MQTT_USERNAME"))
            check(::mosquitto_username_pw_set(client_, user, std::getenv("MQTT_PASSWORD")));
        if (!options_.authorities.empty())
            check(::mosquitto_tls_set(client_, options_.authorities.c_str(), nullptr, nullptr, nullptr, nullptr));
        ::mosquitto_connect_callback_set(
            client_, [](mosquitto*, void* self, int code) { static_cast<broker*>(self)->connected(code); });
        ::mosquitto_disconnect_callback_set(
            client_, [](mosquitto*, void* self, int code) { static_cast<broker*>(self)->disconnected(code); });
        ::mosquitto_message_callback_set(client_, [](mosquitto*, void* self, const mosquitto_message* received) {
            static_cast<broker*>(self)->arrived(*received);
        });
        check(::mosquitto_threaded_set(client_, true));
        check(::mosquitto_reconnect_delay_set(client_, 1, 30, true));
        const auto colon = options_.address.rfind(':');
        const std::string port = colon != std::string::npos     ? options_.address.substr(colon + 1)
                                 : options_.authorities.empty() ? "1883"
                                                                : "8883";
        check(::mosquitto_connect_async(client_, options_.address.substr(0, colon).c_str(), std::stoi(port), 30));
        // Returns at an error such as an untrusted certificate; a later attempt may succeed.
        thread_ = std::thread([this] {
            while (::mosquitto_loop_forever(client_, -1, 1) != MOSQ_ERR_SUCCESS && !is_ended()) ::sleep(1);
        });
    }
    ~broker() {
        {
            const std::lock_guard guard(mutex_);
            is_ended_ = true;
        }
        ::mosquitto_disconnect(client_);
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

    /// Publishes an acknowledgement. Without a connection it is dropped: the device sends its frame again.
    void write(const std::string& device, std::string_view bytes) {
        {
            const std::lock_guard guard(mutex_);
            if (!is_connected_) return;
        }
        const std::string topic = options_.prefix + '/' + device + "/acknowledgements";
        ::mosquitto_publish(client_, nullptr, topic.c_str(), static_cast<int>(bytes.size()), bytes.data(), 1, false);
    }

    [[nodiscard]] std::uint64_t damaged() const { return decoder_->damaged(); }

private:
    struct message {
        std::string device;
        std::string bytes;
    };
    static constexpr std::size_t most_bytes = 16 * 1024 * 1024;

    static void check(int code) {
        if (code != MOSQ_ERR_SUCCESS) throw std::runtime_error(std::string("MQTT: ") + ::mosquitto_strerror(code));
    }
    bool is_ended() {
        const std::lock_guard guard(mutex_);
        return is_ended_;
    }
    void log(const std::string& text) {
        if (text != std::exchange(logged_, text)) std::cerr << "device_gateway: " + text + '\n';
    }

    // The functions below are called by the client's thread.

    void connected(int code) {
        const std::string& where = options_.address;
        if (code != 0) return log("the MQTT broker at " + where + ": " + ::mosquitto_connack_string(code));
        // Each time, because a broker that has restarted may have forgotten it.
        const std::string topics = options_.prefix + "/+/frames";
        ::mosquitto_subscribe(client_, nullptr, topics.c_str(), 1);
        log("connected to the MQTT broker at " + where);
        const std::lock_guard guard(mutex_);
        is_connected_ = true;
    }
    void disconnected(int code) {
        if (code != 0)
            log("no connection to the MQTT broker at " + options_.address + ": " + ::mosquitto_strerror(code));
        const std::lock_guard guard(mutex_);
        is_connected_ = false;
    }
    // Messages that do not fit are dropped: the device sends its frame again.
    void arrived(const mosquitto_message& received) {
        const std::string_view topic = received.topic;
        const std::size_t before = options_.prefix.size() + 1;
        const std::size_t after = std::string_view("/frames").size();
        const auto size = static_cast<std::size_t>(received.payloadlen);
        if (topic.size() < before + after || size == 0) return;
        const std::lock_guard guard(mutex_);
        if (bytes_ + size > most_bytes) return;
        bytes_ += size;
        arrived_.push_back({std::string(topic.substr(before, topic.size() - before - after)),
                            std::string(static_cast<const char*>(received.payload), size)});
        const std::uint64_t one = 1;
        static_cast<void>(!::write(event_.get(), &one, sizeof one));
    }

    const broker_options options_;
    mt::detail::owned_file event_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    mosquitto* client_ = nullptr;
    std::unique_ptr<mt::frame_decoder<>> decoder_ = std::make_unique<mt::frame_decoder<>>();
    std::string logged_;
    std::mutex mutex_;
    std::vector<message> arrived_;
    std::size_t bytes_ = 0;
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
};
#endif

} // namespace device_gateway
