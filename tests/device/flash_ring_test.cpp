// SPDX-License-Identifier: Apache-2.0
#include "examples/embedded/stored.hpp"
#include <mlflow/trace/device/flash_ring.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;

namespace {

// Flash that loses its power after some bytes, in the middle of the one that is written or of a sector that is
// erased.
template <std::uint32_t Unit>
struct simulated_flash {
    static constexpr std::uint32_t sector_size = 512;
    static constexpr std::uint32_t sector_count = 5;
    static constexpr std::uint32_t program_size = Unit;

    std::vector<unsigned char> bytes = std::vector<unsigned char>(sector_size * sector_count, 0xff);
    std::vector<int> erased = std::vector<int>(sector_count, 0);
    std::mt19937 random{1};
    std::uint64_t left = UINT64_MAX; // bytes until the power is lost
    bool is_wrongly_used = false;
    std::size_t stuck = SIZE_MAX; // a byte that cannot be programmed

    [[nodiscard]] bool is_off() const { return left == 0; }
    bool erase(std::uint32_t sector) noexcept {
        unsigned char* const begin = &bytes[sector * sector_size];
        const std::uint64_t cost = 64;
        if (is_off()) return false;
        if (left <= cost) {
            left = 0;
            erase_in_part(begin);
            return false;
        }
        left -= cost;
        std::fill_n(begin, sector_size, static_cast<unsigned char>(0xff));
        ++erased[sector];
        return true;
    }
    bool program(std::uint32_t address, std::string_view from) noexcept {
        const bool is_zero = std::all_of(from.begin(), from.end(), [](char byte) { return byte == 0; });
        for (std::size_t i = 0; i < from.size(); ++i) is_wrongly_used |= bytes[address + i] != 0xff && !is_zero;
        is_wrongly_used |= address % Unit != 0 || from.size() % Unit != 0;
        for (std::size_t i = 0; i < from.size(); ++i) {
            if (is_off()) return false;
            if (address + i == stuck) continue;
            auto& byte = bytes[address + i];
            const auto wanted = static_cast<unsigned char>(from[i]);
            if (--left == 0) byte &= static_cast<unsigned char>(wanted | (random() & 255U)); // some of its bits
            else byte &= wanted;
        }
        return true;
    }
    void read(std::uint32_t address, std::span<char> to) const noexcept {
        std::memcpy(to.data(), &bytes[address], to.size());
    }

private:
    // Here and there, or only some bytes next to each other.
    void erase_in_part(unsigned char* begin) noexcept {
        if (random() % 2 == 0) {
            const std::uint32_t first = random() % sector_size;
            std::fill_n(begin + first, std::min<std::size_t>(sector_size - first, 1 + random() % 16),
                        static_cast<unsigned char>(0xff));
            return;
        }
        for (std::uint32_t i = 0; i < sector_size; ++i)
            if (random() % 2 != 0) begin[i] |= static_cast<unsigned char>(random() % 2 != 0 ? 0xff : random() & 255U);
    }
};

template <class Ring>
std::vector<std::string> take_all(Ring& ring) {
    std::vector<std::string> all;
    std::string record(Ring::longest, '\0');
    while (const auto size = ring.front(record)) {
        all.push_back(record.substr(0, size));
        if (!ring.pop()) break;
    }
    return all;
}

template <class Unit>
class flash_ring : public testing::Test {
protected:
    using flash_type = simulated_flash<Unit::value>;
    using ring_type = mt::flash_ring<flash_type>;

    static std::string record_of(std::uint32_t number, std::mt19937& random) {
        std::string record = std::to_string(number) + ' ';
        for (std::size_t size = random() % 150; size > 0; --size) record += static_cast<char>(random());
        return record;
    }

    // The model is what must be there; the last one may be, if its `append` was cut off, and so may the first one, if
    // its `pop` was.
    void cut_power(unsigned seed, int cuts, mt::ring_full policy) {
        std::mt19937 random(seed);
        flash_type flash;
        flash.random.seed(seed + 1);
        std::deque<std::string> model;
        std::string buffer(ring_type::longest, '\0');
        std::uint32_t number = 0;
        for (int cut = 0; cut < cuts; ++cut) {
            flash.left = UINT64_MAX;
            ring_type ring(flash, policy);
            flash.left = 1 + random() % 1'500;
            while (!flash.is_off()) {
                if (random() % 2 == 0) {
                    const std::string record = record_of(number++, random);
                    const auto dropped = ring.dropped();
                    const bool is_in = ring.append(record);
                    if (flash.is_off()) { // both what it took and what it gave up are open
                        model.push_back(record);
                        reconcile(flash, policy, model, ring.dropped() - dropped, false, true);
                        break;
                    }
                    if (is_in) model.push_back(record);
                    for (auto gone = ring.dropped() - dropped - (is_in ? 0U : 1U); gone > 0; --gone) {
                        ASSERT_EQ(policy, mt::ring_full::drop_oldest);
                        model.pop_front();
                    }
                } else {
                    const std::size_t size = ring.front(buffer);
                    ASSERT_EQ(size == 0, model.empty()) << "seed " << seed << " cut " << cut;
                    if (size == 0) continue;
                    ASSERT_EQ(buffer.substr(0, size), model.front()) << "seed " << seed << " cut " << cut;
                    const bool is_gone = ring.pop();
                    if (flash.is_off()) {
                        reconcile(flash, policy, model, 0, true, false);
                        break;
                    }
                    ASSERT_TRUE(is_gone);
                    model.pop_front();
                }
            }
            ASSERT_FALSE(flash.is_wrongly_used) << "seed " << seed << " cut " << cut;
            if (this->HasFatalFailure()) return;
        }
        const auto [least, most] = std::minmax_element(flash.erased.begin(), flash.erased.end());
        EXPECT_GT(*least, cuts / 50);
        EXPECT_LE(*most - *least, cuts / 50 + 2) << "wear";
    }

private:
    // Reads what is there from a copy, and lets the model follow it as far as it may.
    void reconcile(const flash_type& flash, mt::ring_full policy, std::deque<std::string>& model,
                   std::uint32_t may_drop, bool may_lack_first, bool may_lack_last) {
        flash_type copy = flash;
        copy.left = UINT64_MAX;
        ring_type ring(copy, policy);
        const auto there = take_all(ring);
        if (may_lack_last && (there.empty() || there.back() != model.back())) model.pop_back();
        for (auto lacking = (may_lack_first ? 1U : 0U) + may_drop; lacking > 0 && there.size() < model.size();
             --lacking)
            model.pop_front();
        ASSERT_EQ(there, std::vector<std::string>(model.begin(), model.end()));
        EXPECT_TRUE(take_all(ring).empty());
    }
};

using units = testing::Types<std::integral_constant<std::uint32_t, 1>, std::integral_constant<std::uint32_t, 4>,
                             std::integral_constant<std::uint32_t, 8>>;
TYPED_TEST_SUITE(flash_ring, units);

TYPED_TEST(flash_ring, LosesAndDoublesNothingOverTenThousandPowerCuts) {
    const unsigned seed = std::random_device()();
    std::cout << "seed " << seed << '\n';
    this->cut_power(seed, 5'000, mt::ring_full::drop_newest);
    if (!this->HasFatalFailure()) this->cut_power(seed + 1, 5'000, mt::ring_full::drop_oldest);
}

TYPED_TEST(flash_ring, IsAQueueThatOutlivesItsObject) {
    typename TestFixture::flash_type flash;
    {
        typename TestFixture::ring_type ring(flash, mt::ring_full::drop_newest);
        EXPECT_EQ(ring.front({}), 0U);
        EXPECT_FALSE(ring.pop());
        for (const char* text : {"one", "two", "three"}) EXPECT_TRUE(ring.append(text));
        EXPECT_TRUE(ring.pop());
    }
    typename TestFixture::ring_type ring(flash, mt::ring_full::drop_newest);
    EXPECT_TRUE(ring.append("four"));
    EXPECT_EQ(take_all(ring), (std::vector<std::string>{"two", "three", "four"}));
    EXPECT_EQ(ring.dropped(), 0U);
}

TYPED_TEST(flash_ring, GivesUpWhatItsPolicySays) {
    for (const auto policy : {mt::ring_full::drop_newest, mt::ring_full::drop_oldest}) {
        typename TestFixture::flash_type flash;
        typename TestFixture::ring_type ring(flash, policy);
        EXPECT_FALSE(ring.append(std::string(TestFixture::ring_type::longest + 1, 'x')));
        EXPECT_FALSE(ring.append(""));
        std::uint32_t taken = 0;
        for (int i = 0; i < 100; ++i)
            if (ring.append(std::to_string(i) + std::string(97, '-'))) ++taken;
        EXPECT_EQ(taken, policy == mt::ring_full::drop_newest ? 102 - ring.dropped() : 100);
        const auto all = take_all(ring);
        EXPECT_EQ(all.size() + ring.dropped(), 102U);
        EXPECT_EQ(all.front().substr(0, 2) == "0-", policy == mt::ring_full::drop_newest);
        EXPECT_EQ(all.back().substr(0, 2) == "99", policy == mt::ring_full::drop_oldest);
        EXPECT_TRUE(ring.append(std::string(TestFixture::ring_type::longest, 'x')));
    }
}

TYPED_TEST(flash_ring, PassesOverASectorThatIsWornOut) {
    for (std::size_t stuck = 512; stuck < 1'024; stuck += 7) {
        typename TestFixture::flash_type flash;
        flash.stuck = stuck;
        typename TestFixture::ring_type ring(flash, mt::ring_full::drop_newest);
        std::vector<std::string> taken;
        std::vector<std::string> all;
        for (int i = 0; i < 40; ++i) {
            const std::string record = std::to_string(i) + std::string(97, '-');
            if (ring.append(record)) all.push_back(record);
            if (i % 10 == 9)
                for (std::string& each : take_all(ring)) taken.push_back(std::move(each));
        }
        EXPECT_EQ(taken, all) << stuck;
        EXPECT_EQ(taken.size(), 40U - ring.dropped()) << stuck;
        EXPECT_GE(taken.size(), 36U) << stuck;
    }
}

TYPED_TEST(flash_ring, PassesOverARecordThatHasRotted) {
    typename TestFixture::flash_type flash;
    typename TestFixture::ring_type before(flash, mt::ring_full::drop_newest);
    for (const char* text : {"first", "second", "third"}) before.append(text);
    const std::string_view all(reinterpret_cast<const char*>(flash.bytes.data()), flash.bytes.size());
    flash.bytes[all.find("second")] ^= 1;
    typename TestFixture::ring_type ring(flash, mt::ring_full::drop_newest);
    EXPECT_TRUE(ring.append("fourth"));
    EXPECT_EQ(take_all(ring), (std::vector<std::string>{"first", "third", "fourth"}));
}

struct link_to_nobody {
    static bool write(std::string_view) noexcept { return true; }
};

// An acknowledgement that arrives after its record was dropped to make room does not remove another record.
TYPED_TEST(flash_ring, AnAcknowledgementRemovesOnlyItsRecord) {
    using ring = typename TestFixture::ring_type;
    typename TestFixture::flash_type flash;
    ring records(flash, mt::ring_full::drop_oldest);
    const auto record = [](std::uint32_t sequence) {
        const mt::detail::framing::header header(mt::frame_kind::record, 0, 77, sequence);
        return std::string(header.view()) + std::string(ring::longest / 2, '-');
    };
    std::vector<char> room(ring::longest);
    embedded::stored_records<link_to_nobody, typename TestFixture::flash_type> out(records, {}, 77, nullptr, room);
    const auto acknowledge = [&out](std::uint32_t sequence) {
        const auto reply = mt::acknowledgement_of(77, sequence);
        return out.acknowledge({reply.data(), reply.size()});
    };
    ASSERT_TRUE(records.append(record(0)));
    ASSERT_TRUE(out.send());
    std::uint32_t last = 0;
    while (records.dropped() == 0) ASSERT_TRUE(records.append(record(++last)));
    EXPECT_FALSE(acknowledge(0));
    for (std::uint32_t sequence = 1; sequence <= last; ++sequence) {
        EXPECT_TRUE(out.send());
        EXPECT_FALSE(acknowledge(last + 1));
        EXPECT_TRUE(acknowledge(sequence));
        EXPECT_FALSE(acknowledge(sequence));
    }
    EXPECT_FALSE(out.send());
}

} // namespace
