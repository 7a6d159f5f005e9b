// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/percent.hpp>
#include <mlflow/trace/web/header_values.hpp>
#include <mlflow/trace/web/incoming_trace.hpp>
#include <mlflow/trace/web/propagation_lists.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Trusts no sender: user and session are neither sent nor accepted, and requests carry `traceparent` only.
struct trust_nobody {};

/// Trusts every sender: whoever can send a request may set the user and session of a trace. For a network that only
/// known programs can reach.
struct trust_network {};

/// A policy that makes and checks the seal of a sender, which proves that the sender has a key; for example an HMAC.
/// `verify` is optional; without it, a seal is valid if `sign` makes the same one. Thread-safe.
template <class T>
concept seal = requires(const T& policy, std::string_view message) {
    { policy.sign(message) } -> std::convertible_to<std::string>;
};

namespace detail {

// Decodes hexadecimal digits. Empty if the text is anything else.
inline std::string from_hex(std::string_view digits) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
        const int high = hex_digit_value(digits[at]), low = hex_digit_value(digits[at + 1]);
        if (high < 0 || low < 0) return {};
        bytes += static_cast<char>(high * 16 + low);
    }
    return digits.size() % 2 == 0 ? bytes : std::string();
}

// Compares in a time that does not depend on where the texts differ.
inline bool same_bytes(std::string_view a, std::string_view b) noexcept {
    unsigned difference = a.size() == b.size() ? 0U : 1U;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
        difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
    return difference == 0;
}

// If the policy throws, the seal is invalid.
template <seal Seal>
bool is_sealed(const Seal& policy, std::string_view message, std::string_view given) noexcept {
    const auto check = [&]() -> bool {
        if constexpr (requires {
                          { policy.verify(message, given) } -> std::convertible_to<bool>;
                      })
            return policy.verify(message, given);
        else return same_bytes(policy.sign(message), given);
    };
    return guarded(check, [] { return false; });
}

// The host in `host`, `host:port`, `address` or `[address]:port`, without brackets. Any other text is returned
// unchanged: in `host:password@other`, the first part is not the host.
constexpr std::string_view host_of(std::string_view authority) noexcept {
    std::string_view host = authority;
    while (!host.empty() && host.back() >= '0' && host.back() <= '9') host.remove_suffix(1);
    const bool has_port = host.ends_with(':') && (host.find(':') == host.size() - 1 || host.ends_with("]:"));
    host = has_port ? host.substr(0, host.size() - 1) : authority;
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return is_bracketed ? host.substr(1, host.size() - 2) : host;
}

} // namespace detail

/// Propagates a trace between processes in the W3C headers `traceparent`, `tracestate` and `baggage`, so that several
/// services record one trace with one user and session.
///
///     using wire = mt::propagator<schema, mt::hmac_seal>;
///     const wire headers({.hosts = {"agents.internal"}, .seal = {.key = mt::secret(key)}});
///
///     headers.inject(trace, "agents.internal", [&](std::string_view name, std::string_view value) { … }); // caller
///     auto trace = tracer.start_trace("agent", headers.extract(request), user);                           // called
///
/// The keys that `Schema` marks as `propagated` are sent in `baggage`, to `options::hosts` only; other hosts receive
/// only `traceparent`. `Trust` determines which senders are trusted to set user, session and these keys: a `seal`
/// (`<mlflow/trace/transports/hmac_seal.hpp>`, or your own) trusts senders that have the key; the others are
/// `trust_network` and `trust_nobody`. The seal covers the trace's ID, the values and the time, and it expires. It
/// stays valid through an intermediate service that only forwards `baggage`, as OpenTelemetry's libraries do.
///
/// The first process describes the trace to MLflow. A process that continues the trace records the values of its own
/// that the caller did not send (other metadata, tags, a request ID) as attributes of its root span.
///
/// Thread-safety: all functions may be called from any thread.
template <class Schema, class Trust>
class propagator {
    static_assert(seal<Trust> || std::is_same_v<Trust, trust_nobody> || std::is_same_v<Trust, trust_network>,
                  "the seal lacks a member: std::string sign(std::string_view message) const; or use "
                  "mt::trust_network or mt::trust_nobody");

public:
    /// What a propagator is made from.
    struct options {
        /// The hosts that may receive user, session and other propagated keys: names or addresses, compared without
        /// case and without a port. `*` is every host.
        std::vector<std::string> hosts{};
        /// The options of `Trust`, such as the key of a seal.
        detail::options_of<Trust> seal{};
        /// The maximum age of a seal in seconds, by the clocks of both machines. A request with an older seal is not
        /// trusted, nor is one whose seal is further in the future. Raise it if requests wait longer in a queue, or
        /// if the clocks differ by more.
        std::chrono::seconds max_age{300};
    };

    /// Makes a propagator with default options.
    propagator() : propagator(options{}) {}
    /// Makes a propagator. Throws what the constructor of `Trust` throws.
    explicit propagator(options chosen)
        : hosts_(std::move(chosen.hosts)), trust_(make_trust(std::move(chosen.seal))), max_age_(chosen.max_age) {}

    /// Sets the headers of a request that is sent to `host` inside the span, by calling `set(name, value)` with two
    /// `std::string_view`. For a trace that is not sampled, the headers carry this decision, and the called process
    /// does not record either. For a span of a tracer that is off, no header is set. Errors: when memory runs out, or
    /// the seal throws or returns nothing, only `traceparent` is set, and the error is reported. Throws only what
    /// `set` throws.
    template <class Span, class Set>
    void inject(const Span& span, std::string_view host, Set&& set) const {
        if constexpr (requires { span.as_remote(); }) {
            const remote_span self = span.as_remote();
            if (!self.trace_id.valid()) return;
            set(remote_span::header, self.text().view());
            detail::open_trace* const trace = span.recording() ? span.span_->trace : nullptr;
            // A receiver that trusts the network needs no proof that a trace is not sampled.
            if (!(trace ? is_told_identity : seal<Trust>) || !may_have_identity(host)) return;
            sent_values sent;
            const error why = detail::guarded([&] { return collect(trace, self.trace_id, sent); },
                                              [] { return error{error_kind::out_of_memory, baggage}; });
            if (why.kind() != error_kind::none) {
                if (trace) trace->owner->report(why);
                sent.members.clear();
            }
            if (!sent.state.empty()) set(tracestate, std::string_view(sent.state));
            if (!sent.members.empty()) set(baggage, std::string_view(sent.members));
        }
    }

    /// Extracts the trace from the headers of a request. `Container` is as for `http_headers`. Does not fail: invalid
    /// parts are omitted, and `incoming_trace::rejected` returns the error.
    template <class Container>
    [[nodiscard]] incoming_trace extract(const Container& headers) const noexcept {
        incoming_trace found;
        const detail::without_cancellation whole;
        detail::guarded([&] { read(headers, found); },
                        [&found] {
                            found.is_trusted_ = false;
                            found.entries_.clear();
                            found.reject(error_kind::out_of_memory, baggage);
                        });
        return found;
    }

private:
    static constexpr std::string_view baggage = "baggage";
    static constexpr std::string_view tracestate = "tracestate";
    static constexpr std::string_view seal_key = "mlflow_trace.seal";
    static constexpr bool is_told_identity = !std::is_same_v<Trust, trust_nobody>;

    template <class Container>
    void read(const Container& headers, incoming_trace& found) const {
        std::size_t times = 0;
        detail::for_each_header_value(headers, remote_span::header, [&](std::string_view text) {
            if (++times != 1) return;
            const auto parsed = remote_span::parse(text);
            if (parsed) found.caller_ = *parsed;
            else found.rejected_ = parsed.error();
        });
        if (times > 1) {
            found.caller_ = {};
            found.reject(error_kind::duplicate, remote_span::header);
        }
        if constexpr (is_told_identity)
            if (found.caller()) take_baggage(headers, found);
        if (found.is_trusted_) take_tracestate(headers, found);
    }

    static Trust make_trust(detail::options_of<Trust> chosen) {
        if constexpr (requires { Trust(std::move(chosen)); }) return Trust(std::move(chosen));
        else return {};
    }

    [[nodiscard]] bool may_have_identity(std::string_view host) const {
        for (const std::string& own : hosts_)
            if (own == "*" || detail::same_name(detail::host_of(own), detail::host_of(host))) return true;
        return false;
    }
    static std::int64_t now() {
        return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    }

    struct sent_values {
        std::string members{}; // of the header `baggage`
        std::string state{};
    };

    // Collects nothing for a trace whose root span has ended, and only the seal for a trace that is not sampled.
    error collect(detail::open_trace* trace, [[maybe_unused]] const trace_id& id, sent_values& sent) const {
        if constexpr (is_told_identity) {
            [[maybe_unused]] std::string message, names, time; // of the seal
            if constexpr (seal<Trust>) {
                time = std::to_string(now());
                begin_message(message, id, time);
            }
            if (trace) {
                const detail::lock_guard guard(*trace->lock);
                if (!trace->data) return {};
                sent.members.reserve(trace->data->entries.bytes());
                Schema::for_each_propagated([&]<class Key>() {
                    static_assert(detail::is_token(Key::name),
                                  "the name of a propagated key must consist of letters, digits and the other "
                                  "characters of a header name (RFC 9110, 5.6.2)");
                    const std::string_view value = trace->data->entries.find(entry_kind::metadata, Key::name);
                    if (!value.data()) return;
                    sent.members.append(Key::name) += '=';
                    detail::append_percent_encoded(sent.members, value, detail::is_baggage_octet);
                    sent.members += ',';
                    if constexpr (seal<Trust>) {
                        names.append(":").append(Key::name);
                        append_to_message(message, Key::name, value);
                    }
                });
                sent.state = trace->data->entries.find(entry_kind::tracestate, {});
            }
            if constexpr (seal<Trust>) {
                std::string proof;
                const auto sign = [&] { proof = trust_.sign(message); };
                bool is_signed = true;
                detail::guarded(sign, [&is_signed] { is_signed = false; });
                if (!is_signed || proof.empty()) return {error_kind::callback_failed, baggage};
                detail::buffer digits;
                if (!detail::append_hex(digits, proof)) return {error_kind::out_of_memory, baggage};
                sent.members.append(seal_key) += '=';
                sent.members.append(time).append(":").append(digits.view()).append(names);
            } else if (!sent.members.empty()) sent.members.pop_back();
            if (sent.members.size() > detail::most_baggage) return {error_kind::too_large, baggage};
        }
        return {};
    }

    // The sealed message: the trace, the time, and each value after its key, which cannot contain `=` or a newline.
    static void begin_message(std::string& message, const trace_id& trace, std::string_view time) {
        message.append("mlflow_trace 1\n").append(trace.hex().view()).append("\n").append(time);
    }
    static void append_to_message(std::string& message, std::string_view key, std::string_view value) {
        message.append("\n").append(key).append("=").append(std::to_string(value.size())).append("=").append(value);
    }

    template <class Container>
    void take_baggage(const Container& headers, incoming_trace& found) const {
        std::string list; // joins several headers; the result of a look-up may be temporary
        bool is_too_large = false;
        detail::for_each_header_value(headers, baggage, [&](std::string_view text) {
            const std::string_view comma = list.empty() ? "" : ",";
            is_too_large = is_too_large || list.size() + comma.size() + text.size() > detail::most_baggage;
            if (!is_too_large) list.append(comma).append(text);
        });
        if (is_too_large) return found.reject(error_kind::too_large, baggage);
        member_list members;
        members.reserve(8); // the usual number; there may be more
        const bool is_well_formed =
            detail::for_each_member(list, [&](const auto& member) { members.push_back(member); });
        if (members.size() > detail::most_members) return found.reject(error_kind::too_large, baggage);
        if constexpr (seal<Trust>) { // the seal proves the members that count
            const auto* const seal = member_of(members, seal_key);
            if (!seal) return; // the sender is not trusted
            // Some intermediaries forward a space as a plus sign.
            if (!take_sealed(members, *seal, false, found) && !take_sealed(members, *seal, true, found))
                found.reject(error_kind::unverified, baggage);
        } else {
            Schema::for_each_propagated([&]<class Key>() {
                if (is_repeated(members, Key::name)) found.reject(error_kind::duplicate, Key::name);
            });
            if (found.rejected()) return;
            if (!is_well_formed) found.reject(error_kind::malformed, baggage);
            found.is_trusted_ = true;
            Schema::for_each_propagated([&]<class Key>() {
                if (const auto* const sent = member_of(members, Key::name))
                    take_value<Key>(detail::percent_decoded(sent->value, false), found);
            });
        }
    }

    using member_list = std::vector<detail::baggage_member>;
    static const detail::baggage_member* member_of(const member_list& members, std::string_view key) noexcept {
        for (const auto& member : members)
            if (member.key == key) return &member;
        return nullptr;
    }
    static bool is_repeated(const member_list& members, std::string_view key) noexcept {
        std::size_t times = 0;
        for (const auto& member : members) times += member.key == key ? 1U : 0U;
        return times > 1;
    }

    // Removes the part before the next colon from `rest` and returns it.
    static std::string_view next_part(std::string_view& rest) noexcept {
        const auto colon = rest.find(':');
        const std::string_view part = rest.substr(0, colon);
        rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
        return part;
    }

    // Checks a seal `time:digits:key:key…`, and accepts the values of these keys if it is valid. Other members are
    // ignored.
    bool take_sealed(const member_list& members, const detail::baggage_member& seal, bool plus_is_space,
                     incoming_trace& found) const {
        const std::string text = detail::percent_decoded(seal.value, plus_is_space);
        std::string_view rest = text;
        const std::string_view digits = next_part(rest);
        if (digits.empty() || digits.size() > 12 || digits.find_first_not_of("0123456789") != std::string_view::npos)
            return false;
        std::int64_t time = 0;
        for (const char digit : digits) time = time * 10 + (digit - '0');
        const std::int64_t age = now() - time;
        if (age > max_age_.count() || -age > max_age_.count()) return false;
        const std::string given = detail::from_hex(next_part(rest));

        std::string message;
        begin_message(message, found.caller_.trace_id, std::to_string(time));
        for (std::string_view names = rest; !names.empty();) {
            const auto* const sent = member_of(members, next_part(names));
            if (!sent || is_repeated(members, sent->key)) return false;
            // Bounds the work that a short request with a long list of names can cause. A valid list has each name
            // once.
            if (message.size() > 2 * detail::most_baggage) return false;
            append_to_message(message, sent->key, detail::percent_decoded(sent->value, plus_is_space));
        }
        if (given.empty() || is_repeated(members, seal_key) || !detail::is_sealed(trust_, message, given))
            return false;
        found.is_trusted_ = true;
        Schema::for_each_propagated([&]<class Key>() {
            for (std::string_view names = rest; !names.empty();)
                if (next_part(names) == Key::name)
                    take_value<Key>(detail::percent_decoded(member_of(members, Key::name)->value, plus_is_space),
                                    found);
        });
        return true;
    }

    template <class Key>
    static void take_value(std::string_view text, incoming_trace& found) {
        if (error why = Key::check(text); why.kind() != error_kind::none) found.reject(std::move(why));
        else if (!found.entries_.set(entry_kind::metadata, Key::name, text))
            found.reject(error_kind::out_of_memory, Key::name);
    }

    template <class Container>
    void take_tracestate(const Container& headers, incoming_trace& found) const {
        std::string list;
        bool is_too_large = false;
        detail::for_each_header_value(headers, tracestate, [&](std::string_view text) {
            text = detail::without_outer_space(text);
            is_too_large = is_too_large || list.size() + text.size() > detail::most_baggage;
            if (!is_too_large && !text.empty()) list.append(list.empty() ? "" : ",").append(text);
        });
        if (is_too_large || !detail::is_field_value(list)) return;
        detail::shorten_tracestate(list);
        if (!list.empty()) static_cast<void>(found.entries_.set(entry_kind::tracestate, {}, list));
    }

    std::vector<std::string> hosts_;
    [[no_unique_address]] Trust trust_;
    std::chrono::seconds max_age_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
