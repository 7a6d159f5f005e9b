// SPDX-License-Identifier: Apache-2.0
// Any bytes as an OTLP request in protobuf: what becomes JSON is one clean line of JSON, and a part that is cut off
// is never read beyond. A libFuzzer target.
#include "properties.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/wire/otlp_json.hpp>

#include <nlohmann/json.hpp>

using fuzz::require;

namespace {

namespace detail = mlflow::trace::detail;

// Fields follow each other without a gap.
void check_reader(std::string_view message) {
    std::size_t read = 0;
    detail::protobuf_reader at(message);
    while (at.next()) {
        require(at.raw().data() == message.data() + read && !at.raw().empty());
        read += at.raw().size();
        require(at.bytes().size() < at.raw().size());
    }
    require(at.failed() ? read < message.size() : read == message.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    check_reader(message);
    detail::buffer out;
    out.append("before");
    if (!detail::append_otlp_json(out, message)) {
        require(out.view() == "before");
        return 0;
    }
    const std::string_view line = out.view().substr(6);
    require(line.find('\n') == line.npos && detail::is_valid_utf8(line));
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    require(parsed.is_object());
    for (const auto& [name, value] : parsed.items()) require(name == "resourceSpans" && value.is_array());
    return 0;
}
