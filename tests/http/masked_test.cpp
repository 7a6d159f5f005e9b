// SPDX-License-Identifier: Apache-2.0
// Error texts: URLs without what is secret in them, and known secrets in none of their forms.
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/shown_url.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;

const std::string hidden = "\xE2\x80\xA6";

TEST(shown_url, is_scheme_host_port_and_path) {
    const std::pair<const char*, std::string> urls[] = {
        {"http://host:5000/path", "http://host:5000/path"},
        {"https://[::1]:443", "https://[::1]:443"},
        {"ftp://a_b-c.example", "ftp://a_b-c.example"},
        {"host:3128", "host:3128"},
        {"http://host/v1/traces?api_key=SECRET", "http://host/v1/traces"},
        {"http://host?token=SECRET/x", "http://host"},
        {"http://host#SECRET", "http://host"},
        {"/login?next=SECRET", "/login"}};
    for (const auto& [url, shown] : urls) EXPECT_EQ(mt::detail::shown_url(url), shown) << url;
}

TEST(shown_url, never_shows_user_information) {
    for (const std::string& password :
         std::vector<std::string>{"SECRET", "SEC/RET", "1/SECRET", "12/3SECRET", "SEC?RET", "1?SECRET", "SEC#RET",
                                  "1#SECRET", "SEC@RET", "1@SECRET", "SEC:RET", "1%2FSECRET", "SECRET%40x"})
        for (const std::string& sign : std::vector<std::string>{"@", "%40"})
            for (const std::string& scheme :
                 std::vector<std::string>{"http://", "https://", "socks5://", "", "htttp:/"})
                for (const std::string& after :
                     std::vector<std::string>{"host:3128", "host", "host:3128/path", "host/?x=1", ""}) {
                    const std::string url = scheme + "user:" + password + sign + after;
                    const std::string shown = mt::detail::shown_url(url);
                    for (const char* const part : {"SEC", "RET", "user"})
                        EXPECT_EQ(shown.find(part), std::string::npos) << url << " is shown as " << shown;
                    const auto parsed = mt::endpoint::parse(url);
                    if (parsed) continue;
                    EXPECT_EQ(parsed.error().message().find("SEC"), std::string::npos) << url;
                }
}

TEST(shown_url, is_one_line_of_printable_text) {
    EXPECT_EQ(mt::detail::shown_url("http://host/a\nb\x1b[0m"), "http://host/a b [0m");
    EXPECT_EQ(mt::detail::shown_url("ht\ntp://host"), "ht tp://host");
    EXPECT_EQ(mt::detail::shown_url(""), "");
}

std::string masked(const mt::secret& known, std::string text) {
    mt::detail::known_secrets secrets;
    secrets.remember(known);
    return secrets.masked(std::move(text));
}

TEST(known_secrets, are_masked_in_each_form) {
    const std::string token = "t/k+n=\"%\xC3\xA9";
    const auto bearer = mt::bearer_authorization(mt::secret(token));
    mt::detail::buffer base64, whole;
    mt::detail::append_base64(base64, token);
    mt::detail::append_base64(whole, "Bearer " + token);
    std::string for_urls(base64.view());
    for (char& c : for_urls) c = c == '+' ? '-' : c == '/' ? '_' : c;
    for (const std::string& form :
         std::vector<std::string>{token, "Bearer " + token, mt::detail::percent_encoded(token),
                                  mt::detail::percent_encoded(token, "0123456789abcdef"), std::string(base64.view()),
                                  for_urls, std::string(whole.view()), std::string("t/k+n=\\\"%\xC3\xA9")}) {
        const std::string text = masked(bearer, "bad token <" + form + "> and <" + form + ">");
        EXPECT_EQ(text.find(form), std::string::npos) << text;
        EXPECT_NE(text.find("***"), std::string::npos) << text;
        EXPECT_TRUE(text.starts_with("bad token <")) << text;
    }
}

// JavaScript's encodeURIComponent leaves !'()* as they are, Python's quote a slash, and its json writes \u00e9; PHP's
// json_encode escapes a slash.
TEST(known_secrets, are_masked_whichever_characters_an_encoder_takes_for_special) {
    const auto bearer = mt::bearer_authorization(mt::secret("t/k+n='!\"\xC3\xA9"));
    for (const char* const form :
         {"t/k%2Bn%3D%27%21%22%C3%A9", "t%2Fk%2Bn%3D'!%22%C3%A9", "t%2fk+n='!%22%c3%A9", "t/k+n='!\\\"\\u00e9",
          "t\\/k+n='!\\\"\\u00E9", "t\\/k\\u002bn\\u003d\\u0027!\\u0022\\u00e9"})
        EXPECT_EQ(masked(bearer, std::string("<") + form + ">"), "<***>") << form;
    EXPECT_EQ(masked(bearer, "t/k+n='!\"\xC3 t%2Fk%2"), "t/k+n='!\"\xC3 t%2Fk%2") << "a part is none";
    EXPECT_EQ(masked(mt::secret("100%25!"), "<100%25!> <100%2525%21>"), "<***> <***>");
}

TEST(known_secrets, that_are_parts_of_each_other_leave_no_rest) {
    for (const bool is_first : {true, false}) {
        mt::detail::known_secrets secrets;
        secrets.remember(mt::secret(is_first ? "token" : "token-and-more"));
        secrets.remember(mt::secret(is_first ? "token-and-more" : "token"));
        EXPECT_EQ(secrets.masked("token-and-more, token"), "***, ***");
    }
}

TEST(known_secrets, of_basic_are_the_password_too) {
    const auto basic = mt::basic_authorization("alice", mt::secret("pass:word?"));
    for (const char* const form : {"pass:word?", "alice:pass:word?", "YWxpY2U6cGFzczp3b3JkPw", "pass%3Aword%3F"})
        EXPECT_EQ(masked(basic, std::string("<") + form + ">").find(form), std::string::npos) << form;
    EXPECT_EQ(masked(basic, "alice may not"), "alice may not");
}

TEST(known_secrets, of_earlier_are_kept_and_short_ones_are_none) {
    mt::detail::known_secrets secrets;
    secrets.remember(mt::secret("token-1"));
    secrets.remember(mt::secret("token-2"));
    secrets.remember(mt::secret("abc"));
    secrets.remember(mt::secret(""));
    EXPECT_EQ(secrets.masked("token-1 token-2 abc"), "*** *** abc");
}

} // namespace
