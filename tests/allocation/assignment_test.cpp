// SPDX-License-Identifier: Apache-2.0
// What an assignment replaces is freed.
#include "counted_malloc.hpp"

#ifdef MALLOC_IS_COUNTED

#include <mlflow/trace.hpp>
#include <mlflow/trace/http/secret.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using context = mt::thread_local_context;
using captured = mt::captured_context<context>;
using tracer_type = mt::tracer<mt::open_schema, context, mt::memory_exporter>;

const std::string text(200, 'x');

template <class T>
struct objects;
template <>
struct objects<mt::error> {
    static mt::error make() { return {mt::error_kind::other, "the server", text}; }
};
template <>
struct objects<mt::result<std::string>> {
    static mt::result<std::string> make() { return mt::failure{objects<mt::error>::make()}; }
};
template <>
struct objects<mt::secret> {
    static mt::secret make() { return mt::secret(text); }
};
template <>
struct objects<captured> {
    static captured make() { return captured::here(); }
};
template <>
struct objects<mt::task_context> {
    static mt::task_context make() { return mt::task_context::start(); }
};

template <class Run>
long blocks_left_by(const Run& run) {
    tracer_type tracer;
    const auto trace = tracer.start_trace("chat"); // the context that is captured
    run();                                         // what is allocated once
    const long before = counted_malloc::live;
    run();
    return counted_malloc::live - before;
}

// clang 14 never destroys the argument that `object = {}` makes in a template for a parameter by value, if the type
// of the object does not depend on the template.
template <class>
struct emptied {
    static void error() {
        mt::error object = objects<mt::error>::make();
        object = {};
    }
    static void result() {
        auto object = objects<mt::result<std::string>>::make();
        object = {text};
    }
    static void secret() {
        mt::secret object = objects<mt::secret>::make();
        object = {};
    }
    static void context() {
        captured object = objects<captured>::make();
        object = {};
    }
    static void task() {
        mt::task_context object = objects<mt::task_context>::make();
        object = {};
    }
};

TEST(assignment, of_nothing_in_a_template_frees_what_was_there) {
    EXPECT_EQ(blocks_left_by(emptied<int>::error), 0);
    EXPECT_EQ(blocks_left_by(emptied<int>::result), 0);
    EXPECT_EQ(blocks_left_by(emptied<int>::secret), 0);
    EXPECT_EQ(blocks_left_by(emptied<int>::context), 0);
    EXPECT_EQ(blocks_left_by(emptied<int>::task), 0);
}

template <class T>
class assignment_of : public testing::Test {
protected:
    static T make() { return objects<T>::make(); }
};
using owners = testing::Types<mt::error, mt::result<std::string>, mt::secret, captured, mt::task_context>;
TYPED_TEST_SUITE(assignment_of, owners);

TYPED_TEST(assignment_of, another_frees_what_was_there) {
    EXPECT_EQ(blocks_left_by([] {
                  TypeParam object = TestFixture::make();
                  const TypeParam other = TestFixture::make();
                  object = other;
                  object = TestFixture::make();
              }),
              0);
}

TYPED_TEST(assignment_of, itself_keeps_what_is_there) {
    EXPECT_EQ(blocks_left_by([] {
                  TypeParam object = TestFixture::make();
                  TypeParam& same = object;
                  object = same;
                  object = std::move(same);
                  if constexpr (requires { object.reveal(); }) {
                      EXPECT_EQ(object.reveal(), text);
                  }
                  if constexpr (requires { object.message(); }) {
                      EXPECT_EQ(object.message(), "the server: " + text);
                  }
                  if constexpr (requires { object.error(); }) {
                      EXPECT_EQ(object.error().message(), "the server: " + text);
                  }
              }),
              0);
}

} // namespace

#endif
