// SPDX-License-Identifier: Apache-2.0
#include "plugin.hpp"

#include <gtest/gtest.h>

bool starts_inside(plugin_tracer& tracer); // spelled_in_full.cpp

namespace {

TEST(spellings, of_one_type_are_one_build) {
    plugin_tracer tracer;
    {
        auto trace = tracer.start_trace("here");
        EXPECT_TRUE(trace.recording());
        EXPECT_TRUE(starts_inside(tracer));
    }
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].spans.size(), 2U);
}

} // namespace
