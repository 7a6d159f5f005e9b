// SPDX-License-Identifier: Apache-2.0
// Any bytes as an address, a header and a secret: what is accepted is written again as it was and cannot begin
// another header, and no secret is shown. A libFuzzer target.
//
// The input: a URL, the name and the value of a header, and two texts around a secret.
#include "properties.hpp"
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>

#include <algorithm>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
constexpr std::string_view hidden = "s3cr3t-t0ken";

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void check_url(std::string_view url) {
    const auto server = mt::endpoint::parse(url);
    if (!server) return fuzz::require_clean(mt::detail::one_line(server.error().message()));
    require(!server->host.empty() && server->port != 0);
    require(server->path.empty() || (server->path.front() == '/' && server->path.back() != '/'));
    const auto again = mt::endpoint::parse(server->scheme + "://" + server->authority() + server->path);
    require(again && again->scheme == server->scheme && again->host == server->host && again->port == server->port &&
            again->path == server->path);
    require(!check_request(*server, {}));
}

// Before the last @ stands who asks, and behind a ? or # what no error text may say.
void check_shown(std::string_view before, std::string_view after) {
    if (holds(before, hidden) || holds(after, hidden)) return;
    const std::string secret(hidden);
    require(!holds(mt::detail::shown_url(std::string(before) + secret + "@" + std::string(after)), hidden));
    require(!holds(mt::detail::shown_url(std::string(before) + "http://user:" + secret + "@" + std::string(after)),
                   hidden));
    require(!holds(mt::detail::shown_url(std::string(before) + "?" + std::string(after) + secret), hidden));
}

void check_header(std::string_view name, std::string_view value) {
    const mt::http_header headers[] = {{name, value}};
    if (const auto fault = mt::check_request({"http", "host", 80, ""}, {.headers = headers})) {
        const mt::http_header same_fault[] = {{name, mt::detail::is_field_value(value) ? "" : "\n"}};
        require(fault->message() == mt::check_request({"http", "host", 80, ""}, {.headers = same_fault})->message());
        return fuzz::require_clean(fault->message());
    }
    const std::string line = std::string(name) + ": " + std::string(value) + "\r\n";
    require(std::count(line.begin(), line.end(), '\r') == 1 && std::count(line.begin(), line.end(), '\n') == 1);
    require(line.find(':') == name.size() && !holds(line, std::string_view("\0", 1)));
}

void check_masked(std::string_view before, std::string_view secret, std::string_view after) {
    if (secret.size() < 4 || holds(secret, "*")) return;
    mt::detail::known_secrets secrets;
    secrets.remember(mt::secret(secret));
    mt::detail::buffer as_json;
    mt::detail::append_json_string(as_json, secret);
    for (const std::string& form : {std::string(secret), mt::detail::percent_encoded(secret),
                                    std::string(as_json.view().substr(1, as_json.size() - 2))})
        require(!holds(secrets.masked(std::string(before) + form + std::string(after)), form));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto url = in.take_text();
    check_url(url);
    const auto name = in.take_text();
    const auto value = in.take_text();
    check_header(name, value);
    const auto before = in.take_text();
    check_shown(before, url);
    check_masked(before, value, in.take_text());
    return 0;
}
