// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of traces: damage is said or passed over, a whole line behind good ones is read, and the order
// of the answer does not change what is found. A libFuzzer target.
#include "properties.hpp"
#include <mlflow/trace/client/export.hpp>
#include <mlflow/trace/client/trace_file.hpp>

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;

constexpr std::string_view whole =
    "\n"
    R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":"1",)"
    R"("name":"turn","startTimeUnixNano":"1000000","endTimeUnixNano":"3000000"}]}]}]})"
    "\n";

class memory_file {
public:
    memory_file() : file_(::memfd_create("traces", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(file_)) {
        require(file_ >= 0);
    }
    void write(std::string_view bytes) const {
        require(::ftruncate(file_, 0) == 0);
        require(::pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    int file_;
    std::string path_;
};

std::vector<std::string> rows(const std::vector<mt::trace_info>& traces) {
    std::vector<std::string> lines;
    for (const auto& trace : traces) {
        lines.push_back(mt::json_line(mt::trace_row(trace)));
        fuzz::require_clean(std::string_view(lines.back()).substr(0, lines.back().size() - 1));
        require(mt::csv_line(mt::trace_row(trace)).ends_with("\r\n"));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const memory_file file;
    file.write(std::string(reinterpret_cast<const char*>(data), size) + std::string(whole));

    mt::trace_file careful({.path = file.path()});
    const auto strict = mt::find_all(careful, {});
    mt::trace_file lenient({.path = file.path(), .skip_damaged_lines = true});
    const auto found = mt::find_all(lenient, {.order_by = {mt::field::execution_time.ascending()}});
    if (!found) { // something else, or nothing of it was understood
        require(!strict);
        fuzz::require_clean(strict.error().message());
        fuzz::require_clean(found.error().message());
        return 0;
    }
    const auto lines = rows(*found);
    if (!strict) {
        fuzz::require_clean(strict.error().message());
        return 0;
    }
    require(lenient.damaged_lines() == 0);
    require(rows(*strict) == lines);
    require(std::any_of(found->begin(), found->end(), [](const mt::trace_info& trace) {
        return trace.trace_id == "tr-0123456789abcdef0123456789abcdef";
    }));
    return 0;
}
