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
    int file = -1;      ///< a serial port, pipe or connection
    std::string device; ///< or the name in an MQTT topic
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
        if (!from_where.device.empty() && !received.trace.empty() && received.device != from_where.device) {
            ++misnamed_;
            return;
        }
        // A trace that is sent again after this is stored again.
        if (streams_.size() >= most_streams) streams_.clear();
        stream& from = streams_[{received.device, frame.stream}];
        if (received.trace.empty()) {
            ++from.unreadable; // not acknowledged, because a later version of the gateway may be able to read it
            return;
        }
        from.firmware = received.firmware;
        from.dropped = std::max(from.dropped, received.dropped);
        const bool is_new = from.account.add(frame.sequence);
        waiting_.push_back({from_where, {received.device, frame.stream}, frame.sequence, is_new});
        if (is_new) traces_.append(std::move(received.trace));
    }

    /// Stores the traces, then calls `acknowledge(const origin&, std::string_view bytes)` for each frame; also for
    /// frames received before, because the device may have missed the acknowledgement.
    template <class Acknowledge>
    void store(Acknowledge&& acknowledge) {
        const bool is_safe = traces_.empty() || spool_.export_traces(traces_).ok();
        traces_.clear();
        for (const auto& [to, key, sequence, is_new] : std::exchange(waiting_, {})) {
            if (is_safe) {
                const auto bytes = mt::acknowledgement_of(key.second, sequence);
                acknowledge(to, std::string_view(bytes.data(), bytes.size()));
            } else if (is_new) {
                streams_[key].account.remove(sequence);
            }
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
    };
    static constexpr std::size_t most_streams = 100'000;

    Spool& spool_;
    std::map<stream_key, stream> streams_;
    std::vector<waiting> waiting_;
    mt::trace_batch traces_;
    std::uint64_t misnamed_ = 0;
};

} // namespace device_gateway
