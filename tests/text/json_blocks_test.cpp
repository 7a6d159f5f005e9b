// SPDX-License-Identifier: Apache-2.0
// All instruction sets escape as the plain loop does: random texts with every kind of special character and of
// invalid UTF-8, at random offsets. MLFLOW_TRACE_TEXTS sets how many, MLFLOW_TRACE_SEED the first.
#include "../support/environment.hpp"
#include "../support/text_at_the_end.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using mt::detail::json_way;

std::vector<json_way> ways_here() {
    std::vector<json_way> ways;
#if defined(__SSE2__)
    for (const json_way way : {json_way::ssse3, json_way::avx2, json_way::vbmi2})
        if (way <= mt::detail::best_json_way()) ways.push_back(way);
#endif
    return ways;
}

using support::text_at_the_end;

class random_texts {
public:
    explicit random_texts(std::uint64_t seed) : random_(seed) {}

    // `one_in` characters is special, down to none but specials.
    std::string next() {
        const std::size_t one_in = 1 + below(below(4) == 0 ? 3 : 60);
        const std::size_t size = below(below(16) == 0 ? 2'000 : 200);
        std::string text;
        while (text.size() < size)
            if (below(one_in) != 0) text += static_cast<char>(' ' + below(0x7f - ' '));
            else append_special(text);
        if (below(8) == 0 && !text.empty()) text.resize(below(text.size())); // within a sequence, perhaps
        return text;
    }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }

private:
    void append_special(std::string& text) {
        static constexpr std::string_view invalid[] = {"\x80",
                                                       "\xbf",
                                                       "\xc0\x80",
                                                       "\xc1\xbf",
                                                       "\xe0\x9f\xbf",
                                                       "\xed\xa0\x80",
                                                       "\xed\xbf\xbf",
                                                       "\xf0\x8f\xbf\xbf",
                                                       "\xf4\x90\x80\x80",
                                                       "\xf5\x80\x80\x80",
                                                       "\xff",
                                                       "\xfe",
                                                       "\xc3",
                                                       "\xe2\x82",
                                                       "\xf0\x9f\x99",
                                                       "\xe2\x28\xa1",
                                                       "\xf0\x28\x8c\xbc",
                                                       "\xc3\"",
                                                       "\xe2\x82\\"};
        switch (below(6)) {
        case 0: text += static_cast<char>(below(0x20)); break;
        case 1: text += below(2) == 0 ? '"' : '\\'; break;
        case 2: append_character(text); break;
        case 3: text += static_cast<char>(below(0x100)); break;
        case 4: text += invalid[below(std::size(invalid))]; break;
        default: text.append(1 + below(40), below(2) == 0 ? '"' : '\n');
        }
    }
    void append_character(std::string& text) {
        static constexpr std::string_view valid[] = {
            "\xc2\x80",     "\xdf\xbf",         "\xe0\xa0\x80",     "\xed\x9f\xbf", "\xee\x80\x80",
            "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xc3\xa9",     "\xf0\x9f\x99\x82",
            "\x7f"};
        for (std::size_t count = 1 + below(20); count > 0; --count) text += valid[below(std::size(valid))];
    }

    std::mt19937_64 random_;
};

std::string escaped(std::string_view text, json_way way) {
    mt::detail::buffer out;
    EXPECT_TRUE(out.append("before") && mt::detail::append_json_chars(out, text, way));
    return std::string(out.view());
}

TEST(json_blocks, every_instruction_set_writes_what_the_plain_loop_writes) {
    const std::uint64_t seed = support::number_from("MLFLOW_TRACE_SEED", std::random_device()());
    const std::uint64_t texts = support::number_from("MLFLOW_TRACE_TEXTS", 100'000);
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
    const std::vector<json_way> ways = ways_here();
    random_texts random(seed);
    for (std::uint64_t i = 0; i < texts; ++i) {
        const text_at_the_end text(random.next());
        const std::string expected = escaped(text.view(), json_way::by_character);
        for (const json_way way : ways)
            ASSERT_EQ(escaped(text.view(), way), expected) << "text " << i << ", way " << static_cast<int>(way);
    }
}

TEST(json_blocks, each_byte_at_each_offset_of_each_size) {
    for (std::size_t size = 0; size < 140; ++size)
        for (std::size_t at = 0; at < size; ++at)
            for (const char special : {'"', '\\', '\n', '\x1f', '\x7f', '\x80', '\xc3', '\xff'}) {
                std::string plain(size, 'x');
                plain[at] = special;
                const text_at_the_end text(plain);
                const std::string expected = escaped(text.view(), json_way::by_character);
                for (const json_way way : ways_here()) ASSERT_EQ(escaped(text.view(), way), expected);
            }
}

} // namespace
