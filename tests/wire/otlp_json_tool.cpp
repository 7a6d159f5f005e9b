// SPDX-License-Identifier: Apache-2.0

// Reads messages from standard input, each a length on a line of its own and that many bytes of an
// ExportTraceServiceRequest, and answers each by a line: its OTLP/JSON, or "malformed".

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/wire/otlp_json.hpp>

#include <cstddef>
#include <cstdio>
#include <string>

int main() {
    namespace detail = mlflow::trace::detail;
    detail::buffer out;
    std::string message;
    std::size_t size = 0;
    while (std::scanf("%zu", &size) == 1) {
        if (std::getchar() != '\n') return 1;
        message.resize(size);
        if (std::fread(message.data(), 1, size, stdin) != size) return 1;
        const bool written = detail::append_otlp_json(out, message) || out.append("malformed");
        if (!written || !out.push_back('\n')) return 1;
    }
    return std::fwrite(out.data(), 1, out.size(), stdout) == out.size() ? 0 : 1;
}
