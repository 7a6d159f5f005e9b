// SPDX-License-Identifier: Apache-2.0
// A plugin with a pool that the host does not have.
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>

namespace {

struct node {
    node* next = nullptr;
    node* next_chain = nullptr;
    std::size_t chain_bytes = 0;
    static constexpr bool is_looked_at = false;
    static constexpr bool has_blocks = false;
    static bool recycle() noexcept { return true; }
};

} // namespace

extern "C" [[gnu::visibility("default")]] void use_pool() {
    auto& pool = mlflow::trace::detail::pool<node>::instance();
    pool.give(pool.take());
}
