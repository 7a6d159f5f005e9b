// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: it is accepted where Python's json.loads accepts it (nlohmann's parser, but for NaN and bytes
// that are not UTF-8), what is found in it is what that parser finds, and what is written is JSON again. A libFuzzer
// target.
#include "properties.hpp"
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <nlohmann/json.hpp>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
namespace detail = mt::detail;
using nlohmann::json;

// Which the other parser does not read: constants of Python, numbers out of range, surrogates without their half. It
// takes a NUL for the end, and passes over a byte order mark.
bool is_peculiar(std::string_view text) {
    for (const std::string_view part : {"NaN", "Infinity", "e", "E", "\\ud", "\\uD"})
        if (text.find(part) != text.npos) return true;
    return !detail::is_valid_utf8(text) || text.find('\0') != text.npos || text.starts_with("\xEF\xBB\xBF") ||
           text.size() > 300;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const bool is_document = detail::is_json_document(text);
    const auto parsed = json::parse(text, nullptr, false);
    if (!parsed.is_discarded()) require(is_document || is_peculiar(text));
    else if (is_document) require(is_peculiar(text));

    if (!parsed.is_discarded() && parsed.is_object() && is_document)
        for (const auto& [name, value] : parsed.items()) {
            const auto found = detail::json_find(text, {name});
            require(!found.empty() || size > 64);
            if (found.empty()) continue;
            require(json::parse(found, nullptr, false) == value);
            if (value.is_string()) require(detail::json_find_string(text, {name}) == value.get<std::string>());
        }

    detail::buffer written;
    require(detail::append_json_string(written, text));
    const auto again = json::parse(written.view(), nullptr, false);
    require(again.is_string());
    detail::buffer cleaned;
    require(detail::append_utf8(cleaned, text) && again.get<std::string>() == cleaned.view());
    require(detail::is_valid_utf8(cleaned.view()));

    const std::string shown = detail::displayed(text);
    fuzz::require_clean(shown);
    require(detail::displayed(text, 20).size() <= 60);
    require(json::parse(detail::escaped_json(written.view()), nullptr, false) == again);
    fuzz::require_clean(detail::escaped_json(written.view()));
    return 0;
}
