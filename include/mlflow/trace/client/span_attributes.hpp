// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/any_value.hpp>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The attributes of a span or event. The last attribute with a key counts; attributes without a value are ignored.
class span_attributes {
public:
    explicit span_attributes(json_value list = {}) {
        if (!list.is(json_value::kind::array)) return;
        for (const json_value one : list) {
            const json_value key = one["key"];
            if (!key.is(json_value::kind::text)) continue;
            const bool is_plain = key.raw().find('\\') == std::string_view::npos;
            entries_.push_back({is_plain ? key.raw() : std::string_view(), is_plain ? "" : key.text(), one["value"]});
        }
    }

    [[nodiscard]] any_value operator[](std::string_view key) const {
        for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
            if (entry->key() == key) return any_value(entry->value);
        return any_value();
    }
    // The first of these attributes whose value is not empty.
    [[nodiscard]] any_value first_of(std::initializer_list<std::string_view> keys) const {
        for (const std::string_view key : keys)
            if (const any_value found = (*this)[key]; !is_nothing(found)) return found;
        return any_value();
    }
    // Calls visit(key, value) for each key with this prefix, in order of first occurrence.
    template <class Visit>
    void for_each(std::string_view prefix, Visit visit) const {
        for (std::size_t at = 0; at < entries_.size(); ++at) {
            const std::string_view key = entries_[at].key();
            if (!key.starts_with(prefix)) continue;
            bool is_again = false;
            for (std::size_t before = 0; before < at && !is_again; ++before) is_again = entries_[before].key() == key;
            if (is_again) continue;
            if (const any_value value = (*this)[key]; !value.is_none()) visit(key, value);
        }
    }

private:
    struct attribute {
        std::string_view plain;
        std::string unescaped;
        json_value value;
        [[nodiscard]] std::string_view key() const noexcept { return plain.data() ? plain : unescaped; }
    };
    std::vector<attribute> entries_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
