// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/pipeline/deployment.hpp>
#include <mlflow/trace/pipeline/exporter_adaptor.hpp>
#include <mlflow/trace/pipeline/retry.hpp>
#include <mlflow/trace/testing/decorator_conformance.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;

template <class Exporter>
class counting : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    struct options {
        typename adaptor::inner_options exporter{};
    };
    explicit counting(options chosen) : adaptor(std::move(chosen.exporter)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        ++batches;
        return adaptor::export_traces(batch);
    }
    int batches = 0;
};

// As one writes it without the adaptor.
template <class Exporter>
class forgetful {
public:
    struct options {
        typename Exporter::options exporter{};
    };
    explicit forgetful(options chosen) : exporter_(std::move(chosen.exporter)) {}
    mt::export_result export_traces(mt::trace_batch& batch) { return exporter_.export_traces(batch); }

private:
    Exporter exporter_;
};

template <class Exporter>
class boasting : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    struct options {
        typename adaptor::inner_options exporter{};
    };
    explicit boasting(options chosen) : adaptor(std::move(chosen.exporter)) {}

    mt::export_result export_traces(mt::trace_batch& batch) { return {.exported_spans = batch.span_count()}; }
    bool flush(std::chrono::steady_clock::time_point) { return true; }
    bool shutdown(std::chrono::steady_clock::time_point) { return true; }
    mt::span_account account() { return {}; }
};

// Removes traces by the name of their root span.
template <class Exporter, bool Counts>
class filtering : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    static constexpr bool composes = adaptor::composes && !mt::deferring_exporter<Exporter>;
    struct options {
        typename adaptor::inner_options exporter{};
        std::string name = "health";
    };
    explicit filtering(options chosen) : adaptor(std::move(chosen.exporter)), name_(std::move(chosen.name)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::trace_batch removed, kept;
        while (mt::trace_data* const trace = batch.pop_front())
            (mt::decode(*trace).spans.front().name == name_ ? removed : kept).push_back(trace);
        batch = std::move(kept);
        mt::export_result outcome = adaptor::export_traces(batch);
        if (Counts) outcome.exported_spans += removed.span_count();
        return outcome;
    }

private:
    std::string name_;
};
template <class Exporter>
using without = filtering<Exporter, true>;
template <class Exporter>
using without_a_count = filtering<Exporter, false>;

// Passes on what the inner exporter did, but for one thing.
template <class Exporter, class Twist>
class twisted : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    struct options {
        typename adaptor::inner_options exporter{};
    };
    explicit twisted(options chosen) : adaptor(std::move(chosen.exporter)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        const std::size_t spans = batch.span_count();
        return Twist::of(adaptor::export_traces(batch), spans, batch);
    }
};
struct as_success {
    static mt::export_result of(const mt::export_result&, std::size_t spans, mt::trace_batch&) {
        return {.exported_spans = spans};
    }
};
struct as_another_error {
    static mt::export_result of(mt::export_result inner, std::size_t, mt::trace_batch&) {
        if (inner.error) inner.error = mt::error(mt::error_kind::other, "the decorator", "failed");
        return inner;
    }
};
struct as_counts {
    static mt::export_result of(const mt::export_result& inner, std::size_t, mt::trace_batch&) {
        return {.exported_spans = inner.exported_spans, .failed_spans = inner.failed_spans, .error = inner.error};
    }
};
struct without_the_batch {
    static mt::export_result of(const mt::export_result& inner, std::size_t, mt::trace_batch& batch) {
        batch.clear();
        return inner;
    }
};
template <class Exporter>
using swallowing = twisted<Exporter, as_success>;
template <class Exporter>
using renaming = twisted<Exporter, as_another_error>;
template <class Exporter>
using blurring = twisted<Exporter, as_counts>;
template <class Exporter>
using emptying = twisted<Exporter, without_the_batch>;

template <template <class> class Decorator>
std::vector<std::string> faults_of() {
    return mt::decorator_conformance<Decorator>().faults();
}

TEST(decorator_conformance, what_is_written_on_the_adaptor_is_as_it_should_be) {
    EXPECT_EQ(faults_of<counting>(), std::vector<std::string>());
    EXPECT_EQ(faults_of<mt::deployed>(), std::vector<std::string>());
}

TEST(decorator_conformance, names_what_is_lost) {
    const auto faults = faults_of<forgetful>();
    for (const char* const member : {"interrupt()", "last_error()", "progress()", "trace_url()", "flush()"})
        EXPECT_TRUE(std::any_of(faults.begin(), faults.end(), [&](const std::string& fault) {
            return fault.find(member) != std::string::npos;
        })) << member;
}

TEST(decorator_conformance, names_what_is_claimed) {
    const auto faults = faults_of<boasting>();
    for (const char* const claim : {"it has flush although", "did not get", "flush() does not reach", "every span"})
        EXPECT_TRUE(std::any_of(faults.begin(), faults.end(), [&](const std::string& fault) {
            return fault.find(claim) != std::string::npos;
        })) << claim;
}

TEST(decorator_conformance, tries_an_inner_exporter_that_fails) {
    using faults = std::vector<std::string>;
    EXPECT_EQ(faults_of<swallowing>().at(0), "it does not count as failed what the inner exporter did not deliver");
    EXPECT_EQ(faults_of<renaming>(), faults{"it hides the error of the inner exporter"});
    EXPECT_EQ(faults_of<blurring>(),
              faults{"it hides retryable or retry_after: traces would be given up, or sent again too early"});
    EXPECT_EQ(faults_of<emptying>(), faults{"it does not leave in the batch what may be sent again"});
}

TEST(decorator_conformance, tries_what_is_removed) {
    const auto remove = [](auto& options) { options.name = "conformance"; };
    EXPECT_EQ(mt::decorator_conformance<without>().faults(remove), std::vector<std::string>());
    EXPECT_EQ(mt::decorator_conformance<without_a_count>().faults(), std::vector<std::string>()) << "nothing removed";
    EXPECT_NE(mt::decorator_conformance<without_a_count>().faults(remove), std::vector<std::string>());
}

} // namespace
