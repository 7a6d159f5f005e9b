// SPDX-License-Identifier: Apache-2.0
// Any bytes in a spool, between and in its records: those that are whole are all read, and what a record holds is
// written again as it was, shown and sent. A libFuzzer target.
//
// The input: what stands before, between and behind two whole records, and what a third one holds.
#include "properties.hpp"
#include <mlflow/trace/spool/reader.hpp>
#include <mlflow/trace/wire/otlp_json.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
namespace format = mt::detail::spool_format;
constexpr std::uint64_t marker = 0x6b72'616d'2d41'2d00;

std::string_view file;
struct memory_files {
    static ssize_t read(int, char* to, std::size_t size, off_t at) noexcept {
        const auto offset = std::min(static_cast<std::size_t>(at), file.size());
        size = std::min(size, file.size() - offset);
        std::copy_n(file.data() + offset, size, to);
        return static_cast<ssize_t>(size);
    }
};

void append_record(mt::detail::buffer& out, std::string_view content) {
    require(format::append_record_of(out, marker, [&] { return out.append(content); }));
}

void check_damage(std::string_view before, std::string_view between, std::string_view after) {
    constexpr std::string_view first = "the first record", second = "the second record";
    mt::detail::buffer bytes;
    bytes.append(before);
    append_record(bytes, first);
    bytes.append(between);
    append_record(bytes, second);
    bytes.append(after);
    file = bytes.view();
    mt::detail::spool_reader<memory_files> reader(0, marker, 0, file.size());
    std::vector<std::string> found;
    for (std::string_view content; (content = reader.next()).data();) found.emplace_back(content);
    require(!reader.failed() && reader.position() == file.size());
    const bool is_forged = std::any_of(found.begin(), found.end(), [&](const std::string& one) {
        return one != first && one != second; // a checksum that happens to be right
    });
    require(is_forged || (std::count(found.begin(), found.end(), first) >= 1 &&
                          std::count(found.begin(), found.end(), second) >= 1));
    const bool is_damaged = before.size() + between.size() + after.size() > 0;
    require(is_forged || found.size() > 2 || (reader.damage().bytes > 0) == is_damaged);
}

void check_content(std::string_view content) {
    mt::trace_data* const trace = format::decode_record(content);
    if (!trace) return;
    mt::trace_batch batch;
    batch.push_back(trace);
    require(trace->id.valid() && batch.span_count() == format::span_count(content));

    mt::detail::buffer written;
    require(format::append_trace(written, *trace));
    mt::trace_data* const again = format::decode_record(written.view());
    require(again != nullptr);
    mt::trace_batch second;
    second.push_back(again);
    mt::detail::buffer rewritten;
    require(format::append_trace(rewritten, *again) && rewritten.view() == written.view());

    static_cast<void>(mt::decode(*trace)); // as a tool shows it
    for (const auto receiver : {mt::otlp_receiver::mlflow, mt::otlp_receiver::gen_ai}) {
        mt::detail::buffer request;
        require(mt::append_otlp_request(request, batch, {}, receiver));
        mt::detail::buffer line;
        if (mt::detail::append_otlp_json(line, request.view()))
            require(nlohmann::json::accept(line.view()) && mt::detail::is_valid_utf8(line.view()));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto before = in.take_text();
    const auto between = in.take_text();
    check_damage(before, between, in.take_text());
    check_content(in.rest());
    return 0;
}
