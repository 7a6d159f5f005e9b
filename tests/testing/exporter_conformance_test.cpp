// SPDX-License-Identifier: Apache-2.0
#include "examples/own_exporter/csv_exporter.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;

template <class Exporter>
std::string faults_of(mt::detail::options_of<Exporter> options = {}) {
    std::string all;
    for (const std::string& fault : mt::exporter_conformance<Exporter>(options).faults()) all += fault + "\n";
    return all;
}

class exporter_conformance : public testing::Test {
protected:
    void TearDown() override { ::unlink(path.c_str()); }
    std::string path = testing::TempDir() + "conformance." + std::to_string(::getpid());
};

TEST_F(exporter_conformance, the_librarys_exporters_conform) {
    EXPECT_EQ(faults_of<mt::memory_exporter>(), "");
    EXPECT_EQ(faults_of<mt::json_lines_exporter>({.path = path}), "");
    EXPECT_EQ(faults_of<mt::batch<mt::memory_exporter>>(), "");
    EXPECT_EQ(faults_of<mt::deployed<mt::memory_exporter>>(), "");
    EXPECT_EQ(faults_of<mt::batch<mt::retry<mt::json_lines_exporter>>>({.exporter = {.exporter = {.path = path}}}),
              "");
}

TEST_F(exporter_conformance, the_example_conforms) {
    EXPECT_EQ(faults_of<csv_exporter>({.path = path}), "");
    EXPECT_EQ(faults_of<mt::batch<csv_exporter>>({.exporter = {.path = path}}), "");
}

struct forgets_to_count {
    struct options {};
    explicit forgets_to_count(options) {}
    mt::export_result export_traces(mt::trace_batch&) { return {}; }
};
struct fails_without_a_word {
    struct options {};
    explicit fails_without_a_word(options) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        outcome.failed_spans = batch.span_count();
        return outcome;
    }
};
struct throws {
    struct options {};
    explicit throws(options) {}
    mt::export_result export_traces(mt::trace_batch&) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        throw std::runtime_error("no route");
#endif
    }
};
// Believes that a trace always comes with its root.
struct counts_roots {
    struct options {};
    explicit counts_roots(options) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        for (const mt::trace_data& trace : batch)
            if (trace.root) outcome.exported_spans += trace.span_count;
        return outcome;
    }
};
struct never_flushes : mt::batch<mt::memory_exporter> {
    using batch::batch;
    bool flush(std::chrono::steady_clock::time_point) { return false; }
};

TEST_F(exporter_conformance, faults_are_found_and_named) {
    EXPECT_NE(faults_of<forgets_to_count>().find("a trace of one span: exported_spans is 0 of 1"), std::string::npos);
    EXPECT_NE(faults_of<fails_without_a_word>().find("no error that says why"), std::string::npos);
    EXPECT_NE(faults_of<throws>().find("export_traces threw: no route"), std::string::npos);
    EXPECT_NE(faults_of<counts_roots>().find("spans that end after their trace: exported_spans is 1 of 2"),
              std::string::npos);
    EXPECT_NE(faults_of<never_flushes>().find("flush did not end"), std::string::npos);
}

template <class Exporter>
std::string faults_of_failure(mt::detail::options_of<Exporter> options = {}) {
    std::string all;
    for (const std::string& fault : mt::exporter_conformance<Exporter>(options).faults_of_failure())
        all += fault + "\n";
    return all;
}

// Keeps the traces that it could not send, although it has them sent again.
struct keeps_what_failed {
    struct options {};
    explicit keeps_what_failed(options) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome{.failed_spans = batch.span_count(),
                                  .error = mt::error(mt::error_kind::connect, "the receiver", "no route to host"),
                                  .retryable = true};
        kept.append(std::move(batch));
        return outcome;
    }
    mt::trace_batch kept;
};

TEST_F(exporter_conformance, an_exporter_that_cannot_deliver_says_so) {
    const std::string nowhere = path + "/no/such/folder";
    EXPECT_EQ(faults_of_failure<mt::json_lines_exporter>({.path = nowhere}), "");
    EXPECT_EQ(faults_of_failure<csv_exporter>({.path = nowhere}), "");
    EXPECT_NE(faults_of_failure<fails_without_a_word>().find("no error that says why"), std::string::npos);
    EXPECT_NE(faults_of_failure<keeps_what_failed>().find("no longer in the batch"), std::string::npos);
    EXPECT_NE(faults_of_failure<mt::memory_exporter>().find("failed_spans is 0"), std::string::npos);
}

} // namespace
