// SPDX-License-Identifier: Apache-2.0

// Reads cases from standard input, each a length on a line of its own and that many bytes, and answers each by a
// line: 1 when the bytes are a JSON document, else 0, then a space and the bytes as a JSON string.

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <cstddef>
#include <cstdio>
#include <string>

int main() {
    namespace detail = mlflow::trace::detail;
    detail::buffer out;
    std::string text;
    std::size_t size = 0;
    while (std::scanf("%zu", &size) == 1) {
        if (std::getchar() != '\n') return 1;
        text.resize(size);
        if (std::fread(text.data(), 1, size, stdin) != size) return 1;
        if (!out.append(detail::is_json_document(text) ? "1 " : "0 ") || !detail::append_json_string(out, text) ||
            !out.push_back('\n'))
            return 1;
    }
    return std::fwrite(out.data(), 1, out.size(), stdout) == out.size() ? 0 : 1;
}
