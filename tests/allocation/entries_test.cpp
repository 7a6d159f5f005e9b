// SPDX-License-Identifier: Apache-2.0
// The table of a trace's entries when memory runs out for a while.
#include "counted_malloc.hpp"

#ifdef MALLOC_IS_COUNTED

#include <mlflow/trace/core/trace_entries.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using mt::detail::entry_index;

// Adds entries up to `count`, as trace_entries does.
void add_up_to(std::size_t count, entry_index& index) {
    while (index.entries() < count) {
        const bool is_made = index.count() && index.make();
        for (std::size_t at = is_made ? 0 : index.entries() - 1; at < index.entries(); ++at)
            index.add(index.hash_of(0, std::to_string(at)), at);
    }
}

void expect_all(const entry_index& index) {
    ASSERT_TRUE(index.has_table());
    for (std::size_t at = 0; at < index.entries(); ++at)
        ASSERT_EQ(index.find(index.hash_of(0, std::to_string(at)), [&](std::size_t found) { return found == at; }),
                  at);
}

TEST(entries, have_a_table_again_when_memory_is_back) {
    for (const std::size_t began_at : {std::size_t{0}, std::size_t{64}, std::size_t{1'000}})
        for (const std::size_t failed_until : {30U, 65U, 500U, 5'000U}) {
            if (failed_until <= began_at) continue;
            entry_index index;
            add_up_to(began_at, index);
            {
                const counted_malloc::failure no_memory(1, true);
                add_up_to(failed_until, index);
            }
            add_up_to(2 * failed_until, index);
            expect_all(index);
        }
}

// Each single allocation fails once: no entry is lost, and each is found.
TEST(entries, are_found_whichever_allocation_fails) {
    for (long number = 1;; ++number) {
        mt::trace_entries entries;
        std::vector<std::string> keys;
        keys.reserve(300);
        bool has_come = false;
        {
            const counted_malloc::failure one(number, false);
            for (int i = 0; i < 300; ++i) {
                std::string key = "key" + std::to_string(i % 200);
                if (entries.set(mt::entry_kind::tag, key, "value" + std::to_string(i)))
                    keys.push_back(std::move(key));
            }
            has_come = one.has_come();
        }
        for (const std::string& key : keys)
            ASSERT_NE(entries.find(mt::entry_kind::tag, key).data(), nullptr) << key << ", allocation " << number;
        if (!has_come) break;
    }
}

} // namespace

#endif
