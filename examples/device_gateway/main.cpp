// SPDX-License-Identifier: Apache-2.0
// Collects the traces of devices (`mt::framed_exporter`) from serial ports, pipes and TCP connections in a spool,
// tells each device what is safe, and delivers to MLflow.
#include "collector.hpp"
#include "links.hpp"
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
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
        "From devices to MLflow, by way of a folder that survives a crash. The environment says where MLflow "
        "is (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, …)."};
    std::string folder;
    std::vector<std::string> ports;
    std::string address;
    unsigned baud = 115'200;
    app.add_option("FOLDER", folder, "where traces wait for MLflow; made where it does not exist")->required();
    app.add_option("--port", ports, "a serial port or FIFO; - is standard input, which is not answered");
    app.add_option("--baud", baud, "of serial ports (default: 115200)");
    app.add_option("--listen", address,
                   "IPv4 address and port for TCP; the link is neither encrypted nor authenticated");
    CLI11_PARSE(app, argc, argv);

    auto server = mt::from_environment<mt::mlflow_exporter<mt::beast_transport>>({.source_name = "device_gateway"});
    if (!server) throw std::runtime_error(server.error().message());
    to_mlflow spool(
        {.exporter = std::move(*server), .folder = folder, .durability = mt::spool_durability::power_loss});
    device_gateway::links links;
    for (const std::string& port : ports) links.add(device_gateway::open_port(port, speed_of(baud)));
    if (!address.empty()) {
        auto listening = device_gateway::listen_at(address);
        std::cout << "port " << device_gateway::port_of(listening) << std::endl;
        links.listen(std::move(listening));
    }

    std::signal(SIGPIPE, SIG_IGN);
    for (const int sent : {SIGINT, SIGTERM}) std::signal(sent, [](int) { is_stopped = 1; });
    device_gateway::collector collector(spool);
    while (!is_stopped && !links.empty()) {
        links.read(200, [&](int file, const mt::frame& frame) { collector.take(file, frame); });
        collector.store([&](int file, std::string_view bytes) { links.write(file, bytes); });
    }

    const bool is_delivered = spool.shutdown(std::chrono::steady_clock::now() + std::chrono::seconds(30));
    const nlohmann::ordered_json report{{"devices", collector.report()}, {"damaged", links.damaged()}};
    std::cout << report.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
    if (!is_delivered)
        std::cerr << "device_gateway: the rest waits in " << folder << ": " << spool.last_error() << '\n';
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
