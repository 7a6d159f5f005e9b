// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>
#include <mlflow/trace/device/received.hpp>
#include <mlflow/trace/device/sequence.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Stores the traces received on many links, and acknowledges them to the devices.
namespace device_gateway {

namespace mt = mlflow::trace;

inline std::uint64_t unix_nano() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// Where a frame came from, and its acknowledgement goes to.
struct origin {
    std::uint64_t link = 0; ///< the number of a serial port, pipe or connection among `links`
    std::string device;     ///< or the name in an MQTT topic
};

/// The traces of one device since one start.
struct stream {
    mt::sequence_account<> account;
    std::string firmware;
    std::uint64_t dropped = 0;    ///< as reported last by the device
    std::uint64_t unreadable = 0; ///< complete frames without a record that this version can read
};

/// The traces received since the last `store`, and the acknowledgements to send.
template <class Spool>
class collector {
public:
    explicit collector(Spool& spool) : spool_(spool) {}

    void take(const origin& from_where, const mt::frame& frame) {
        if (frame.kind != mt::frame_kind::record) return;
        auto received = mt::read_record(frame, unix_nano());
        // A broker may let a device publish only to its own topic; it must not write in another device's name there.
        if (!from_where.device.empty() && received.device != from_where.device) {
            if (!received.device.empty() || !received.trace.empty()) {
                ++misnamed_;
                return;
            }
            received.device = from_where.device;
        }
        // A trace that is sent again after this is stored again.
        if (streams_.size() >= most_streams || names_ > most_bytes_of_names) {
            streams_.clear();
            names_ = 0;
        }
        const auto [found, is_first] = streams_.try_emplace({received.device, frame.stream});
        stream& from = found->second;
        if (is_first) names_ += received.device.size();
        if (received.trace.empty()) {
            ++from.unreadable; // not acknowledged, because a later version of the gateway may be able to read it
            return;
        }
        if (from.firmware.empty()) {
            names_ += received.firmware.size();
            from.firmware = std::move(received.firmware);
        }
        from.dropped = std::max(from.dropped, received.dropped);
        const auto before = from.account.received();
        // Without a number of its own for each start, a device repeats the sequence numbers of other traces.
        const bool is_new = from.account.add(frame.sequence) || frame.stream == 0;
        const bool is_counted = from.account.received() != before;
        waiting_.push_back({from_where, found->first, frame.sequence, is_new, is_counted, {}});
        if (is_new) waiting_.back().trace = std::move(received.trace);
    }

    /// Stores the traces, then calls `acknowledge(const origin&, std::string_view bytes)` for each frame; also for
    /// frames received before, because the device may have missed the acknowledgement.
    template <class Acknowledge>
    void store(Acknowledge&& acknowledge) {
        if (waiting_.empty()) return;
        auto arrived = std::exchange(waiting_, {});
        // All at once, for one write to the disk. The spool does not tell which ones it has stored if some failed,
        // and they are all sent again; one by one then, so that those that fit are not stored again and again.
        const bool is_alone = std::exchange(has_failed_, false);
        mt::trace_batch together;
        if (!is_alone)
            for (auto& each : arrived) together.append(std::move(each.trace));
        const bool is_whole = is_stored(together);
        for (auto& each : arrived) {
            mt::sequence_account<>& account = streams_[each.key].account;
            const bool is_safe = is_alone ? is_stored(each.trace) : is_whole;
            if (!is_safe && each.is_counted) account.remove(each.sequence);
            // The frame that this one repeats may have been among those that failed.
            if (!is_safe || (!each.is_new && !account.has(each.sequence))) continue;
            const auto bytes = mt::acknowledgement_of(each.key.second, each.sequence);
            acknowledge(each.from, std::string_view(bytes.data(), bytes.size()));
        }
    }

    [[nodiscard]] nlohmann::ordered_json report() const {
        auto rows = nlohmann::ordered_json::array();
        for (const auto& [key, from] : streams_)
            rows.push_back({{"device", key.first},
                            {"firmware", from.firmware},
                            {"stream", key.second},
                            {"received", from.account.received()},
                            {"first", from.account.first()},
                            {"lost", from.account.lost()},
                            {"doubled", from.account.doubled()},
                            {"reordered", from.account.reordered()},
                            {"dropped_by_device", from.dropped},
                            {"unreadable", from.unreadable}});
        return rows;
    }
    /// Frames with a device ID that is not the name in their topic. They are not acknowledged.
    [[nodiscard]] std::uint64_t misnamed() const { return misnamed_; }

private:
    using stream_key = std::pair<std::string, std::uint32_t>; // the device, and its start

    struct waiting {
        origin from;
        stream_key key;
        std::uint32_t sequence;
        bool is_new;
        bool is_counted;       // not if it is new only because it is older than the account remembers
        mt::trace_batch trace; // empty if it was received before
    };
    static constexpr std::size_t most_streams = 100'000;
    static constexpr std::size_t most_bytes_of_names = 16 * 1024 * 1024;

    bool is_stored(mt::trace_batch& traces) {
        if (traces.empty()) return true;
        // A trace that is written, but not on the disk, counts as stored there.
        const auto failed_before = spool_.status().failed_file_calls;
        const bool is_good = spool_.export_traces(traces).ok() && spool_.status().failed_file_calls == failed_before;
        has_failed_ = has_failed_ || !is_good;
        return is_good;
    }

    Spool& spool_;
    std::map<stream_key, stream> streams_;
    std::vector<waiting> waiting_;
    std::size_t names_ = 0; // the size of those in `streams_`
    bool has_failed_ = false;
    std::uint64_t misnamed_ = 0;
};

} // namespace device_gateway
