// SPDX-License-Identifier: Apache-2.0
// That there is no memory is not taken for something else: a part is not sent for the whole, nothing is put aside
// that is not at fault, and a secret stays hidden.
#include "attempts.hpp"

#ifdef MALLOC_IS_COUNTED

#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/spool/folder.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using attempts::by_number;
using attempts::tried;
using counted_malloc::failure;

template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;
constexpr mt::diagnostics nobody{.write = nullptr};

// ---- A part is not sent for the whole

template <class Exporter>
auto retried(typename Exporter::options options) {
    return typename tracer_to<mt::batch<mt::retry<Exporter>>>::options{
        .exporter = {.exporter = {.exporter = std::move(options),
                                  .first_wait = 1ms,
                                  .longest_wait = 2ms,
                                  .diagnostics = nobody},
                     .delay = 1h,
                     .diagnostics = nobody}};
}

// An MLflow without OTLP, which keeps spans as files, of one trace; and who takes OTLP without a word.
struct keeper_of_files {
    std::string info;
    std::string file;

    mt::http_response operator()(const mt::memory_server::request& asked) {
        const auto is_for = [&](std::string_view part) { return asked.target.find(part) != std::string::npos; };
        const bool is_read = asked.method == mt::http_method::get;
        if (is_for("/version")) return {200, {}, "3.3.0"};
        if (is_for("get-by-name")) return {200, {}, R"({"experiment":{"experiment_id":"1"}})"};
        if (is_for("mlflow-artifacts")) {
            if (!is_read) file = asked.body;
            return {200, {}, is_read ? file : std::string()};
        }
        if (!is_for("/mlflow/traces")) return {200, {}, {}};
        if (!is_read) {
            constexpr std::string_view tags = R"("tags":{)";
            std::string stored = asked.body;
            stored.insert(stored.find(tags) + tags.size(),
                          R"("mlflow.artifactLocation":"mlflow-artifacts:/1/traces/tr-1/artifacts",)");
            info = std::move(stored);
        }
        return {200, {}, info};
    }
};

// The bytes of the last request of that kind are as many as without a failure: all numbers and IDs have one length.
template <class Exporter>
by_number sends_the_whole(const std::function<typename Exporter::options(mt::memory_transport_options)>& options,
                          const std::string& kind, int inner_spans) {
    const auto whole = std::make_shared<std::size_t>(0);
    const by_number attempt = [=](long number, bool& has_come) -> const char* {
        const auto server = std::make_shared<mt::memory_server>();
        std::atomic<std::size_t> sent{0};
        server->answer_with([&, keeper = keeper_of_files()](const mt::memory_server::request& asked) mutable {
            if (asked.target.ends_with(kind) && asked.method != mt::http_method::get) sent = asked.body.size();
            return keeper(asked);
        });
        tracer_to<mt::batch<mt::retry<Exporter>>> tracer(retried<Exporter>(options({server})));
        {
            auto trace = tracer.start_trace("chat", mt::span_type::chat_model, mt::user{"user-1"});
            trace.inputs("a question").outputs(std::string(3'000, 'x')).attribute("score", 0.25);
            trace.usage({.input = 1, .output = 2});
            for (int i = 0; i < inner_spans; ++i) tracer.start_span("inner").attribute("i", i);
        }
        {
            const failure at(number);
            tried([&] { static_cast<void>(tracer.flush(5s)); });
            has_come = at.has_come();
        }
        if (!tracer.flush(10s)) return "what was recorded is not delivered";
        const auto account = tracer.account();
        if (account.exported != account.started) return "a span is not exported";
        if (*whole == 0) *whole = sent;
        return sent == *whole ? nullptr : "a part has been sent for the whole";
    };
    bool has_come = false;
    EXPECT_EQ(attempt(0, has_come), nullptr);
    EXPECT_GT(*whole, 3'000U);
    return attempt;
}

TEST(without_memory, spans_do_not_become_a_part_of_their_file) {
    using exporter = mt::mlflow_exporter<mt::memory_transport>;
    attempts::expect_good(sends_the_whole<exporter>(
        [](mt::memory_transport_options server) {
            return exporter::options{.transport = std::move(server), .on_notice = nullptr};
        },
        "/traces.json", 2));
}

TEST(without_memory, spans_are_told_in_the_same_terms) {
    using exporter = mt::otlp_exporter<mt::memory_transport>;
    attempts::expect_good(sends_the_whole<exporter>(
        [](mt::memory_transport_options server) {
            return exporter::options{.receiver = mt::otlp_receiver::gen_ai, .transport = std::move(server)};
        },
        "/v1/traces", 0));
}

// ---- Nothing is put aside that is not at fault

// Refuses spans of that name.
mt::http_response refuse_poison(const mt::memory_server::request& asked) {
    if (asked.target == "/version") return {200, {}, "3.17.2"};
    if (asked.target.find("get-by-name") != std::string::npos)
        return {200, {}, R"({"experiment":{"experiment_id":"1"}})"};
    if (asked.target.starts_with("/v1/traces"))
        return {asked.body.find("poison") == std::string::npos ? 200 : 422, {}, {}};
    return {200, {}, asked.body};
}
constexpr std::size_t spans_at_fault = 1;

template <class Tracer>
void record_poison(Tracer& tracer) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"});
    for (const char* const name : {"first", "poison", "third", "fourth"}) tracer.start_span(name).inputs(name);
}

// One trace with one span at fault. Nothing, or what went wrong.
template <class Tracer, class Options>
const char* deliver_poison(Options options, long number, bool& has_come) {
    Tracer tracer(std::move(options));
    record_poison(tracer);
    {
        const failure at(number);
        tried([&] { static_cast<void>(tracer.flush(20ms)); });
        has_come = at.has_come();
    }
    static_cast<void>(tracer.start_trace("another")); // shows that the server is well
    if (!tracer.flush(10s)) return "what was recorded is not delivered";
    const auto account = tracer.account();
    if (account.failed != spans_at_fault) return "others than the span at fault have failed";
    return account.exported + spans_at_fault == account.started ? nullptr : "a span is not exported";
}

mt::memory_transport_options poisoned() {
    auto server = std::make_shared<mt::memory_server>();
    server->answer_with(refuse_poison);
    return {std::move(server)};
}

using mlflow_server = mt::mlflow_exporter<mt::memory_transport>;

TEST(without_memory, retry_puts_aside_the_span_at_fault_alone) {
    attempts::expect_good([](long number, bool& has_come) {
        return deliver_poison<tracer_to<mt::batch<mt::retry<mlflow_server>>>>(
            retried<mlflow_server>({.transport = poisoned()}), number, has_come);
    });
}

class without_memory_spool : public testing::Test {
protected:
    std::string folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-no-memory-" + std::to_string(::getpid()) + "-spool");

    void TearDown() override { std::filesystem::remove_all(folder); }

    bool is_kept(std::string_view name) const {
        bool is_found = false;
        const auto files = mt::list_spool(folder);
        for (const mt::spool_file& file : files.value())
            static_cast<void>(mt::for_each_trace(file, [&](const mt::trace_data& trace) {
                for (const mt::span_data* span = trace.spans; span; span = span->next)
                    is_found = is_found || span->body.view().find(name) != std::string_view::npos;
            }));
        return is_found;
    }
};

TEST_F(without_memory_spool, puts_aside_the_span_at_fault_alone_and_keeps_it) {
    attempts::expect_good([this](long number, bool& has_come) -> const char* {
        std::filesystem::remove_all(folder);
        using spool = mt::spool<mlflow_server>;
        const auto wrong = deliver_poison<tracer_to<spool>>(
            tracer_to<spool>::options{.exporter = {.exporter = {.transport = poisoned()},
                                                   .folder = folder,
                                                   .delay = 1h,
                                                   .first_wait = 1ms,
                                                   .longest_wait = 2ms,
                                                   .diagnostics = nobody}},
            number, has_come);
        return wrong ? wrong : is_kept("poison") ? nullptr : "the span at fault is not in the folder";
    });
}

// ---- No trace is destroyed that was not delivered

TEST(without_memory, an_interrupted_export_keeps_its_traces) {
    using exporter = mt::mlflow_exporter<mt::memory_transport>;
    const by_number attempt = [](long number, bool& has_come) -> const char* {
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> tracer;
        for (int i = 0; i < 2; ++i) tracer.start_trace("chat", mt::client_request_id{"request-1"}).end();
        auto server = std::make_shared<mt::memory_server>();
        server->answer_with(&refuse_poison);
        exporter to({.transport = {server}});
        if (!to.connect()) return "no connection";
        to.interrupt();
        mt::trace_batch& batch = tracer.exporter().collected;
        mt::export_result outcome;
        {
            const failure at(number);
            outcome = mt::detail::guarded_export(to, batch);
            has_come = at.has_come();
        }
        if (batch.size() != 2) return "a trace is gone";
        return outcome.failed_spans == 2 && outcome.retryable ? nullptr : "the account is wrong";
    };
    attempts::expect_good(attempt);
}

// ---- A secret stays hidden

TEST(without_memory, a_secret_stays_hidden) {
    const std::string secret = "s3cr3t/\"t0ken\" that is longer than a small text";
    mt::detail::known_secrets secrets;
    secrets.remember(mt::secret(secret));
    mt::detail::buffer as_base64, as_json;
    mt::detail::append_base64(as_base64, secret);
    mt::detail::append_json_string(as_json, secret);
    const std::string forms[] = {std::string(as_base64.view()), std::string(as_json.view())};
    const std::string said = secret + ' ' + forms[0] + ' ' + forms[1];
    bool has_come = true;
    long number = 1;
    for (; has_come; ++number) {
        std::optional<std::string> shown;
        {
            const failure at(number);
            tried([&] { shown = secrets.masked(said); });
            has_come = at.has_come();
        }
        if (!shown) continue;
        for (const std::string_view form : {std::string_view(secret), std::string_view(forms[0]).substr(0, 16),
                                            std::string_view(forms[1]).substr(1, 16)})
            EXPECT_EQ(shown->find(form), std::string::npos) << "allocation " << number;
    }
    EXPECT_GT(number, 5);
}

TEST(without_memory, credentials_are_whole_or_none) {
    const mt::secret password(std::string(600, 'p'));
    const auto whole = mt::basic_authorization("user", password);
    bool has_come = true;
    for (long number = 1; has_come; ++number) {
        std::optional<mt::secret> made;
        {
            const failure at(number);
            tried([&] { made = mt::basic_authorization("user", password); });
            has_come = at.has_come();
        }
        EXPECT_TRUE(!made || made->reveal() == whole.reveal()) << "allocation " << number;
    }
}

} // namespace

#endif
