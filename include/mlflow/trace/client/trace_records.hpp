// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/amounts.hpp>
#include <mlflow/trace/client/file_span.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/platform/owned_file.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

// Stores spans and traces as bytes in many heaps: in memory, and beyond a limit in a temporary file.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

class record_writer {
public:
    explicit record_writer(std::string& to) : to_(to) {}
    template <class Number>
    void number(Number value) {
        static_assert(std::is_trivially_copyable_v<Number>);
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        to_.append(bytes, sizeof value);
    }
    void text(std::string_view value) {
        number(static_cast<std::uint64_t>(value.size()));
        to_ += value;
    }
    template <class Pairs>
    void texts(const Pairs& all) {
        number(static_cast<std::uint64_t>(all.size()));
        for (const auto& [key, value] : all) text(key), text(value);
    }

private:
    std::string& to_;
};

class record_reader {
public:
    explicit record_reader(std::string_view from) : from_(from) {}
    template <class Number>
    Number number() {
        Number value{};
        std::memcpy(&value, from_.data(), sizeof value);
        from_.remove_prefix(sizeof value);
        return value;
    }
    std::string text() {
        const auto size = number<std::uint64_t>();
        std::string value(from_.substr(0, size));
        from_.remove_prefix(size);
        return value;
    }
    template <class Pairs>
    void texts(Pairs& all) {
        for (auto left = number<std::uint64_t>(); left > 0; --left) {
            std::string key = text();
            if constexpr (std::is_same_v<Pairs, text_map>) all.insert_or_assign(std::move(key), text());
            else all.emplace_back(std::move(key), text());
        }
    }

private:
    std::string_view from_;
};

template <class Number, std::size_t Count>
void write_amounts(record_writer& to, const amounts<Number, Count>& all) {
    to.number(static_cast<std::uint8_t>(all.known | (all.there ? 0x80U : 0U)));
    for (std::size_t i = 0; i < Count; ++i)
        if (all.has(i)) to.number(all.values[i]);
}
template <class Number, std::size_t Count>
void read_amounts(record_reader& from, amounts<Number, Count>& all) {
    const auto known = from.number<std::uint8_t>();
    all.there = (known & 0x80U) != 0;
    for (std::size_t i = 0; i < Count; ++i)
        if ((known >> i & 1U) != 0) all.set(i, from.number<Number>());
}

// The ID of the trace is written before the span, so that it can be read separately.
inline void write_record(record_writer& to, const file_span& span) {
    const auto optional = [&to](const auto& value) {
        to.number(value.has_value());
        if (!value) return;
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*value)>, std::string>) to.text(*value);
        else to.number(*value);
    };
    to.text(span.id);
    to.text(span.parent);
    optional(span.start);
    optional(span.end);
    to.number(span.is_error);
    optional(span.user);
    optional(span.session);
    to.text(span.inputs);
    to.text(span.outputs);
    to.text(span.client_request_id);
    write_amounts(to, span.usage);
    write_amounts(to, span.cost);
    to.number(span.has_resource);
    to.texts(span.resource);
    to.texts(span.tags);
    to.texts(span.metadata);
    to.number(span.has_preview_of_its_own);
}
inline void read_record(record_reader& from, file_span& span) {
    const auto optional = [&from](auto& value) {
        if (!from.number<bool>()) return;
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*value)>, std::string>) value = from.text();
        else value = from.number<std::remove_cvref_t<decltype(*value)>>();
    };
    span.id = from.text();
    span.parent = from.text();
    optional(span.start);
    optional(span.end);
    span.is_error = from.number<bool>();
    optional(span.user);
    optional(span.session);
    span.inputs = from.text();
    span.outputs = from.text();
    span.client_request_id = from.text();
    read_amounts(from, span.usage);
    read_amounts(from, span.cost);
    span.has_resource = from.number<bool>();
    from.texts(span.resource);
    from.texts(span.tags);
    from.texts(span.metadata);
    span.has_preview_of_its_own = from.number<bool>();
}

inline void write_record(record_writer& to, const trace_info& trace) {
    to.text(trace.trace_id);
    to.text(trace.client_request_id);
    to.number(trace.request_time.time_since_epoch().count());
    to.number(trace.execution_duration.count());
    to.number(trace.has_duration);
    to.number(trace.status);
    to.text(trace.request_preview);
    to.text(trace.response_preview);
    to.texts(trace.metadata);
    to.texts(trace.tags);
}
inline void read_record(record_reader& from, trace_info& trace) {
    trace.trace_id = from.text();
    trace.client_request_id = from.text();
    trace.request_time = trace_time(std::chrono::milliseconds(from.number<std::chrono::milliseconds::rep>()));
    trace.execution_duration = std::chrono::milliseconds(from.number<std::chrono::milliseconds::rep>());
    trace.has_duration = from.number<bool>();
    trace.status = from.number<trace_status>();
    trace.request_preview = from.text();
    trace.response_preview = from.text();
    from.texts(trace.metadata);
    from.texts(trace.tags);
}

// Records in `count` heaps, each in order of arrival. All heaps together use at most `limit` bytes of memory. The
// rest is stored in an unnamed file that only this user can read.
class record_heaps {
public:
    static constexpr std::size_t count = 128;

    record_heaps(std::size_t limit, std::string folder) : limit_(limit), folder_(std::move(folder)) {}

    // Returns an error text, or an empty text.
    [[nodiscard]] std::string add(std::size_t heap, std::string_view record) {
        std::string& to = heaps_[heap].waiting;
        heaps_[heap].bytes += record.size();
        const std::size_t before = to.capacity();
        record_writer(to).text(record);
        waiting_ += to.capacity() - before;
        return waiting_ <= limit_ ? std::string() : write_out();
    }
    [[nodiscard]] bool is_in_file() const noexcept { return file_.get() >= 0; }
    // The bytes of the records of one heap, in memory and in the file.
    [[nodiscard]] std::uint64_t size(std::size_t heap) const noexcept { return heaps_[heap].bytes; }

    // Reads one heap from its beginning.
    class reader {
    public:
        reader(const record_heaps& all, std::size_t heap) : all_(&all), heap_(heap) {}
        // The next record, valid until the next call; nothing at the end, or on an error, which sets `fault`.
        std::optional<std::string_view> next(std::string& fault) {
            const auto size = take(sizeof(std::uint64_t), fault);
            if (!size) return std::nullopt;
            std::uint64_t bytes = 0;
            std::memcpy(&bytes, size->data(), sizeof bytes);
            return take(bytes, fault);
        }

    private:
        std::optional<std::string_view> take(std::size_t bytes, std::string& fault) {
            while (ahead_.size() - at_ < bytes) {
                ahead_.erase(0, at_);
                at_ = 0;
                const auto& blocks = all_->heaps_[heap_].blocks;
                if (block_ == blocks.size()) {
                    if (took_what_waits_ || all_->heaps_[heap_].waiting.empty()) return std::nullopt;
                    took_what_waits_ = true;
                    ahead_ += all_->heaps_[heap_].waiting;
                    continue;
                }
                if (!all_->read(blocks[block_++], ahead_)) {
                    fault = std::string("the temporary file cannot be read: ") + std::strerror(errno);
                    return std::nullopt;
                }
            }
            const auto taken = std::string_view(ahead_).substr(at_, bytes);
            at_ += bytes;
            return taken;
        }

        const record_heaps* all_;
        std::size_t heap_;
        std::size_t block_ = 0;
        std::string ahead_;
        std::size_t at_ = 0;
        bool took_what_waits_ = false;
    };

    void clear(std::size_t heap) { heaps_[heap] = {}; }

private:
    struct block {
        std::uint64_t begin;
        std::uint64_t size;
    };
    struct records {
        std::string waiting;
        std::vector<block> blocks;
        std::uint64_t bytes = 0;
    };
    static constexpr std::size_t largest_block = 65536; // small enough to read all heaps at the same time

    std::string fail() const {
        return "cannot write a temporary file in " + folder_ + ": " + std::strerror(errno) +
               "; set TMPDIR to a directory with free space";
    }
    std::string write_out() {
        if (file_.get() < 0) {
            std::string name = folder_ + "/mlflow_trace.XXXXXX";
            file_ = owned_file(::mkostemp(name.data(), O_CLOEXEC)); // readable by its owner only
            if (file_.get() < 0) return fail();
            ::unlink(name.c_str());
        }
        for (records& one : heaps_) {
            for (std::string_view rest = one.waiting; !rest.empty();) {
                const auto part = rest.substr(0, largest_block);
                const auto written = uninterrupted(
                    [&] { return ::pwrite(file_.get(), part.data(), part.size(), static_cast<off_t>(end_)); });
                if (written <= 0) return fail();
                one.blocks.push_back({end_, static_cast<std::uint64_t>(written)});
                end_ += static_cast<std::uint64_t>(written);
                rest.remove_prefix(static_cast<std::size_t>(written));
            }
            std::string().swap(one.waiting); // frees its memory
        }
        waiting_ = 0;
        return {};
    }
    bool read(const block& from, std::string& to) const {
        const std::size_t before = to.size();
        to.resize(before + from.size);
        for (std::size_t done = 0; done < from.size;) {
            const auto got = uninterrupted([&] {
                return ::pread(file_.get(), to.data() + before + done, from.size - done,
                               static_cast<off_t>(from.begin + done));
            });
            if (got == 0) errno = EIO;
            if (got <= 0) return false;
            done += static_cast<std::size_t>(got);
        }
        return true;
    }

    std::size_t limit_;
    std::string folder_;
    std::array<records, count> heaps_;
    std::size_t waiting_ = 0;
    owned_file file_;
    std::uint64_t end_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
