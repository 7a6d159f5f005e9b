// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/entry_index.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using mlflow::trace::detail::entry_index;

std::uint32_t fnv1a(std::uint32_t state, std::string_view text) {
    for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x01000193U;
    return state;
}

// Two texts of 8 digits with the same hash.
std::pair<std::string, std::string> colliding(std::uint32_t state) {
    std::unordered_map<std::uint32_t, std::uint32_t> seen;
    for (std::uint32_t i = 10'000'000;; ++i) {
        const std::string text = std::to_string(i);
        const auto [place, is_new] = seen.emplace(fnv1a(state, text), i);
        if (!is_new) return {std::to_string(place->second), text};
    }
}

// Keys that a stranger made for the published start of FNV-1a: all have one hash.
std::vector<std::string> colliding_keys(unsigned kind, int blocks) {
    std::uint32_t state = 0x811c9dc5U ^ kind;
    std::vector<std::string> keys(1);
    for (int block = 0; block < blocks; ++block) {
        const auto [one, other] = colliding(state);
        std::vector<std::string> longer;
        for (const std::string& key : keys)
            for (const std::string& end : {one, other}) longer.push_back(key + end);
        keys = std::move(longer);
        state = fnv1a(state, one);
    }
    return keys;
}

TEST(entry_index, keys_that_were_chosen_to_collide_do_not) {
    const std::vector<std::string> keys = colliding_keys(1, 7);
    ASSERT_EQ(fnv1a(0x811c9dc5U ^ 1U, keys.front()), fnv1a(0x811c9dc5U ^ 1U, keys.back()));
    entry_index index;
    while (index.entries() < keys.size()) {
        const bool is_made = index.count() && index.make();
        for (std::size_t at = is_made ? 0 : index.entries() - 1; at < index.entries(); ++at)
            index.add(index.hash_of(1, keys[at]), at);
    }
    ASSERT_TRUE(index.has_table());
    std::size_t compared = 0;
    for (std::size_t at = 0; at < keys.size(); ++at)
        ASSERT_EQ(index.find(index.hash_of(1, keys[at]),
                             [&](std::size_t found) {
                                 ++compared;
                                 return found == at;
                             }),
                  at);
    EXPECT_LT(compared, 4 * keys.size());
}

// Whatever the address of the table is: with FNV-1a's factor they collide for one start in 256.
TEST(entry_index, keys_that_were_chosen_to_collide_do_not_in_any_table) {
    const std::vector<std::string> keys = colliding_keys(1, 4);
    std::vector<entry_index> tables(5'000); // all at the same time, so that each has another address
    for (entry_index& table : tables) {
        while (!table.has_table())
            if (table.count()) {
                ASSERT_TRUE(table.make());
            }
        std::set<std::uint32_t> hashes;
        for (const std::string& key : keys) hashes.insert(table.hash_of(1, key));
        ASSERT_GT(hashes.size(), keys.size() - 3);
    }
}

} // namespace
