// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <boost/beast/http/fields.hpp>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using identity = mt::http_headers<mt::header<"X-User-ID", mt::user>, mt::header<"X-Session-ID", mt::session>,
                                  mt::header<"X-Request-ID", mt::client_request_id>>;
using fields = std::multimap<std::string, std::string>;

const std::string_view* text(const auto& value) {
    static std::string_view view;
    if (!value.has_value()) return nullptr;
    view = (*value).view();
    return &view;
}
std::string user_of(const auto& headers) {
    const auto parsed = identity::parse(headers);
    if (!parsed) return parsed.error().message();
    const auto* const found = text(parsed->template get<mt::user>());
    return found ? std::string(*found) : "(anonymous)";
}

TEST(headers, of_every_kind_of_container_are_read) {
    EXPECT_EQ(user_of(fields{{"x-user-id", "user-1"}, {"Host", "h"}}), "user-1");
    EXPECT_EQ(user_of(fields{}), "(anonymous)");
    const std::vector<mt::http_header> list = {{"Accept", "*/*"}, {"X-USER-ID", " \tuser-2\t "}};
    EXPECT_EQ(user_of(list), "user-2");
    boost::beast::http::fields beast;
    beast.insert("x-UsEr-iD", "user-3");
    EXPECT_EQ(user_of(beast), "user-3");
}

TEST(headers, of_a_lookup_function_are_read) {
    const auto pointer = [](std::string_view name) { return name == "X-User-ID" ? "user-1" : nullptr; };
    EXPECT_EQ(user_of(pointer), "user-1");
    EXPECT_EQ(user_of([](std::string_view) -> const char* { return nullptr; }), "(anonymous)");
    const auto view = [](std::string_view name) {
        return name == "X-User-ID" ? std::string_view("v") : std::string_view();
    };
    EXPECT_EQ(user_of(view), "v");
    const auto owned = [](std::string_view name) -> std::optional<std::string> {
        if (name != "X-User-ID") return std::nullopt;
        return std::string(100, 'u');
    };
    EXPECT_EQ(user_of(owned), std::string(100, 'u'));
    const auto all = [](std::string_view name) {
        return std::vector<std::string>(name == "X-User-ID" ? 2 : 0, "user-1");
    };
    EXPECT_EQ(user_of(all), "X-User-ID: sent more than once; send it once");
}

TEST(headers, that_are_bad_are_refused_with_their_name_and_without_their_value) {
    const std::pair<std::string, std::string_view> bad[] = {
        {"", "X-User-ID: empty; set a value, or omit the header"},
        {" \t ", "X-User-ID: empty; set a value, or omit the header"},
        {"secret\r\nX-Admin: yes", "X-User-ID: control character at byte 6; remove it"},
        {"secret\n", "X-User-ID: control character at byte 6; remove it"},
        {std::string("secret\0", 7), "X-User-ID: control character at byte 6; remove it"},
        {"secret\x7f", "X-User-ID: control character at byte 6; remove it"},
        {"secret\tkey", "X-User-ID: control character at byte 6; remove it"},
        {"secret\xc2\x85", "X-User-ID: control character at byte 6; remove it"},
        {"secret\xff", "X-User-ID: invalid UTF-8 at byte 6; send UTF-8"},
        {"secret\xed\xa0\x80", "X-User-ID: invalid UTF-8 at byte 6; send UTF-8"},
        {std::string(251, 's'),
         "X-User-ID: 251 characters, at most 250; shorten or hash it (the library does not truncate it)"},
    };
    for (const auto& [value, message] : bad) EXPECT_EQ(user_of(fields{{"X-User-ID", value}}), message) << value;
    EXPECT_EQ(user_of(fields{{"X-User-ID", std::string(250, 'u')}}), std::string(250, 'u'));
    EXPECT_EQ(user_of(fields{{"X-User-ID", "店舗"}}), "店舗");
    EXPECT_EQ(user_of(fields{{"X-User-ID", "None"}}), "None"); // a name like any other
}

TEST(headers, given_twice_are_refused_even_with_the_same_value) {
    for (const auto* name : {"X-User-ID", "X-Session-ID", "X-Request-ID"}) {
        const auto parsed = identity::parse(fields{{name, "a"}, {name, "a"}});
        ASSERT_FALSE(parsed.has_value()) << name;
        EXPECT_EQ(parsed.error().kind(), mt::error_kind::duplicate);
        EXPECT_EQ(parsed.error().about(), name);
    }
    EXPECT_FALSE(identity::parse(fields{{"X-User-ID", "a"}, {"x-user-id", "b"}}).has_value());
}

TEST(headers, with_a_bad_request_id_lose_it_and_nothing_else) {
    for (const std::string& bad : {std::string(51, 'r'), std::string("r\xff"), std::string()}) {
        const auto parsed = identity::parse(fields{{"X-User-ID", "user-1"}, {"X-Request-ID", bad}});
        ASSERT_TRUE(parsed.has_value());
        EXPECT_FALSE(parsed->get<mt::client_request_id>().has_value());
        EXPECT_EQ((*parsed->get<mt::user>()).view(), "user-1");
        ASSERT_NE(parsed->lost(), nullptr);
        EXPECT_EQ(parsed->lost()->about(), "X-Request-ID");
    }
    const auto injected = identity::parse(fields{{"X-Request-ID", "r\r\nSet-Cookie: a=b"}});
    ASSERT_FALSE(injected.has_value());
    EXPECT_EQ(injected.error().message(), "X-Request-ID: control character at byte 1; remove it");
    EXPECT_EQ(identity::parse(fields{{"X-Request-ID", std::string(50, 'r')}})->lost(), nullptr);
}

TEST(headers, that_are_absent_are_what_their_policy_says) {
    using strict =
        mt::http_headers<mt::header<"X-User-ID", mt::user, mt::refuse_absent>,
                         mt::header<"X-Session-ID", mt::session, mt::generate_absent<mt::hosted_platform>>>;
    const auto refused = strict::parse(fields{{"X-Session-ID", "s"}});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message(), "X-User-ID: missing; every request must have it");
    const auto parsed = strict::parse(fields{{"X-User-ID", "u"}}).value();
    const mt::user& user = parsed.get<mt::user>(); // no `maybe`: it is there
    EXPECT_EQ(user.view(), "u");
    const mt::session& session = parsed.get<mt::session>();
    EXPECT_TRUE(mt::uuid::allows(session.view())) << session.view();
    EXPECT_EQ(session.view()[14], '7');
    EXPECT_NE(strict::parse(fields{{"X-User-ID", "u"}})->get<mt::session>(), session);
    EXPECT_EQ(strict::parse(fields{{"X-User-ID", "u"}, {"X-Session-ID", "s"}})->get<mt::session>().view(), "s");
    EXPECT_FALSE(strict::parse(fields{{"X-User-ID", "u"}, {"X-Session-ID", ""}}).has_value()); // given, and bad
}

TEST(headers, describe_a_trace) {
    using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter> tracer;
    const auto record = [&](const fields& headers) {
        const auto parsed = identity::parse(headers).value();
        auto trace = parsed.apply([&](const auto&... values) { return tracer.start_trace("chat", values...); });
        mt::update_current_trace(parsed.get<mt::client_request_id>());
    };
    record({{"X-User-ID", "user-1"}, {"X-Session-ID", "s"}, {"X-Request-ID", "r"}});
    record({});
    auto traces = tracer.exporter().take();
    EXPECT_EQ(traces.at(0).metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(traces.at(0).metadata["mlflow.trace.session"], "s");
    EXPECT_EQ(traces.at(0).client_request_id, "r");
    EXPECT_FALSE(traces.at(1).metadata.contains("mlflow.trace.user"));
    EXPECT_EQ(tracer.refused_values(), 0U);
}

std::string shout(std::string_view id) { return "p-" + std::to_string(id.size()); }
std::string fail(std::string_view) { throw 1; }
std::string nothing(std::string_view) { return {}; }

TEST(headers, may_turn_an_id_into_a_pseudonym) {
    using hidden = mt::http_headers<mt::header<"X-User-ID", mt::pseudonym<mt::user, shout>, mt::refuse_absent>>;
    EXPECT_EQ(hidden::parse(fields{{"X-User-ID", "user-1042"}})->get<mt::user>().view(), "p-9");
    EXPECT_FALSE(hidden::parse(fields{{"X-User-ID", "a\nb"}}).has_value()); // the original is checked first
    EXPECT_EQ((mt::pseudonym<mt::user, fail>::parse("u").error().kind()), mt::error_kind::not_allowed);
    EXPECT_EQ((mt::pseudonym<mt::user, nothing>::parse("u").error().kind()), mt::error_kind::empty);
}

} // namespace
