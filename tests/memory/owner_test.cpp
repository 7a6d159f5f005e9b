// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/memory/owner.hpp>

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace mlflow::trace::detail;

struct counted {
    explicit counted(int& count) : alive(count) { ++alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --alive; }
    int& alive;
};

static_assert(!std::is_copy_constructible_v<owner<counted>> && std::is_nothrow_move_constructible_v<owner<counted>>);
static_assert(sizeof(owner<counted>) == sizeof(void*));

TEST(owner_test, deletes_at_its_end_and_once) {
    int alive = 0;
    {
        owner<counted> first(new counted(alive));
        owner<counted> second(std::move(first));
        EXPECT_FALSE(first);
        EXPECT_TRUE(second);
        EXPECT_EQ(alive, 1);
        first = owner<counted>(new counted(alive));
        EXPECT_EQ(alive, 2);
        first = std::move(second);
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}

TEST(owner_test, keeps_its_object_when_it_is_assigned_to_itself) {
    int alive = 0;
    owner<counted> own(new counted(alive));
    owner<counted>& same = own;
    own = std::move(same);
    ASSERT_TRUE(own);
    EXPECT_EQ(alive, 1);
}

TEST(owner_test, releases_to_the_caller) {
    int alive = 0;
    owner<counted> own(new counted(alive));
    counted* const taken = own.release();
    EXPECT_EQ(own.get(), nullptr);
    EXPECT_EQ(alive, 1);
    delete taken;
}

TEST(owner_test, a_release_of_its_own_is_called_for_an_object_only) {
    static int released;
    released = 0;
    struct counts {
        void operator()(int*) const { ++released; }
    };
    int object = 0;
    {
        const owner<int, counts> none;
    }
    EXPECT_EQ(released, 0);
    {
        const owner<int, counts> one(&object);
    }
    EXPECT_EQ(released, 1);
}

class shared {
public:
    explicit shared(int& count) : alive_(count) { ++alive_; }
    shared(const shared&) = delete;
    shared& operator=(const shared&) = delete;
    void retain() { ++owners_; }
    void release() {
        if (--owners_ == 0) delete this;
    }
    [[nodiscard]] int owners() const { return owners_; }

private:
    ~shared() { --alive_; }
    int owners_ = 1;
    int& alive_;
};

TEST(shared_owner_test, the_last_owner_releases) {
    int alive = 0;
    {
        std::vector<shared_owner<shared>> owners(1, shared_owner<shared>(new shared(alive)));
        const auto other = owners.front();
        EXPECT_EQ(other->owners(), 2);
        shared_owner<shared> moved(std::move(owners.front()));
        EXPECT_EQ(other->owners(), 2);
        EXPECT_FALSE(owners.front());
        moved = other;
        EXPECT_EQ(other->owners(), 2);
        moved = {};
        EXPECT_EQ(other->owners(), 1);
    }
    EXPECT_EQ(alive, 0);
}

} // namespace
