// SPDX-License-Identifier: Apache-2.0
// Error texts: URLs without what is secret in them, and known secrets in none of their forms.
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/shown_url.hpp>

#include <gtest/gtest.h>

#include <random>
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

TEST(known_secrets, of_basic_are_known_however_the_scheme_is_written) {
    for (const std::string scheme : {"basic ", "BASIC ", "Basic  "}) {
        const mt::secret header(scheme + "YWxpY2U6cGFzczp3b3JkPw==");
        EXPECT_EQ(masked(header, "<pass:word?> <alice:pass:word?> <YWxpY2U6cGFzczp3b3JkPw==>"), "<***> <***> <***>")
            << scheme;
    }
    EXPECT_EQ(masked(mt::secret("Basically YWxpY2U6cGFzczp3b3JkPw=="), "<pass:word?>"), "<pass:word?>");
}

TEST(known_secrets, are_masked_with_plus_for_space_and_with_surrogate_pairs) {
    const auto basic = mt::basic_authorization("al", mt::secret("a b+c \xF0\x9F\x98\x80!"));
    for (const char* const form :
         {"a+b%2Bc+%F0%9F%98%80%21", "a%20b%2bc+%f0%9f%98%80!", "a b+c \\ud83d\\ude00!", "a b+c \\uD83D\\uDE00!",
          "a+b+c+\\uD83d\\udE00\\u0021", "a\\u0020b\\u002bc+\xF0\x9F\x98\x80!"})
        EXPECT_EQ(masked(basic, std::string("<") + form + ">"), "<***>") << form;
    for (const char* const other :
         {"a b+c \\ud83d", "a b+c \\ud83d\\ude01!", "a b+c \\ude00\\ud83d!", "a+b c \xF0\x9F\x98\x80!", "a b+c \\u"})
        EXPECT_EQ(masked(basic, other), other);
}

TEST(known_secrets, are_masked_in_base64_that_is_percent_encoded) {
    const auto bearer = mt::bearer_authorization(mt::secret("\x3f\x3f\x3f~>>>~a")); // Pz8/fj4+Pn5h in base64
    EXPECT_EQ(masked(bearer, "<Pz8%2Ffj4%2bPn5h> <Pz8\\/fj4+Pn5h>"), "<***> <***>");
}

// Each character of a random secret in any of its forms.
TEST(known_secrets, are_masked_in_every_mixture_of_forms) {
    const std::vector<std::vector<std::string>> characters = {
        {"a", "%61", "\\u0061"},
        {" ", "+", "%20", "\\u0020"},
        {"+", "%2B", "%2b", "\\u002B"},
        {"/", "\\/", "%2f", "\\u002f"},
        {"\"", "\\\"", "%22"},
        {"\xC3\xA9", "%C3%a9", "\\u00e9", "\xC3%A9"},
        {"\xF0\x9F\x98\x80", "\\ud83d\\uDE00", "%F0%9f%98\x80"},
        {"\xF4\x8F\xBF\xBF", "\\uDBFF\\udfff"},
    };
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 choose(seed);
    const auto any = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(choose);
    };
    for (int round = 0; round < 2000; ++round) {
        std::string value = "x";
        std::string written = "x";
        for (std::size_t length = 4 + any(8); length > 0; --length) {
            const auto& one = characters[any(characters.size())];
            value += one[0];
            written += one[any(one.size())];
        }
        ASSERT_EQ(masked(mt::bearer_authorization(mt::secret(value + "z")), "<" + written + "z>"), "<***>")
            << value << " as " << written;
    }
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
