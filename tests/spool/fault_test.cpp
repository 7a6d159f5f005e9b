// SPDX-License-Identifier: Apache-2.0
#include "support/sanitized.hpp"
#include "support/spool_folder.hpp"
#include "support/spool_sink.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <sys/mount.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

enum class mishap { error, short_write, kill };

// POSIX, but for some of the calls.
struct faulty_files : mt::posix_files {
    static inline std::atomic<long> calls{0};
    static inline long first = 0; // that goes wrong
    static inline long count = 0; // how many in a row
    static inline mishap what = mishap::error;
    static inline int reason = EIO;

    static void plan(long from, long how_many, mishap kind, int error = EIO) {
        calls = 0;
        first = from;
        count = how_many;
        what = kind;
        reason = error;
    }
    static bool goes_wrong() {
        const long now = calls++;
        if (now < first || now - first >= count) return false;
        if (what == mishap::kill) ::kill(::getpid(), SIGKILL);
        errno = reason;
        return what == mishap::error;
    }

    static int open(const char* path, int flags) { return goes_wrong() ? -1 : posix_files::open(path, flags); }
    static ssize_t write(int file, const char* from, std::size_t size, off_t at) {
        const long now = calls;
        if (goes_wrong()) return -1;
        const bool is_short = what == mishap::short_write && now >= first && now - first < count;
        return posix_files::write(file, from, is_short ? (size + 1) / 2 : size, at);
    }
    static ssize_t read(int file, char* to, std::size_t size, off_t at) {
        const long now = calls;
        if (goes_wrong()) return -1;
        const bool is_short = what == mishap::short_write && now >= first && now - first < count;
        return posix_files::read(file, to, is_short ? (size + 1) / 2 : size, at);
    }
    static int resize(int file, off_t size) { return goes_wrong() ? -1 : posix_files::resize(file, size); }
    static int sync(int file) { return goes_wrong() ? -1 : posix_files::sync(file); }
    static int lock(int file) { return goes_wrong() ? -1 : posix_files::lock(file); }
    static int rename(const char* from, const char* to) { return goes_wrong() ? -1 : posix_files::rename(from, to); }
    static int remove(const char* path) { return goes_wrong() ? -1 : posix_files::remove(path); }
};

template <class Files, class Inner = sink_exporter>
using tracer_of = mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<Inner, Files>>;

class spool_fault : public in_a_folder {
protected:
    std::shared_ptr<sink> into = std::make_shared<sink>();
    static constexpr int traces = 12;

    template <class Files>
    auto options(mt::spool_durability durability = mt::spool_durability::power_loss) {
        typename mt::spool<sink_exporter, Files>::options chosen{.exporter = {into}, .folder = folder};
        chosen.durability = durability;
        chosen.segment_bytes = 400;
        chosen.delay = 1ms;
        chosen.first_wait = chosen.longest_wait = 1ms;
        return chosen;
    }

    // Half of them while the receiver is away. Returns where the spans are at the end of the process.
    mt::span_account run(std::chrono::seconds most_time_of_flush = {}) {
        tracer_of<faulty_files> tracer({.exporter = options<faulty_files>()});
        into->set_away(true);
        for (int i = 0; i < traces; ++i) {
            if (i == traces / 2) into->set_away(false);
            auto span = tracer.start_span(std::to_string(i));
        }
        // A shutdown ends with an attempt that fails, also with one that began while the receiver was away.
        if (most_time_of_flush.count() != 0) static_cast<void>(tracer.flush(most_time_of_flush));
        tracer.shutdown(20s);
        return tracer.account();
    }
    void deliver_the_rest() {
        tracer_of<mt::posix_files> tracer({.exporter = options<mt::posix_files>()});
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!files().empty() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
        EXPECT_TRUE(files().empty()) << files().size() << " files are left";
    }
    void expect_all_but(std::uint64_t dropped, const std::string& where) {
        EXPECT_GE(into->count() + dropped, traces) << where;
        for (const auto& file : files(".rejected")) ADD_FAILURE() << where << ": " << file << " is left";
    }
};

TEST_F(spool_fault, a_call_that_is_interrupted_or_short_is_none) {
    for (const auto& [what, reason] : {std::pair(mishap::error, EINTR), std::pair(mishap::short_write, 0)})
        for (long k = 0, calls = 1; k < calls; ++k) {
            faulty_files::plan(k, 1, what, reason);
            const auto account = run(20s);
            calls = faulty_files::calls;
            const auto where = std::to_string(reason) + " at call " + std::to_string(k);
            deliver_the_rest();
            const bool is_plain = what == mishap::short_write; // there are calls that signals do not interrupt
            EXPECT_EQ(account.dropped, 0U) << where;
            EXPECT_TRUE(!is_plain || account.exported == traces)
                << where << ": " << account.exported << " exported, " << account.queued << " queued, "
                << account.failed << " failed";
            expect_all_but(0, where);
            into->times.clear();
        }
}

TEST_F(spool_fault, each_call_may_fail_once_or_from_then_on) {
    std::uint64_t dropped = 0;
    for (const int reason : {EIO, ENOSPC})
        for (const long count : {1L, 3L, 1'000'000L})
            for (long k = 0, calls = 1; k < calls; k += count > 3 ? 5 : 1) {
                faulty_files::plan(k, count, mishap::error, reason);
                const auto account = run();
                calls = std::min(1'000L, faulty_files::calls.load());
                const auto where = std::to_string(reason) + " at calls " + std::to_string(k) + " and " +
                                   std::to_string(count) + " in all";
                EXPECT_EQ(account.started,
                          account.exported + account.failed + account.dropped + account.queued + account.open)
                    << where;
                for (const auto& file : files(".rejected")) std::filesystem::remove(file); // could not be read
                deliver_the_rest();
                if (account.failed == 0) expect_all_but(account.dropped, where);
                dropped += account.dropped;
                into->times.clear();
            }
    EXPECT_GT(dropped, 0U) << "no fault has had any effect";
}

// Tells a pipe of what is delivered: what a process that is killed had in memory does not count.
struct pipe_exporter {
    struct options {
        int to = -1;
    };
    explicit pipe_exporter(options chosen) : to(chosen.to) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        if (++calls % 3 == 0) {
            outcome.failed_spans = batch.span_count();
            outcome.error = mt::error(mt::error_kind::connect, {}, "away");
            outcome.retryable = true;
            return outcome;
        }
        std::string lines;
        for (const mt::trace_data& trace : batch) lines += "delivered " + mt::decode(trace).spans.at(0).name + "\n";
        if (::write(to, lines.data(), lines.size()) < 0) return outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    int to;
    int calls = 0;
};

// The lines that were said, each of two words, by their first.
std::multiset<std::string> told(const std::string& said, std::string_view what) {
    std::multiset<std::string> names;
    std::istringstream words(said);
    for (std::string kind, name; words >> kind >> name;)
        if (kind == what) names.insert(name);
    return names;
}

// A process that records 12 traces, and says which are acknowledged and which delivered.
[[noreturn]] void record_until_killed(const std::string& folder, int to) {
    tracer_of<faulty_files, pipe_exporter> tracer({.exporter = {.exporter = {to},
                                                                .folder = folder,
                                                                .segment_bytes = 400,
                                                                .delay = 0ms,
                                                                .first_wait = 1ms,
                                                                .longest_wait = 1ms}});
    for (int i = 0; i < 12; ++i) {
        const std::string name = std::to_string(i);
        tracer.start_span(name).end();
        const std::string line = "acknowledged " + name + "\n";
        if (::write(to, line.data(), line.size()) < 0 || tracer.account().dropped > 0) ::_exit(2);
    }
    tracer.shutdown(20s);
    ::_exit(0);
}

TEST_F(spool_fault, killed_at_each_call_loses_nothing_that_was_acknowledged) {
    bool was_killed = true;
    int kills = 0;
    std::size_t left = 0;
    for (long k = 0; was_killed; ++k) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            faulty_files::plan(k, 1, mishap::kill);
            record_until_killed(folder, ends[1]);
        }
        ::close(ends[1]);
        std::string said;
        char part[4096];
        for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;)
            said.append(part, static_cast<std::size_t>(got));
        ::close(ends[0]);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        ASSERT_TRUE(was_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
        kills += was_killed ? 1 : 0;

        left += files().size();
        deliver_the_rest();
        const auto before = told(said, "delivered");
        for (const std::string& name : told(said, "acknowledged"))
            EXPECT_TRUE(before.contains(name) || into->times.contains(name))
                << name << " is lost, killed at call " << k;
        into->times.clear();
    }
    EXPECT_GT(kills, 20);
    EXPECT_GT(left, 20U);
}

TEST_F(spool_fault, the_child_of_a_fork_delivers_its_own) {
    if (is_sanitized) GTEST_SKIP() << "in the child their locks stay as they are, that of malloc too";
    const auto lines = root / "delivered";
    const mt::detail::owned_file to(::open(lines.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
    constexpr int forks = 20;
    std::uint64_t recorded = 0;
    {
        tracer_of<mt::posix_files, pipe_exporter> tracer(
            {.exporter = {.exporter = {to.get()}, .folder = folder, .delay = 1ms, .first_wait = 1ms}});
        std::atomic<bool> is_over{false};
        std::atomic<int> count{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; ++t)
            threads.emplace_back([&] {
                while (!is_over) {
                    tracer.start_span("parent-" + std::to_string(count++)).end();
                    std::this_thread::yield();
                }
            });
        for (int k = 0; k < forks; ++k) {
            const pid_t child = ::fork();
            if (child == 0) {
                ::alarm(30); // a child that hangs is a failure, not a test that hangs
                tracer.start_span("child-" + std::to_string(k)).end();
                const bool is_done = tracer.flush(20s);
                const auto account = tracer.account();
                ::_exit(is_done && account.queued == 0 && account.dropped == 0 ? 0 : 1);
            }
            int status = -1;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_EQ(status, 0) << "child " << k;
        }
        is_over = true;
        for (std::thread& each : threads) each.join();
        ASSERT_TRUE(tracer.flush(60s));
        recorded = static_cast<std::uint64_t>(count);
        EXPECT_EQ(tracer.account().exported, recorded);
    }
    const auto delivered = told(content_of(lines), "delivered");
    EXPECT_EQ(delivered.size(), recorded + forks) << "each once, by its own process";
    EXPECT_EQ(std::set<std::string>(delivered.begin(), delivered.end()).size(), recorded + forks);
}

// A disk that is full for real. Mounting one is for root.
TEST_F(spool_fault, a_full_disk_is_survived) {
    std::filesystem::create_directory(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    if (::mount("none", folder.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0)
        GTEST_SKIP() << "mounting a small disk: " << std::strerror(errno);
    {
        auto chosen = options<mt::posix_files>(mt::spool_durability::process_crash);
        chosen.segment_bytes = 16 * 1024;
        tracer_of<mt::posix_files> tracer({.exporter = chosen});
        into->set_away(true);
        const auto record = [&](int i) {
            auto span = tracer.start_span(std::to_string(i));
            span.inputs(std::string(1'000, 'x'));
        };
        for (int i = 0; i < 100; ++i) record(i);
        const auto full = tracer.account();
        EXPECT_GT(full.queued, 30U);
        EXPECT_EQ(full.queued + full.dropped, 100U);
        EXPECT_NE(tracer.exporter().status().failed_file_calls, 0U);
        into->set_away(false);
        EXPECT_TRUE(tracer.flush(20s)) << "what is delivered makes room on a full disk";
        EXPECT_EQ(into->count(), full.queued);
        for (int i = 100; i < 110; ++i) record(i);
        EXPECT_TRUE(tracer.flush(20s));
        EXPECT_EQ(tracer.account().exported, full.queued + 10);
        EXPECT_EQ(tracer.account().dropped, full.dropped);
    }
    EXPECT_EQ(::umount(folder.c_str()), 0) << std::strerror(errno);
}

} // namespace
