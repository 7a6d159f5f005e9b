// SPDX-License-Identifier: Apache-2.0
// How many acknowledgements the example's gateway leaves with a broker, with a libmosquitto made here.
#if __has_include(<mosquitto.h>)
#define DEVICE_GATEWAY_READS_MQTT
#include "examples/device_gateway/mqtt.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

struct mosquitto {
    void* self = nullptr;
    void (*connected)(mosquitto*, void*, int) = nullptr;
    void (*published)(mosquitto*, void*, int) = nullptr;
    int code = MOSQ_ERR_SUCCESS; // that mosquitto_publish returns
    bool is_queued = true;
    int messages = 0;
};

namespace {
mosquitto client;
std::atomic<bool> is_disconnected;
} // namespace

extern "C" {
int mosquitto_lib_init() { return MOSQ_ERR_SUCCESS; }
int mosquitto_lib_cleanup() { return MOSQ_ERR_SUCCESS; }
mosquitto* mosquitto_new(const char*, bool, void* self) {
    client = {};
    client.self = self;
    is_disconnected = false;
    return &client;
}
void mosquitto_destroy(mosquitto*) {}
int mosquitto_username_pw_set(mosquitto*, const char*, const char*) { return MOSQ_ERR_SUCCESS; }
int mosquitto_tls_set(mosquitto*, const char*, const char*, const char*, const char*,
                      int (*)(char*, int, int, void*)) {
    return MOSQ_ERR_SUCCESS;
}
void mosquitto_connect_callback_set(mosquitto* of, void (*call)(mosquitto*, void*, int)) { of->connected = call; }
void mosquitto_disconnect_callback_set(mosquitto*, void (*)(mosquitto*, void*, int)) {}
void mosquitto_subscribe_callback_set(mosquitto*, void (*)(mosquitto*, void*, int, int, const int*)) {}
void mosquitto_publish_callback_set(mosquitto* of, void (*call)(mosquitto*, void*, int)) { of->published = call; }
void mosquitto_message_callback_set(mosquitto*, void (*)(mosquitto*, void*, const mosquitto_message*)) {}
int mosquitto_threaded_set(mosquitto*, bool) { return MOSQ_ERR_SUCCESS; }
int mosquitto_disconnect(mosquitto*) {
    is_disconnected = true;
    return MOSQ_ERR_SUCCESS;
}
const char* mosquitto_strerror(int) { return "an error"; }
const char* mosquitto_connack_string(int) { return "an error"; }
int mosquitto_pub_topic_check(const char*) { return MOSQ_ERR_SUCCESS; }
int mosquitto_subscribe(mosquitto*, int*, const char*, int) { return MOSQ_ERR_SUCCESS; }
int mosquitto_connect_async(mosquitto* of, const char*, int, int) {
    of->connected(of, of->self, 0);
    return MOSQ_ERR_SUCCESS;
}
int mosquitto_reconnect_async(mosquitto*) { return MOSQ_ERR_SUCCESS; }
int mosquitto_loop(mosquitto*, int, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return is_disconnected ? MOSQ_ERR_NO_CONN : MOSQ_ERR_SUCCESS;
}
int mosquitto_publish(mosquitto* of, int* id, const char*, int, const void*, int, bool) {
    if (!of->is_queued) return of->code;
    ++of->messages;
    if (id) *id = 1 + of->messages % 65'535;
    return of->code;
}
}

namespace {

constexpr int most = 10'000; // most_unanswered

struct a_broker : testing::Test {
    device_gateway::broker broker{{.address = "127.0.0.1", .prefix = "test", .client = "test", .authorities = {}}};

    // Writes more than may be unanswered.
    int written() {
        client.code = MOSQ_ERR_SUCCESS;
        client.is_queued = true;
        client.messages = 0;
        for (int times = 0; times < most + 100; ++times) broker.write("device", "acknowledged");
        return client.messages;
    }
    void SetUp() override {
        // The gateway's thread connects.
        for (int times = 0; times < 10'000 && client.messages == 0; ++times) {
            broker.write("device", "acknowledged");
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        ASSERT_EQ(client.messages, 1);
        client.published(&client, client.self, 1);
    }
};

TEST_F(a_broker, keeps_so_many_unanswered_acknowledgements) {
    EXPECT_EQ(written(), most);
    for (int times = 0; times < most; ++times) client.published(&client, client.self, 1);
    EXPECT_EQ(written(), most);
}

// libmosquitto 2 queues it, and calls back once there is a connection again.
TEST_F(a_broker, counts_an_acknowledgement_that_is_queued_without_a_connection_once) {
    client.code = MOSQ_ERR_NO_CONN;
    for (int times = 0; times < 100; ++times) {
        broker.write("device", "acknowledged");
        client.published(&client, client.self, 1);
    }
    EXPECT_EQ(written(), most);
}

TEST_F(a_broker, counts_no_acknowledgement_that_is_not_queued) {
    client.code = MOSQ_ERR_INVAL;
    client.is_queued = false;
    for (int times = 0; times < 2 * most; ++times) broker.write("device", "acknowledged");
    EXPECT_EQ(written(), most);
}

} // namespace
#endif
