// SPDX-License-Identifier: Apache-2.0
// Records traces of two spans, numbered by a tag NAME-0, NAME-1, …, and delivers them from memory, or by a spool; the
// harnesses of this folder make the faults. One JSON object a line on standard output:
//
//   {"attempt": …}  for each request, when it has ended     {"sample": …}  of its own resources, with --samples
//   {"ready": …}    with --wait-for-go, when the first trace has arrived; it goes on at a line on standard input
//   {"hurried": …}  with --hurry, when its clock keeps time again
//   {"account": …}  in the end
#include "paced_clock.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {
std::atomic<long> live_allocations{0};
}

void* operator new(std::size_t size) {
    void* const block = std::malloc(size);
    if (!block) throw std::bad_alloc();
    ++live_allocations;
    return block;
}
void operator delete(void* block) noexcept {
    if (block) --live_allocations;
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

namespace {

namespace mt = mlflow::trace;
using json = nlohmann::json;
using clock_type = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct choices {
    std::string uri;
    std::string experiment;
    std::string name = "trace";
    std::string spool;
    std::string ca_file;
    std::string token_file;
    bool request_ids = false;
    long traces = 100;
    double rate = 0;
    std::size_t queue = 262'144;
    std::size_t bytes = 100;
    long samples = 0;
    bool wait_for_go = false;
    bool wait_for_room = false;
    long timeout = 30'000;
    long longest_wait = 30'000;
    long flush = 300'000;
    long hurry = 0;
    long pace = 600;
};

void say(const json& line) {
    static std::mutex lock;
    const std::lock_guard guard(lock);
    std::puts(line.dump().c_str());
    std::fflush(stdout);
}

template <class Duration>
double in_milliseconds(Duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

// Another transport that tells of each request.
template <class Transport>
class told {
public:
    using options = typename Transport::options;

    told(mt::endpoint server, options chosen) : transport_(std::move(server), std::move(chosen)) {}

    mt::result<mt::http_response> send(const mt::http_request& request) {
        const auto begun = clock_type::now();
        auto reply = transport_.send(request);
        const auto ended = clock_type::now();
        say({{"attempt", reply ? std::to_string(reply->status) : reply.error().message()},
             {"begun", in_milliseconds(begun.time_since_epoch())},
             {"milliseconds", in_milliseconds(ended - begun)},
             {"bytes", request.body.size()}});
        return reply;
    }

private:
    Transport transport_;
};

using to_mlflow = mt::mlflow_exporter<told<mt::beast_transport>>;
template <class Delivery>
using tracer = mt::tracer<mt::open_schema, mt::thread_local_context, Delivery>;
using from_memory = tracer<mt::batch<mt::retry<to_mlflow>>>;
using by_spool = tracer<mt::spool<to_mlflow>>;

// As a program has it whose token is renewed by somebody else.
mt::credentials token_of(const std::string& file) {
    if (file.empty()) return {};
    return [file] {
        std::ifstream from(file);
        if (!from) throw std::runtime_error("no token there");
        return mt::bearer_authorization(mt::secret(std::string(std::istreambuf_iterator<char>(from), {})));
    };
}

to_mlflow::options server_of(const choices& chosen) {
    to_mlflow::options options{.tracking_uri = chosen.uri,
                               .experiment_name = chosen.experiment,
                               .timeout = milliseconds(chosen.timeout),
                               .authorization = token_of(chosen.token_file)};
    options.transport.tls.ca_file = chosen.ca_file;
    return options;
}

void configure(const choices& chosen, from_memory::options& options) {
    auto& queue = options.exporter;
    queue.exporter.exporter = server_of(chosen);
    queue.exporter.longest_wait = milliseconds(chosen.longest_wait);
    queue.max_queue_spans = chosen.queue;
    queue.when_full = chosen.wait_for_room ? mt::when_full::wait : mt::when_full::drop_newest;
    queue.max_wait = std::chrono::minutes(5);
}
void configure(const choices& chosen, by_spool::options& options) {
    options.exporter.exporter = server_of(chosen);
    options.exporter.folder = chosen.spool;
    options.exporter.longest_wait = milliseconds(chosen.longest_wait);
}

template <class Tracer>
json account_of(Tracer& traces) {
    const auto spans = traces.account();
    return {{"started", spans.started}, {"exported", spans.exported}, {"failed", spans.failed},
            {"dropped", spans.dropped}, {"queued", spans.queued},     {"open", spans.open}};
}

long resident_kilobytes() {
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * (::sysconf(_SC_PAGESIZE) / 1024);
}

long file_descriptors() {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
    long entries = 0;
    while (::readdir(folder.get())) ++entries;
    return entries - 3; // ".", "..", and this one
}

// How long it took, in microseconds.
template <class Tracer>
double record(Tracer& traces, const choices& chosen, long number, const std::string& text) {
    const std::string told_number = chosen.name + '-' + std::to_string(number);
    const auto begun = clock_type::now();
    {
        auto trace = traces.start_trace("turn", mt::user{"user-1042"}, mt::session{"session-7"},
                                        mt::tag("number", told_number));
        if (chosen.request_ids)
            if (const auto id = mt::client_request_id::parse(told_number)) static_cast<void>(trace.set(*id));
        trace.inputs(text);
        auto step = trace.start_span("step");
    }
    return in_milliseconds(clock_type::now() - begun) * 1'000;
}

json percentiles(std::vector<double> times) {
    std::sort(times.begin(), times.end());
    const auto at = [&](double part) {
        return times.empty() ? 0 : times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"p99.9", at(0.999)}, {"longest", at(1)}};
}

template <class Tracer>
int run(const choices& chosen) {
    typename Tracer::options options;
    configure(chosen, options);
    Tracer traces(std::move(options));
    const std::string text(chosen.bytes, 'x');
    std::vector<double> times;
    if (chosen.samples == 0) times.reserve(static_cast<std::size_t>(chosen.traces));
    long number = 0;
    if (chosen.wait_for_go) {
        record(traces, chosen, number++, text);
        traces.flush(std::chrono::minutes(5));
        say({{"ready", account_of(traces)}});
        std::cin.get();
    }
    if (chosen.hurry) run_clock(chosen.pace);
    const auto begun = clock_type::now();
    const auto hurry_until =
        chosen.hurry ? begun + std::chrono::seconds(chosen.hurry) : clock_type::time_point::max();
    bool is_hurried = false;
    const long sample_every = chosen.samples ? std::max(1L, chosen.traces / chosen.samples) : chosen.traces + 1;
    for (long recorded = 0; number < chosen.traces; ++recorded) {
        const double took = record(traces, chosen, number++, text);
        if (chosen.samples == 0) times.push_back(took);
        if (chosen.rate > 0)
            std::this_thread::sleep_until(
                begun + std::chrono::duration_cast<clock_type::duration>(
                            std::chrono::duration<double>(static_cast<double>(recorded + 1) / chosen.rate)));
        if (!is_hurried && clock_type::now() >= hurry_until) {
            is_hurried = true;
            run_clock(1);
            say({{"hurried", account_of(traces)}});
        }
        if (number % sample_every != 0) continue;
        traces.flush(milliseconds(chosen.flush));
        const long allocations = live_allocations;
        say({{"sample", traces.account().started},
             {"live_allocations", allocations},
             {"file_descriptors", file_descriptors()},
             {"resident_kilobytes", resident_kilobytes()}});
    }
    const double seconds = in_milliseconds(clock_type::now() - begun) / 1'000;
    traces.flush(milliseconds(chosen.flush));
    say({{"account", account_of(traces)},
         {"recorded_in_seconds", seconds},
         {"caller_microseconds", percentiles(std::move(times))},
         {"last_error", traces.last_error().message()}});
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    choices chosen;
    CLI::App app("Delivers traces from memory");
    app.add_option("--uri", chosen.uri)->required();
    app.add_option("--experiment", chosen.experiment)->required();
    app.add_option("--name", chosen.name, "of the traces");
    app.add_option("--spool", chosen.spool, "a folder: by a spool there, instead of from memory");
    app.add_option("--ca", chosen.ca_file, "who signs the server's certificate");
    app.add_option("--token-file", chosen.token_file, "read whenever a token is wanted");
    app.add_flag("--request-ids", chosen.request_ids, "each trace has one, NAME-0 and so on");
    app.add_option("--traces", chosen.traces, "how many");
    app.add_option("--rate", chosen.rate, "traces in a second; 0: at full speed");
    app.add_option("--bytes", chosen.bytes, "of inputs in each trace");
    app.add_option("--samples", chosen.samples, "how often to flush and tell of resources");
    app.add_option("--queue", chosen.queue, "spans that may wait");
    app.add_flag("--wait-for-go", chosen.wait_for_go);
    app.add_flag("--wait-for-room", chosen.wait_for_room, "instead of dropping");
    app.add_option("--timeout", chosen.timeout, "milliseconds, of a request");
    app.add_option("--longest-wait", chosen.longest_wait, "milliseconds, between attempts");
    app.add_option("--flush", chosen.flush, "milliseconds, how long to wait in the end");
    app.add_option("--hurry", chosen.hurry, "for so many seconds of its clock, that clock is fast");
    app.add_option("--pace", chosen.pace, "how fast");
    CLI11_PARSE(app, argc, argv);
    return chosen.spool.empty() ? run<from_memory>(chosen) : run<by_spool>(chosen);
}
