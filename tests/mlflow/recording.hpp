// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// What a test records on the server is told a second time here, in JSON by another library, for the readback.
namespace recording {

using nlohmann::json;
namespace mt = mlflow::trace;

inline std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    if (!value || !*value) throw std::runtime_error(std::string(name) + " is not set");
    return value;
}

/// The server under test.
inline std::string server() { return environment("MLFLOW_TRACKING_URI"); }

/// A name that no other run has used.
inline std::string fresh_name(std::string_view purpose) {
    return std::string(purpose) + " " + std::string(mt::hosted_platform::new_trace_id().hex().view());
}

/// What the readback is to find, written to the file MLFLOW_TRACE_EXPECTED when all tests have run.
inline json& expected() {
    static json all = json::object();
    return all;
}

class saved_at_the_end : public testing::Environment {
    void TearDown() override {
        std::ofstream file(environment("MLFLOW_TRACE_EXPECTED"));
        file << expected().dump(1) << std::endl;
        ASSERT_TRUE(file);
    }
};
inline testing::Environment* const saving = testing::AddGlobalTestEnvironment(new saved_at_the_end);

inline std::string text(std::string_view view) { return std::string(view); }

/// JSON has no other numbers: {"float": "nan"} in their place.
template <class T>
json told(const T& value) {
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(value)) return {{"float", "nan"}};
        if (std::isinf(value)) return {{"float", value < 0 ? "-inf" : "inf"}};
    }
    return json(value);
}

/// A span of the library, and what was said to it.
template <class Span>
class told_span {
public:
    told_span(Span span, json& trace, std::string_view name, mt::span_id parent)
        : span_(std::move(span)), said_(trace["spans"][text(span_.id().hex())]) {
        said_ = {{"name", name},
                 {"parent", nullptr},
                 {"type", "UNKNOWN"},
                 {"status", "OK"},
                 {"attributes", json::object()},
                 {"events", json::array()},
                 {"inputs", nullptr},
                 {"outputs", nullptr},
                 {"description", ""}};
        if (parent.valid()) said_["parent"] = text(parent.hex());
    }

    Span* operator->() { return &span_; }
    Span& operator*() { return span_; }
    json& said() { return said_; }

    template <class T>
    void attribute(const std::string& key, const T& value) {
        span_.attribute(key, value);
        said_["attributes"][key] = told(value);
    }
    template <class T>
    void inputs(const T& value) {
        span_.inputs(value);
        said_["inputs"] = told(value);
    }
    template <class T>
    void outputs(const T& value) {
        span_.outputs(value);
        said_["outputs"] = told(value);
    }
    template <class T>
    void event(const std::string& name, const std::string& key, const T& value) {
        span_.event(name, mt::arg(key, value));
        said_["events"].push_back({{"name", name}, {"attributes", {{key, told(value)}}}});
    }
    template <class T>
    void chunk(const T& value) {
        span_.chunk(value);
        const auto count = std::to_string(chunks_++);
        const json attributes = {{"mlflow.chunk.value", json(value).dump()}};
        said_["events"].push_back({{"name", "mlflow.chunk.item." + count}, {"attributes", attributes}});
    }
    void type(mt::span_type type) {
        span_.type(type);
        said_["type"] = type.name();
    }
    void usage(std::uint64_t input, std::uint64_t output) {
        span_.usage({.input = input, .output = output});
        said_["attributes"]["mlflow.chat.tokenUsage"] = {
            {"input_tokens", input}, {"output_tokens", output}, {"total_tokens", input + output}};
    }
    void usage_with_cache(std::uint64_t input, std::uint64_t output, std::uint64_t read, std::uint64_t created) {
        span_.usage({.input = input,
                     .output = output,
                     .cache_read = read,
                     .cache_creation = created,
                     .cache_creation_above_1h = created - 1});
        auto& said = said_["attributes"]["mlflow.chat.tokenUsage"];
        said = {{"input_tokens", input}, {"output_tokens", output}, {"total_tokens", input + output}};
        said["cache_read_input_tokens"] = read;
        said["cache_creation_input_tokens"] = created;
        said["cache_creation_input_tokens_above_1hr"] = created - 1;
    }
    void failed(const std::string& type, const std::string& message) {
        said_["status"] = "ERROR";
        said_["description"] = type + ": " + message;
        said_["events"].push_back(
            {{"name", "exception"}, {"attributes", {{"exception.type", type}, {"exception.message", message}}}});
    }

private:
    Span span_;
    json& said_;
    int chunks_ = 0;
};

/// A trace of the library, and what was said to it. `said` becomes an entry of `traces` by its ID.
template <class Tracer>
class told_trace : public told_span<typename Tracer::trace> {
    using base = told_span<typename Tracer::trace>;

public:
    template <class... Values>
    told_trace(Tracer& tracer, json& traces, std::string_view name, const Values&... values)
        : told_trace(tracer.start_trace(name, values...), traces, name) {
        (tell(values), ...);
    }

    template <class Value>
    void set(const Value& value) {
        EXPECT_TRUE((**this).set(value));
        tell(value);
    }
    /// A span of the library inside another one.
    template <class Outer>
    auto start_span(Outer& outer, std::string_view name, mt::span_type type = mt::span_type::unknown) {
        auto span = outer->start_span(name, type);
        told_span<decltype(span)> inner(std::move(span), trace_, name, outer->id());
        inner.said()["type"] = type.name();
        return inner;
    }
    json& trace() { return trace_; }

private:
    told_trace(typename Tracer::trace&& started, json& traces, std::string_view name)
        : told_trace(std::move(started), name, traces[text(started.trace_id().mlflow_id())]) {}
    told_trace(typename Tracer::trace&& started, std::string_view name, json& trace)
        : base(std::move(started), trace, name, {}), trace_(trace) {
        trace_["name"] = name;
        trace_["state"] = "OK";
        for (const char* const part : {"metadata", "tags"}) trace_[part] = json::object();
        trace_["client_request_id"] = nullptr;
    }

    template <class Value>
    void tell(const Value& value) {
        if constexpr (std::is_same_v<Value, mt::tag>) trace_["tags"][text(value.key)] = value.value;
        else if constexpr (std::is_same_v<Value, mt::client_request_id>) trace_["client_request_id"] = value.view();
        else if constexpr (std::is_same_v<Value, mt::span_type>) this->said()["type"] = value.name();
        else if constexpr (mt::metadata_key<Value>) trace_["metadata"][text(Value::name)] = value.view();
        else if constexpr (requires { value.get(); }) {
            if (value.get()) tell(*value.get());
        }
    }

    json& trace_;
};

} // namespace recording
