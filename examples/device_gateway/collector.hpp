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

// From the bytes of many links to traces that are safe, and what each device is then told.
namespace device_gateway {

namespace mt = mlflow::trace;

inline std::uint64_t unix_nano() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// One start of one device.
struct stream {
    mt::sequence_account<> account;
    std::string firmware;
    std::uint64_t dropped = 0;    ///< as the device said last
    std::uint64_t unreadable = 0; ///< whole frames that hold no record of this version
};

/// What came from a link since the last `store`, and what to answer.
template <class Spool>
class collector {
public:
    explicit collector(Spool& spool) : spool_(spool) {}

    /// `link` is a number of the caller's for where the frame came from.
    void take(int link, const mt::frame& frame) {
        if (frame.kind != mt::frame_kind::record) return;
        auto received = mt::read_record(frame, unix_nano());
        if (streams_.size() >= most_streams) streams_.clear(); // what is sent once more then is stored once more
        stream& from = streams_[{received.device, frame.stream}];
        if (received.trace.empty()) {
            ++from.unreadable; // and is not acknowledged: a later gateway may read it
            return;
        }
        from.firmware = received.firmware;
        from.dropped = std::max(from.dropped, received.dropped);
        const bool is_new = from.account.add(frame.sequence);
        waiting_.push_back({link, {received.device, frame.stream}, frame.sequence, is_new});
        if (is_new) traces_.append(std::move(received.trace));
    }

    /// Writes what was taken, and then calls `acknowledge(int link, std::string_view bytes)` for each frame of it:
    /// also for one that came before, whose acknowledgement the device has not heard.
    template <class Acknowledge>
    void store(Acknowledge&& acknowledge) {
        const bool is_safe = traces_.empty() || spool_.export_traces(traces_).ok();
        traces_.clear();
        for (const auto& [link, key, sequence, is_new] : std::exchange(waiting_, {})) {
            if (is_safe) acknowledge(link, acknowledgement(key.second, sequence));
            else if (is_new) streams_[key].account.remove(sequence);
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

private:
    using stream_key = std::pair<std::string, std::uint32_t>; // the device, and its start

    struct waiting {
        int link;
        stream_key key;
        std::uint32_t sequence;
        bool is_new;
    };
    static constexpr std::size_t most_streams = 100'000;

    static std::string acknowledgement(std::uint32_t stream, std::uint32_t sequence) {
        namespace framing = mt::detail::framing;
        const framing::header header(mt::frame_kind::acknowledgement, 0, stream, sequence);
        mt::frame_encoder encoder(header.view(), {}, framing::crc_of(header.view(), framing::crc_begin), nullptr);
        char bytes[32];
        return {bytes, encoder.read(bytes, sizeof bytes)};
    }

    Spool& spool_;
    std::map<stream_key, stream> streams_;
    std::vector<waiting> waiting_;
    mt::trace_batch traces_;
};

} // namespace device_gateway
