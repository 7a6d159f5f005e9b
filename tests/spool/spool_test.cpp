// SPDX-License-Identifier: Apache-2.0
#include "support/spool_folder.hpp"
#include "support/spool_sink.hpp"
#include <mlflow/trace/spool/folder.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

using spool_type = mt::spool<sink_exporter>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, spool_type>;

template <class Condition>
bool comes_true(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!condition())
        if (std::chrono::steady_clock::now() > until) return false;
        else std::this_thread::sleep_for(1ms);
    return true;
}

void expect_balanced(const mt::span_account& a) {
    EXPECT_EQ(a.started, a.exported + a.failed + a.dropped + a.queued + a.open);
}

class spool : public in_a_folder {
protected:
    std::shared_ptr<sink> into = std::make_shared<sink>();

    [[nodiscard]] spool_type::options to_sink() const {
        return {.exporter = {into}, .folder = folder, .delay = 1ms, .first_wait = 1ms, .longest_wait = 5ms};
    }
    static void record(tracer_type& tracer, const std::string& name) { auto span = tracer.start_span(name); }
};

TEST_F(spool, delivers_what_was_recorded) {
    tracer_type tracer({.exporter = to_sink()});
    for (int i = 0; i < 100; ++i) record(tracer, std::to_string(i));
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->count(), 100U);
    EXPECT_EQ(tracer.account().exported, 100U);
    EXPECT_EQ(tracer.exporter().status().bytes, 0U) << "what is delivered takes no room";
    expect_balanced(tracer.account());
}

TEST_F(spool, delivers_one_by_one_where_there_is_no_room_for_two) {
    auto options = to_sink();
    options.max_batch_bytes = options.max_batch_spans = 0;
    options.segment_bytes = 0;
    tracer_type tracer({.exporter = options});
    for (int i = 0; i < 3; ++i) record(tracer, std::to_string(i));
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 3U);
    EXPECT_EQ(into->calls, 3U);
}

TEST_F(spool, leaves_no_file_when_all_is_delivered) {
    {
        tracer_type tracer({.exporter = to_sink()});
        record(tracer, "one");
    }
    EXPECT_EQ(into->count(), 1U);
    EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(spool, files_are_for_their_owner_alone) {
    into->is_away = true;
    const auto before = ::umask(0);
    {
        tracer_type tracer({.exporter = to_sink()});
        record(tracer, "one");
    }
    ::umask(before);
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(folder).permissions(), perms::owner_all);
    ASSERT_EQ(files().size(), 1U);
    EXPECT_EQ(std::filesystem::status(files()[0]).permissions(), perms::owner_read | perms::owner_write);
}

TEST_F(spool, files_hold_no_credentials) {
    using to_mlflow = mt::mlflow_exporter<mt::memory_transport>;
    auto side = std::make_shared<mt::memory_server>();
    side->answer_with([](const auto&) -> mt::memory_server::reply { return mt::http_response{503, {}, "busy"}; });
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<to_mlflow>> tracer(
        {.exporter = {
             .exporter = {.authorization = mt::bearer_authorization(mt::secret("the-token")), .transport = {side}},
             .folder = folder,
             .delay = 1ms}});
    tracer.start_trace("what users said").inputs("hello");
    EXPECT_FALSE(tracer.shutdown(20s));
    ASSERT_EQ(files().size(), 1U);
    EXPECT_NE(content_of(files()[0]).find("what users said"), std::string::npos);
    EXPECT_EQ(content_of(files()[0]).find("the-token"), std::string::npos);
    EXPECT_EQ(side->requests().at(0).header("Authorization"), "Bearer the-token");
}

TEST_F(spool, the_next_start_delivers_what_is_left) {
    into->is_away = true;
    for (int run = 0; run < 3; ++run) {
        auto options = to_sink();
        options.segment_bytes = 300; // some files
        tracer_type tracer({.exporter = std::move(options)});
        for (int i = 0; i < 10; ++i) record(tracer, std::to_string(10 * run + i));
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_FALSE(tracer.shutdown(60s));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s) << "an outage does not hold up the end";
        EXPECT_EQ(tracer.account().queued, 10U);
        expect_balanced(tracer.account());
    }
    EXPECT_GT(files().size(), 6U);
    into->is_away = false;
    tracer_type tracer({.exporter = to_sink()});
    EXPECT_TRUE(comes_true([&] { return into->count() == 30; }));
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().recovered_spans == 30; }));
    EXPECT_TRUE(comes_true([&] { return files().empty(); }));
    EXPECT_EQ(tracer.account().exported, 0U) << "of the process that recorded them";
    for (const auto& [name, times] : into->times) EXPECT_EQ(times, 1) << name;
}

// What goes to MLflow, straight and from the content of records.
TEST(spool_format, keeps_all_that_an_exporter_needs) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> tracer;
    {
        auto trace = tracer.start_trace("\"name\"", mt::user{"\"quoted\""}, mt::session{"{}"},
                                        mt::client_request_id{"req-1"}, mt::tag{"t", "v"}, mt::tag{"empty", ""});
        trace.metadata("app.segment", "pro");
        trace.inputs(mt::arg("question", "why?\n\xe2\x82\xac"));
        trace.previews("why?", "because");
        trace.attribute("json?", "[1]").attribute("number", 0.5);
        auto child = trace.start_span("child", mt::span_type::tool);
        child.event("event", mt::arg("n", 1));
        child.exception("std::runtime_error", "no route");
        child.end();
        auto late = trace.start_span("ends after its trace");
        trace.end();
    }
    mt::trace_batch& recorded = tracer.exporter().collected;
    ASSERT_EQ(recorded.size(), 2U);
    mt::trace_batch again;
    for (const mt::trace_data& trace : recorded) {
        namespace format = mt::detail::spool_format;
        mt::detail::buffer record;
        ASSERT_TRUE(format::append_record(record, 1, trace));
        EXPECT_EQ(format::span_count(record.view().substr(format::header_size)), trace.span_count);
        again.push_back(format::decode_record(record.view().substr(format::header_size)));
    }
    EXPECT_EQ(again.span_count(), recorded.span_count());
    EXPECT_EQ(again.bytes(), recorded.bytes());

    const auto sent = [](mt::trace_batch& batch) {
        auto side = std::make_shared<mt::memory_server>();
        side->queue_reply(mt::http_response{200, {}, "3.17.2"});
        side->queue_reply(mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"});
        side->queue_reply(mt::http_response{200, {}, {}});
        side->answer_with([](const mt::memory_server::request& request) -> mt::memory_server::reply {
            return mt::http_response{200, {}, request.body}; // the stored information
        });
        mt::mlflow_exporter<mt::memory_transport> exporter({.transport = {side}});
        EXPECT_TRUE(exporter.export_traces(batch).ok());
        std::vector<std::string> bodies;
        for (const auto& request : side->requests()) bodies.push_back(request.body);
        return bodies;
    };
    const auto straight = sent(recorded);
    EXPECT_EQ(straight.size(), 4U);
    EXPECT_EQ(sent(again), straight);

    const auto otlp = [](const mt::trace_batch& batch) {
        mt::detail::buffer request;
        EXPECT_TRUE(mt::append_otlp_request(request, batch, {}, mt::otlp_receiver::any));
        return std::string(request.view());
    };
    EXPECT_EQ(otlp(again), otlp(recorded));
}

TEST_F(spool, puts_aside_what_is_refused_while_others_are_taken) {
    into->is_away = true;
    tracer_type tracer({.exporter = to_sink()});
    for (int i = 0; i < 512; ++i) record(tracer, std::to_string(i));
    {
        const std::lock_guard guard(into->lock);
        into->refused = {"0", "1", "2", "300", "511"};
        into->is_away = false;
    }
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->count(), 507U);
    EXPECT_EQ(tracer.account().exported, 507U);
    EXPECT_EQ(tracer.account().failed, 5U);
    EXPECT_EQ(tracer.exporter().status().rejected_spans, 5U);
    expect_balanced(tracer.account());
    tracer.shutdown(20s);
    const auto kept = files(".rejected");
    ASSERT_EQ(kept.size(), 1U);
    const auto name = mt::detail::segment_name::parse(kept[0].filename().string());
    const mt::detail::owned_file file(::open(kept[0].c_str(), O_RDONLY | O_CLOEXEC));
    mt::detail::spool_reader<mt::posix_files> reader(file.get(), name->marker, 0,
                                                     std::filesystem::file_size(kept[0]));
    std::set<std::string> names;
    for (std::string_view content; (content = reader.next()).data();) {
        mt::trace_batch batch(mt::detail::spool_format::decode_record(content));
        names.insert(mt::decode(*batch.begin()).spans.at(0).name);
    }
    EXPECT_EQ(names, into->refused);
}

TEST_F(spool, keeps_everything_while_all_is_refused) {
    tracer_type tracer({.exporter = to_sink()});
    record(tracer, "taken");
    ASSERT_TRUE(tracer.flush(20s));
    const auto set_refusing = [&](bool now) {
        const std::lock_guard guard(into->lock);
        into->refuses_all = now;
        into->calls = 0;
    };
    // Where the credentials have expired, each trace is refused, and none of them is to blame.
    set_refusing(true);
    for (int i = 0; i < 50; ++i) record(tracer, std::to_string(i));
    EXPECT_TRUE(comes_true([&] {
        const std::lock_guard guard(into->lock);
        return into->calls > 100;
    }));
    EXPECT_EQ(tracer.account().queued, 50U);
    EXPECT_EQ(tracer.last_error().message(), "refused");
    set_refusing(false);
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->count(), 51U);
    EXPECT_EQ(tracer.exporter().status().rejected_spans, 0U);
    expect_balanced(tracer.account());
}

TEST_F(spool, a_trace_that_is_refused_waits_until_it_is_in_the_way_of_others) {
    for (const std::uint64_t segment_bytes : {1'000'000U, 1U}) { // both in one file, each in its own
        into->refused = {"first"};
        into->calls = 0;
        auto options = to_sink();
        options.segment_bytes = segment_bytes;
        tracer_type tracer({.exporter = options});
        record(tracer, "first");
        EXPECT_TRUE(comes_true([&] {
            const std::lock_guard guard(into->lock);
            return into->calls > 50;
        }));
        EXPECT_EQ(tracer.account().queued, 1U);
        record(tracer, "second");
        ASSERT_TRUE(tracer.flush(20s));
        EXPECT_EQ(tracer.account().exported, 1U);
        EXPECT_EQ(tracer.account().failed, 1U);
        EXPECT_EQ(tracer.exporter().status().rejected_spans, 1U);
    }
}

TEST_F(spool, what_was_left_behind_waits_too_while_all_is_refused) {
    const auto leave = [&](const std::string& name) {
        into->is_away = true;
        auto options = to_sink();
        options.shutdown_timeout = 0ms;
        tracer_type gone({.exporter = options, .shutdown_timeout = 0ms});
        record(gone, name);
    };
    leave("first");
    leave("second");
    into->is_away = false;
    into->refuses_all = true;
    into->calls = 0;
    tracer_type tracer({.exporter = to_sink()});
    record(tracer, "third");
    EXPECT_TRUE(comes_true([&] {
        const std::lock_guard guard(into->lock);
        return into->calls > 200;
    }));
    EXPECT_EQ(tracer.exporter().status().rejected_spans, 0U);
    {
        const std::lock_guard guard(into->lock);
        into->refuses_all = false;
        into->refused = {"first"};
    }
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().rejected_spans == 1; }));
    EXPECT_TRUE(comes_true([&] { return into->count() == 2; }));
    EXPECT_TRUE(comes_true([&] { return files().size() == 1; })); // the one that is written to
}

// There is nothing but what others have left behind to show that the receiver is well.
TEST_F(spool, one_that_is_refused_is_not_in_the_way_of_what_was_left_behind) {
    for (const char* const name : {"first", "second"}) {
        into->is_away = true;
        auto options = to_sink();
        options.shutdown_timeout = 0ms;
        tracer_type gone({.exporter = options, .shutdown_timeout = 0ms});
        record(gone, name);
    }
    into->is_away = false;
    into->refused = {"first"};
    tracer_type tracer({.exporter = to_sink()});
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().rejected_spans == 1; }));
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().recovered_spans == 1; }));
    EXPECT_GE(into->times_of("second"), 1) << "as a control request too";
}

TEST_F(spool, one_that_is_too_large_for_a_slow_receiver_is_not_in_the_way_for_ever) {
    into->too_large = {"large"};
    into->is_away = true;
    tracer_type tracer({.exporter = to_sink()});
    record(tracer, "0");
    record(tracer, "large");
    for (int i = 1; i < 10; ++i) record(tracer, std::to_string(i));
    into->set_away(false);
    EXPECT_TRUE(comes_true([&] { return into->count() == 10U; }));
    record(tracer, "another");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 11U);
    EXPECT_EQ(tracer.exporter().status().rejected_spans, 1U);
    EXPECT_GE(into->calls, 5U + 5U) << "not at once";
}

TEST_F(spool, threads_record_at_once_safe_against_loss_of_power) {
    for (const auto durability : {mt::spool_durability::process_crash, mt::spool_durability::power_loss}) {
        into->times.clear();
        auto options = to_sink();
        options.durability = durability;
        options.segment_bytes = 4'000;
        tracer_type tracer({.exporter = options});
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&tracer, t] {
                for (int i = 0; i < 100; ++i) record(tracer, std::to_string(100 * t + i));
            });
        for (std::thread& each : threads) each.join();
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(into->count(), 400U);
        for (const auto& [name, times] : into->times) EXPECT_EQ(times, 1) << name;
        expect_balanced(tracer.account());
    }
}

TEST_F(spool, damage_costs_only_itself) {
    into->is_away = true;
    {
        tracer_type tracer({.exporter = to_sink()});
        for (int i = 0; i < 3; ++i) record(tracer, std::to_string(i));
    }
    ASSERT_EQ(files().size(), 1U);
    std::string bytes = content_of(files()[0]);
    bytes[bytes.size() / 2] ^= 1;
    write_file(files()[0], bytes);
    write_file(files()[0].string() + ".bak", "not a segment");
    write_file(std::filesystem::path(folder) / "0000000000000000-0000000000000000.spool", "garbage");
    into->is_away = false;
    tracer_type tracer({.exporter = to_sink()});
    ASSERT_TRUE(comes_true([&] { return files().empty(); }));
    EXPECT_EQ(into->count(), 2U);
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().damaged_places == 2; }));
    EXPECT_TRUE(comes_true([&] { return tracer.exporter().status().recovered_spans == 2; }));
}

TEST_F(spool, a_full_folder_drops_the_newest) {
    into->is_away = true;
    auto options = to_sink();
    options.max_bytes = 4'000;
    tracer_type tracer({.exporter = options});
    for (int i = 0; i < 100; ++i) record(tracer, std::to_string(i));
    const auto queued = tracer.account().queued;
    EXPECT_GT(queued, 5U);
    EXPECT_EQ(tracer.account().dropped, 100 - queued);
    EXPECT_LE(tracer.exporter().status().bytes, 4'000U);
    into->set_away(false);
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->count(), queued);
    EXPECT_EQ(into->times_of("0"), 1);
    record(tracer, "there is room again");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->times_of("there is room again"), 1);
    expect_balanced(tracer.account());
}

TEST_F(spool, a_full_folder_drops_the_oldest_where_that_is_wanted) {
    into->is_away = true;
    auto options = to_sink();
    options.max_bytes = 8'000;
    options.when_full = mt::spool_full::drop_oldest;
    {
        tracer_type tracer({.exporter = options});
        for (int i = 0; i < 20; ++i) record(tracer, "left behind " + std::to_string(i));
    }
    tracer_type tracer({.exporter = options});
    for (int i = 0; i < 200; ++i) record(tracer, std::to_string(i));
    EXPECT_LE(tracer.exporter().status().bytes, 8'000U);
    EXPECT_GT(tracer.account().dropped, 100U);
    EXPECT_EQ(tracer.account().dropped + tracer.account().queued, 200U);
    into->set_away(false);
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(into->times_of("199"), 1);
    EXPECT_EQ(into->times_of("0"), 0);
    const auto counted = tracer.account();
    EXPECT_EQ(counted.exported + counted.dropped, 200U);
    EXPECT_TRUE(comes_true([&] { return files().size() <= 1; })) << "what is left is the empty file to write to";
    const auto status = tracer.exporter().status();
    EXPECT_EQ(status.recovered_spans + status.dropped_recovered, 20U);
    expect_balanced(tracer.account());
}

TEST_F(spool, a_folder_that_is_no_place_for_secrets_is_refused) {
    std::filesystem::create_directory(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::all);
    tracer_type tracer({.exporter = to_sink()});
    record(tracer, "not written");
    EXPECT_EQ(tracer.account().dropped, 1U);
    EXPECT_NE(tracer.last_error().message().find("0700"), std::string::npos) << tracer.last_error().message();
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    record(tracer, "written");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 1U);
    expect_balanced(tracer.account());
}

TEST_F(spool, a_folder_below_one_that_others_may_write_to_is_refused) {
    namespace fs = std::filesystem;
    const auto says_of = [this](const fs::path& at) {
        auto options = to_sink();
        options.folder = at;
        tracer_type tracer({.exporter = options});
        record(tracer, "one");
        static_cast<void>(tracer.flush(20s));
        EXPECT_EQ(tracer.account().dropped, tracer.last_error().message().empty() ? 0U : 1U);
        return tracer.last_error().message();
    };
    const auto with_mode = [this](const char* name, mode_t mode) {
        const auto made = root / name;
        fs::create_directory(made);
        EXPECT_EQ(::chmod(made.c_str(), mode), 0);
        return made;
    };
    const auto open = with_mode("open", 0777);
    fs::create_directories(root / "real" / "inner");
    fs::create_directory_symlink(root / "real", root / "link");
    fs::create_directory_symlink(open, root / "link to open");
    fs::create_directory_symlink(root / "real", open / "link");
    for (const auto& at : {open / "spool", open / "a" / "b" / "spool", root / "link to open" / "spool",
                           open / "link" / "spool", root / "link" / ".." / "open" / "spool"}) {
        const auto error = says_of(at);
        EXPECT_NE(error.find("open: this folder is writable by others"), std::string::npos) << at << ": " << error;
        EXPECT_TRUE(files().empty());
    }
    EXPECT_NE(says_of(with_mode("odd", 0703) / "spool").find("writable by others"), std::string::npos);
    EXPECT_EQ(says_of(with_mode("sticky", 01777) / "spool"), ""); // as /tmp
    EXPECT_EQ(says_of(with_mode("mine", 0755) / "spool"), "");
    EXPECT_EQ(says_of(root / "link" / "inner" / "spool"), "");
    if (::geteuid() != 0) return;
    const auto others = with_mode("others", 0755);
    ASSERT_EQ(::chown(others.c_str(), 12345, 12345), 0);
    EXPECT_NE(says_of(others / "spool").find("belongs to another user"), std::string::npos);
    const auto group = with_mode("group", 0775);
    ASSERT_EQ(::chown(group.c_str(), 0, 12345), 0);
    EXPECT_NE(says_of(group / "spool").find("writable by others"), std::string::npos);
    const auto planted = root / "sticky" / "planted";
    fs::create_directory_symlink(root / "real", planted);
    ASSERT_EQ(::lchown(planted.c_str(), 12345, 12345), 0);
    EXPECT_NE(says_of(planted).find("belongs to another user"), std::string::npos);
}

TEST_F(spool, what_others_put_into_its_folder_is_not_delivered) {
    into->is_away = true;
    {
        tracer_type left({.exporter = to_sink()});
        record(left, "left behind");
    }
    ASSERT_EQ(files().size(), 1U);
    into->set_away(false);
    bool is_open = false;
    const auto delivered = [&] {
        tracer_type tracer({.exporter = to_sink()});
        static_cast<void>(tracer.exporter().recover(std::chrono::steady_clock::now() + 5s));
        EXPECT_EQ(tracer.last_error().message().find("others may write to it") != std::string::npos, is_open);
        return tracer.exporter().status().recovered_spans;
    };
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    is_open = true;
    EXPECT_EQ(delivered(), 0U);
    is_open = false;
    ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(files().front().c_str(), 12345, 12345), 0);
        EXPECT_EQ(delivered(), 0U);
        ASSERT_EQ(::chown(files().front().c_str(), 0, 0), 0);
    }
    EXPECT_EQ(delivered(), 1U);
}

TEST_F(spool, a_fifo_that_bears_the_name_of_a_file_holds_nobody) {
    ASSERT_EQ(mt::detail::make_folder(folder).message(), "");
    const auto fifo = folder + '/' + mt::detail::segment_name{1, 1}.text();
    for (const auto& path : {fifo, folder + '/' + mt::detail::segment_name{2, 2, ".rejected"}.text()})
        ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const auto listed = mt::list_spool(folder);
    ASSERT_TRUE(listed);
    EXPECT_TRUE(listed->empty());
    EXPECT_FALSE(mt::for_each_trace(mt::spool_file{.path = fifo, .created = {}}, [](const mt::trace_data&) {}));
    EXPECT_FALSE(mt::forward_again(
        mt::spool_file{.path = folder + '/' + mt::detail::segment_name{2, 2, ".rejected"}.text(), .created = {}}));
    tracer_type tracer({.exporter = to_sink()});
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_TRUE(tracer.exporter().recover(std::chrono::steady_clock::now() + 20s));
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_TRUE(std::filesystem::is_fifo(fifo));
}

TEST_F(spool, a_folder_may_be_a_link_elsewhere) {
    std::filesystem::create_directory(root / "real");
    std::filesystem::permissions(root / "real", std::filesystem::perms::owner_all);
    std::filesystem::create_directory_symlink(root / "real", folder);
    for (const auto durability : {mt::spool_durability::process_crash, mt::spool_durability::power_loss}) {
        auto options = to_sink();
        options.durability = durability;
        tracer_type tracer({.exporter = options});
        record(tracer, "one");
        ASSERT_TRUE(tracer.flush(20s));
        EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    }
}

TEST_F(spool, what_else_bears_the_name_of_a_file_of_traces_is_left_alone) {
    std::filesystem::create_directory(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    const auto path = [this](std::uint64_t number) {
        return std::filesystem::path(folder) / mt::detail::segment_name{number, number}.text();
    };
    write_file(root / "large", std::string(100'000, 'x'));
    std::filesystem::create_directory(path(1));
    std::filesystem::create_symlink(root / "large", path(2));
    write_file(path(3), "");
    auto options = to_sink();
    options.max_bytes = 50'000; // none of which these are
    tracer_type tracer({.exporter = options});
    EXPECT_TRUE(comes_true([&] { return !std::filesystem::exists(path(3)); }));
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_TRUE(std::filesystem::is_directory(path(1)));
    EXPECT_TRUE(std::filesystem::is_symlink(path(2)));
    EXPECT_EQ(content_of(root / "large").size(), 100'000U);
}

TEST_F(spool, traces_go_to_a_new_file_where_somebody_has_removed_theirs) {
    into->is_away = true;
    tracer_type tracer({.exporter = to_sink()});
    for (int i = 0; i < 3; ++i) {
        record(tracer, std::to_string(i));
        EXPECT_EQ(files().size(), 1U);
        std::filesystem::remove_all(folder);
    }
    into->set_away(false);
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 3U) << tracer.last_error().message();
}

TEST_F(spool, goes_on_where_its_file_is_cut_off) {
    into->is_away = true;
    tracer_type tracer({.exporter = to_sink()});
    for (int i = 0; i < 1000; ++i) record(tracer, std::to_string(i));
    std::filesystem::resize_file(files().at(0), std::filesystem::file_size(files().at(0)) / 2);
    into->set_away(false);
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_GT(tracer.account().exported, 400U);
    EXPECT_EQ(tracer.account().failed, 1000 - tracer.account().exported);
    EXPECT_LE(tracer.exporter().status().damaged_places, 2U) << "an attempt may have been under way";
    record(tracer, "another");
    ASSERT_TRUE(tracer.flush(20s));
    EXPECT_TRUE(into->times.contains("another"));
}

TEST_F(spool, shares_a_folder_with_other_spools) {
    tracer_type first({.exporter = to_sink()});
    tracer_type second({.exporter = to_sink()});
    for (int i = 0; i < 50; ++i) record(i % 2 == 0 ? first : second, std::to_string(i));
    ASSERT_TRUE(first.flush(20s));
    ASSERT_TRUE(second.flush(20s));
    EXPECT_EQ(first.account().exported, 25U);
    EXPECT_EQ(second.account().exported, 25U);
    EXPECT_EQ(into->count(), 50U);
    for (const auto& [name, times] : into->times) EXPECT_EQ(times, 1) << name;
}

TEST_F(spool, inside_a_batch_what_is_written_counts_as_exported) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<spool_type>> tracer(
        {.exporter = {.exporter = to_sink(), .delay = 1ms}});
    for (int i = 0; i < 10; ++i) auto span = tracer.start_span(std::to_string(i));
    ASSERT_TRUE(tracer.shutdown(20s));
    EXPECT_EQ(into->count(), 10U);
    EXPECT_EQ(tracer.account().exported, 10U);
    expect_balanced(tracer.account());
}

TEST_F(spool, conforms) {
    for (const std::string& fault : mt::exporter_conformance<spool_type>(to_sink()).faults()) ADD_FAILURE() << fault;
}

} // namespace
