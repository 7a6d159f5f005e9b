// SPDX-License-Identifier: Apache-2.0
// Any bytes as the headers of a request: what is accepted keeps every promise of http_headers, and what is refused
// says which header and why, without a byte of its value. A libFuzzer target.
//
// The input is fields, each a byte that chooses the name, and a value that ends at 0xFE (which UTF-8 never holds).
#include <mlflow/trace/metadata/pseudonym.hpp>
#include <mlflow/trace/platform/hosted.hpp>
#include <mlflow/trace/web/headers.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;

std::string reversed(std::string_view id) { return {id.rbegin(), id.rend()}; }

using identity = mt::http_headers<
    mt::header<"X-User-ID", mt::user>,
    mt::header<"X-Session-ID", mt::session, mt::generate_absent<mt::hosted_platform>>,
    mt::header<"X-Request-ID", mt::client_request_id>,
    mt::header<"X-Tenant", mt::pseudonym<mt::key<"app.tenant", mt::max_length<16>>, reversed>, mt::refuse_absent>>;
using tenant = mt::key<"app.tenant", mt::max_length<16>>;

constexpr std::string_view names[] = {"X-User-ID", "x-session-id", "X-REQUEST-ID", "X-Tenant", "x-user-id", "Accept"};
constexpr std::string_view wanted[] = {"X-User-ID", "X-Session-ID", "X-Request-ID", "X-Tenant"};

void require(bool condition) {
    if (!condition) std::abort();
}

template <class Key>
void check_kept(std::string_view kept, std::string_view given) {
    while (!given.empty() && (given.front() == ' ' || given.front() == '\t')) given.remove_prefix(1);
    while (!given.empty() && (given.back() == ' ' || given.back() == '\t')) given.remove_suffix(1);
    require(kept == given);
    require(Key::check(kept).kind() == mt::error_kind::none);
    for (const char c : kept) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::pair<std::string_view, std::string>> fields;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    std::size_t times[4]{};
    std::string first[4];
    while (!rest.empty()) {
        const auto name = names[static_cast<unsigned char>(rest.front()) % std::size(names)];
        const auto end = rest.find('\xfe');
        const auto value = rest.substr(1, end == std::string_view::npos ? end : end - 1);
        for (std::size_t i = 0; i < 4; ++i)
            if (mt::detail::same_name(wanted[i], name) && times[i]++ == 0) first[i] = value;
        fields.emplace_back(name, value);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    const auto parsed = identity::parse(fields);
    if (!parsed) {
        const mt::error& error = parsed.error();
        bool is_known = false;
        for (const auto name : wanted) is_known = is_known || error.about() == name;
        const std::string message = error.message();
        require(is_known && message.starts_with(error.about()) && message.size() < 200);
        for (const char c : message) require(c >= 0x20 && c < 0x7f);
        return 0;
    }
    for (const std::size_t count : times) require(count <= 1);
    require(times[3] == 1);
    const auto& user = parsed->get<mt::user>();
    require(user.has_value() == (times[0] == 1));
    if (user.has_value()) check_kept<mt::user>((*user).view(), first[0]);
    const mt::session& session = parsed->get<mt::session>();
    if (times[1] == 1) check_kept<mt::session>(session.view(), first[1]);
    else require(mt::uuid::allows(session.view()));
    const auto& request = parsed->get<mt::client_request_id>();
    if (request.has_value()) check_kept<mt::client_request_id>((*request).view(), first[2]);
    require((parsed->lost() != nullptr) == (times[2] == 1 && !request.has_value()));
    require(tenant::check(parsed->get<tenant>().view()).kind() == mt::error_kind::none);
    return 0;
}
