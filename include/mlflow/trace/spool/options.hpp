// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/pipeline/diagnostics.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Which failures a written trace survives.
enum class spool_durability : std::uint8_t {
    process_crash, ///< `kill -9` or a crash: the operating system has the trace. Costs one `write` per trace
    power_loss ///< also a power failure: the disk has the trace. Concurrent recording threads share one `fdatasync`
};

/// What is dropped when the directory has reached `max_bytes`.
enum class spool_full : std::uint8_t {
    drop_newest, ///< new traces
    drop_oldest  ///< the oldest file in the directory; files of ended processes go first
};

/// Options of `spool`.
template <class Exporter>
struct spool_options {
    /// Options of the inner exporter.
    detail::options_of<Exporter> exporter{};
    /// The spool directory; created if it does not exist. Set an absolute path, on a local disk that outlives the
    /// container.
    std::string folder = "mlflow-spool";
    /// Which failures a written trace survives. Use `power_loss` if a power failure must not lose traces; the
    /// recording thread then waits for the disk.
    spool_durability durability = spool_durability::process_crash;
    /// The limit for all files in the directory. Raise it to bridge a longer outage, within the space of the volume.
    std::uint64_t max_bytes = 1024U * 1024 * 1024;
    /// What is dropped at that limit. Use `drop_oldest` if the latest traces matter most.
    spool_full when_full = spool_full::drop_newest;
    /// The approximate size of a file; at most a quarter of `max_bytes`. Lower it if `drop_oldest`, which drops whole
    /// files, should drop less at once.
    std::uint64_t segment_bytes = 16U * 1024 * 1024;
    /// The limit for one call of the inner exporter, in bytes of encoded spans. Lower it if the server or a proxy
    /// accepts smaller requests only.
    std::size_t max_batch_bytes = 4U * 1024 * 1024;
    /// The limit for one call of the inner exporter, in spans.
    std::size_t max_batch_spans = 1'024;
    /// How long a trace waits at most for others, so that they are sent together. Lower it to see traces sooner,
    /// raise it for fewer requests.
    std::chrono::milliseconds delay{500};
    /// The pause after a failed attempt; each following one is half as long again.
    std::chrono::milliseconds first_wait{200};
    /// The longest pause, unless the receiver asks for a longer one. Lower it to deliver sooner after an outage,
    /// raise it if many programs retry at one server.
    std::chrono::milliseconds longest_wait{30'000};
    /// How long the destructor waits for delivery.
    std::chrono::milliseconds shutdown_timeout{5'000};
    trace::diagnostics diagnostics{}; ///< where failures are logged; standard error by default
};

/// Counters of a spool, in addition to its account.
struct spool_status {
    std::uint64_t bytes = 0;           ///< size of all files in the directory, at the latest look
    std::uint64_t recovered_spans = 0; ///< spans of ended processes that were delivered
    /// Rejected by the receiver; in a `.rejected` file, except after a partial success.
    std::uint64_t rejected_spans = 0;
    std::uint64_t dropped_recovered = 0; ///< spans of ended processes, dropped by `drop_oldest`
    std::uint64_t damaged_places = 0;    ///< damaged places that were skipped
    /// Their size.
    std::uint64_t damaged_bytes = 0;
    std::uint64_t failed_file_calls = 0; ///< disk full, for example
    /// Increases whenever the receiver accepts something. A caller that waits for delivery may continue to wait while
    /// this value increases.
    std::uint64_t progress = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
