// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/transports/hmac_seal.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

std::string hex(std::string_view bytes) {
    std::string digits;
    for (const char c : bytes) {
        digits += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4U];
        digits += "0123456789abcdef"[static_cast<unsigned char>(c) & 15U];
    }
    return digits;
}

TEST(HmacSeal, IsThatOfRfc4231) {
    const mt::hmac_seal first({.key = mt::secret(std::string(20, '\x0b'))});
    EXPECT_EQ(hex(first.sign("Hi There")), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    const mt::hmac_seal second({.key = mt::secret("Jefe")});
    EXPECT_EQ(hex(second.sign("what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(HmacSeal, OfAnotherMessageOrKeyIsRejected) {
    const mt::hmac_seal seal({.key = mt::secret("a key")});
    const std::string made = seal.sign("message");
    EXPECT_TRUE(seal.verify("message", made));
    EXPECT_FALSE(seal.verify("massage", made));
    EXPECT_FALSE(seal.verify("message", made.substr(1)));
    EXPECT_FALSE(seal.verify("message", ""));
    EXPECT_FALSE(mt::hmac_seal({.key = mt::secret("b key")}).verify("message", made));
}

TEST(HmacSeal, OfAFormerKeyIsAcceptedWhereItIsListed) {
    const std::string made = mt::hmac_seal({.key = mt::secret("old")}).sign("message");
    const mt::hmac_seal both({.key = mt::secret("new"), .also_taken = {mt::secret("older"), mt::secret("old")}});
    EXPECT_TRUE(both.verify("message", made));
    EXPECT_NE(both.sign("message"), made) << "made with the new key";
}

TEST(HmacSeal, WithoutAKeyIsEmptyAndRejected) {
    const mt::hmac_seal none({.key = mt::secret("")});
    EXPECT_EQ(none.sign("message"), "");
    EXPECT_FALSE(none.verify("message", ""));
}

} // namespace
