// SPDX-License-Identifier: Apache-2.0
// Receives traces from devices (`mt::framed_exporter`) over serial ports, pipes and TCP connections, and from an MQTT
// broker, stores them in a spool, acknowledges them, and delivers them to MLflow.
#include "collector.hpp"
#include "links.hpp"
#include "mqtt.hpp"
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using to_mlflow = mt::spool<mt::mlflow_exporter<mt::beast_transport>>;

volatile std::sig_atomic_t is_stopped = 0;

speed_t speed_of(unsigned baud) {
    switch (baud) {
    case 9'600: return B9600;
    case 115'200: return B115200;
    case 921'600: return B921600;
    default: throw std::runtime_error("--baud: 9600, 115200 or 921600");
    }
}

int run(int argc, char** argv) {
    CLI::App app{
        "Receives traces from devices, stores them in a spool folder that survives a crash, and delivers them to "
        "MLflow. The server is set by environment variables (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, …)."};
    std::string folder;
    std::vector<std::string> ports;
    std::string address;
    unsigned baud = 115'200;
    app.add_option("FOLDER", folder, "spool folder, created if it does not exist")->required();
    app.add_option("--port", ports,
                   "serial port or FIFO to read; - is standard input, which receives no acknowledgements");
    app.add_option("--baud", baud, "speed of the serial ports: 9600, 115200 or 921600 (default: 115200)");
    app.add_option("--listen", address,
                   "IPv4 address and port for TCP connections, which are neither encrypted nor authenticated");
    device_gateway::broker_options mqtt;
    app.add_option(
        "--mqtt", mqtt.address,
        "MQTT broker, HOST or HOST:PORT. The device NAME publishes frames to PREFIX/NAME/frames and receives "
        "acknowledgements from PREFIX/NAME/acknowledgements. The environment variables MQTT_USERNAME and "
        "MQTT_PASSWORD are the gateway's credentials");
    app.add_option("--mqtt-prefix", mqtt.prefix, "PREFIX of the topics (default: mlflow_trace)");
    app.add_option("--mqtt-client", mqtt.client,
                   "client ID, for which the broker keeps messages while the gateway is not running; a different one "
                   "for each gateway (default: device_gateway)");
    app.add_option("--mqtt-ca", mqtt.authorities,
                   "file with certificates of authorities: connects with TLS, and verifies the broker's certificate");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    for (const int sent : {SIGINT, SIGTERM}) std::signal(sent, [](int) { is_stopped = 1; });

    auto server = mt::from_environment<mt::mlflow_exporter<mt::beast_transport>>({.source_name = "device_gateway"});
    if (!server) throw std::runtime_error(server.error().message());
    to_mlflow spool(
        {.exporter = std::move(*server), .folder = folder, .durability = mt::spool_durability::power_loss});
    device_gateway::links links;
    for (const std::string& port : ports) links.add(device_gateway::open_port(port, speed_of(baud)));
    if (!address.empty()) {
        auto listening = device_gateway::listen_at(address);
        std::cout << "port " << device_gateway::port_of(listening) << '\n' << std::flush;
        links.listen(std::move(listening));
    }

    device_gateway::collector collector(spool);
    std::optional<device_gateway::broker> broker;
    if (app.count("--mqtt") > 0) broker.emplace(mqtt);
    while (!is_stopped && (broker || !links.empty())) {
        links.read(200, broker ? broker->file() : -1, [&](std::uint64_t link, const mt::frame& frame) {
            collector.take({.link = link, .device = {}}, frame);
        });
        if (broker)
            broker->read([&](const std::string& device, const mt::frame& frame) {
                collector.take({.link = 0, .device = device}, frame);
            });
        collector.store([&](const device_gateway::origin& to, std::string_view bytes) {
            if (to.device.empty()) links.write(to.link, bytes);
            else broker->write(to.device, bytes);
        });
    }

    const bool is_delivered = spool.shutdown(std::chrono::steady_clock::now() + std::chrono::seconds(30));
    const nlohmann::ordered_json report{{"devices", collector.report()},
                                        {"damaged", links.damaged() + (broker ? broker->damaged() : 0)},
                                        {"misnamed", collector.misnamed() + (broker ? broker->misnamed() : 0)},
                                        {"retained", broker ? broker->retained() : 0}};
    std::cout << report.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << '\n' << std::flush;
    if (!is_delivered)
        std::cerr << "device_gateway: undelivered traces remain in " << folder << ": " << spool.last_error().message()
                  << '\n';
    return is_delivered ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "device_gateway: " << error.what() << '\n';
        return 2;
    }
}
