// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "spool_folder.hpp"
#include "spool_sink.hpp"
#include <mlflow/trace/spool/spool.hpp>

#include <chrono>
#include <memory>

namespace spool_testing {

// A spool that delivers to a sink as soon as it can, and says nothing.
class spool_to_sink : public in_a_folder {
protected:
    using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<sink_exporter>>;

    std::shared_ptr<sink> into = std::make_shared<sink>();

    [[nodiscard]] tracer_type::options to_sink() const {
        using std::chrono::milliseconds;
        return {.exporter = {.exporter = {into},
                             .folder = folder,
                             .delay = milliseconds(1),
                             .first_wait = milliseconds(1),
                             .longest_wait = milliseconds(5),
                             .shutdown_timeout = milliseconds(0),
                             .diagnostics = {.write = nullptr}}};
    }
};

} // namespace spool_testing
