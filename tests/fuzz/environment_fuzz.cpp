// SPDX-License-Identifier: Apache-2.0
// Any text as a variable of the environment: what is accepted can be sent, and parses to the same when it is written
// again; what is refused names the variable, cleanly. A libFuzzer target.
//
// The input: a byte that chooses the variable, and its value up to the first NUL.
#include "properties.hpp"
#include "replying_transport.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/environment/otlp.hpp>
#include <mlflow/trace/exporters/otlp.hpp>

#include <cstdlib>
#include <iterator>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;

constexpr const char* names[] = {
    "OTEL_EXPORTER_OTLP_HEADERS",   "OTEL_RESOURCE_ATTRIBUTES",    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",   "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME",
    "MLFLOW_TRACKING_URI",          "MLFLOW_TRACKING_TOKEN",       "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_HTTP_REQUEST_TIMEOUT",  "MLFLOW_EXPERIMENT_NAME",      "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACE_SAMPLING_RATIO", "MLFLOW_TRACKING_PASSWORD"};

constexpr const char* hidden = "s3cr3t";

void check_refusal(const mt::error& error, const std::string& value) {
    bool is_known = false;
    for (const char* const name : names) is_known = is_known || error.about() == name;
    require(is_known && error.message().starts_with(error.about()));
    fuzz::require_clean(error.message());
    const bool may_be_shown = error.about().find("ENDPOINT") != std::string::npos ||
                              error.about().find("URI") != std::string::npos ||
                              error.about().find("HEADERS") != std::string::npos; // its names
    const bool is_secret = value.find(hidden) != std::string::npos;
    require(may_be_shown || !is_secret || error.message().find(hidden) == std::string::npos);
}

std::string listed(const auto& pairs, auto text_of) {
    std::string list;
    for (const auto& [key, value] : pairs)
        list += (list.empty() ? "" : ",") + mt::detail::percent_encoded(key) + "=" +
                mt::detail::percent_encoded(text_of(value));
    return list;
}

void check_otlp(const std::string& value) {
    using exporter = mt::otlp_exporter<fuzz::replying_transport>;
    const auto read = mt::from_environment<exporter>();
    if (!read) return check_refusal(read.error(), value);
    for (const auto& [key, text] : read->headers) require(mt::detail::header_fault(key, text.reveal(), 1).empty());
    require(read->timeout.count() > 0);
    ::setenv(names[0], listed(read->headers, [](const mt::secret& one) { return one.reveal(); }).c_str(), 1);
    ::setenv(names[1], listed(read->resource, [](const std::string& one) { return one; }).c_str(), 1);
    const auto again = mt::from_environment<exporter>();
    require(again && again->headers.size() == read->headers.size() && again->resource == read->resource);
    for (std::size_t i = 0; i < read->headers.size(); ++i)
        require(again->headers[i].first == read->headers[i].first &&
                again->headers[i].second.reveal() == read->headers[i].second.reveal());
    ::unsetenv(names[0]);
    ::unsetenv(names[1]);
}

void check_mlflow(const std::string& value) {
    const auto read = mt::from_environment<mt::client<fuzz::replying_transport>>();
    if (!read) check_refusal(read.error(), value);
    else {
        require(read->timeout.count() > 0);
        if (const auto who = read->authorization.current(); who && !read->authorization.empty())
            require(mt::detail::is_field_value(who->reveal()));
    }
    const auto ratio = mt::from_environment<mt::record_ratio>();
    if (!ratio) check_refusal(ratio.error(), value);
    else require(ratio->ratio >= 0 && ratio->ratio <= 1);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const char* const name = names[in.take_byte() % std::size(names)];
    const std::string value(in.rest().substr(0, in.rest().find('\0')));
    const bool is_name = std::string_view(name) == "MLFLOW_TRACKING_USERNAME";
    ::setenv(name, value.c_str(), 1);
    if (is_name) ::setenv("MLFLOW_TRACKING_PASSWORD", "password", 1);
    check_mlflow(value);
    check_otlp(value);
    ::unsetenv(name);
    if (is_name) ::unsetenv("MLFLOW_TRACKING_PASSWORD");
    return 0;
}
