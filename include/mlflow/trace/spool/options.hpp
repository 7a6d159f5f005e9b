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

/// What an acknowledged trace survives.
enum class spool_durability : std::uint8_t {
    process_crash, ///< kill -9: the operating system has it. Costs one `write` for each trace
    power_loss     ///< also that: the disk has it. Threads that record at the same time share an `fdatasync`
};

/// What is given up when the folder has reached its size.
enum class spool_full : std::uint8_t {
    drop_newest, ///< what is recorded from then on
    drop_oldest  ///< the oldest file in the folder, one that a process has left behind before one of our own
};

template <class Exporter>
struct spool_options {
    detail::options_of<Exporter> exporter{};
    std::string folder = "mlflow-spool"; ///< made where it does not exist
    spool_durability durability = spool_durability::process_crash;
    std::uint64_t max_bytes = 1024U * 1024 * 1024; ///< of all files in the folder
    spool_full when_full = spool_full::drop_newest;
    std::uint64_t segment_bytes = 16U * 1024 * 1024; ///< of one file, about; at most a quarter of `max_bytes`
    std::size_t max_batch_bytes = 4U * 1024 * 1024;  ///< of encoded spans in one call of the inner exporter
    std::size_t max_batch_spans = 1'024;
    std::chrono::milliseconds delay{500};      ///< the longest time that a trace waits for company
    std::chrono::milliseconds first_wait{200}; ///< after a failed attempt; each next one is longer by half
    std::chrono::milliseconds longest_wait{30'000};
    std::chrono::milliseconds shutdown_timeout{5'000};
    trace::diagnostics diagnostics{}; ///< told of failures; by default a line on standard error
};

/// What a spool saw besides its account.
struct spool_status {
    std::uint64_t bytes = 0;             ///< of all files in the folder, as last seen
    std::uint64_t recovered_spans = 0;   ///< delivered for processes that are gone
    std::uint64_t rejected_spans = 0;    ///< refused by the receiver, put aside in a `.rejected` file
    std::uint64_t dropped_recovered = 0; ///< spans of processes that are gone, given up by `drop_oldest`
    std::uint64_t damaged_places = 0;    ///< passed over, where a file was no longer what had been written
    std::uint64_t damaged_bytes = 0;
    std::uint64_t failed_file_calls = 0; ///< disk full, and the like
    /// Grows whenever the receiver has taken something: who waits for the rest need not give up meanwhile.
    std::uint64_t progress = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
