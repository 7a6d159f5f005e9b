// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/spans/chat_tools.hpp>
#include <mlflow/trace/text/base64.hpp>
#include <mlflow/trace/values/json_value.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What MLflow's page shows as messages, tools and documents, and not as JSON: values for inputs, outputs and
/// attributes, in OpenAI's form, which MLflow takes for its own (mlflow/types/chat.py, mlflow/entities/document.py).
///
///     span.inputs(mt::arg("model", name), mt::arg("messages", messages));
///     mt::set_tools(span, tools);
///     span.outputs(mt::completion{.message = mt::message::assistant("5 days")});
///
/// They own their texts, but for tool definitions. Making one throws `std::bad_alloc` when there is no memory for it.
/// Thread-safety: as `std::string`.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How closely a model looks at an image.
enum class image_detail : std::uint8_t { automatic, low, high };
enum class audio_format : std::uint8_t { wav, mp3 };

/// A part of a message that is more than text. MLflow's page shows a message as one only where all its parts are of
/// these kinds.
class content_part {
public:
    static content_part text(detail::given_text text) { return {kind::text, text.view(), {}}; }
    /// By `https://…` or `data:…`.
    static content_part image(detail::given_text url, image_detail detail = image_detail::automatic) {
        constexpr std::string_view names[] = {"auto", "low", "high"};
        return {kind::image, url.view(), names[static_cast<std::size_t>(detail)]};
    }
    /// Bytes of a file of that MIME type, such as `image/png`; they become part of the span.
    static content_part image_bytes(std::string_view bytes, std::string_view content_type) {
        return {kind::image, "data:" + std::string(content_type) + ";base64," + base64(bytes), "auto"};
    }
    static content_part audio_bytes(std::string_view bytes, audio_format format) {
        return {kind::audio, base64(bytes), format == audio_format::wav ? "wav" : "mp3"};
    }

private:
    friend struct json_encoder<content_part>;

    enum class kind : std::uint8_t { text, image, audio };

    content_part(kind what, std::string content, std::string_view variant)
        : kind_(what), content_(std::move(content)), variant_(variant) {}

    static std::string base64(std::string_view bytes) {
        detail::buffer encoded;
        detail::append_base64(encoded, bytes);
        return std::string(encoded.view());
    }

    kind kind_;
    std::string content_;
    std::string_view variant_;
};

/// One message of a conversation. Each function makes those that the protocol knows: there is no answer of a tool
/// without the call that it answers, and no call by somebody else than the assistant.
class message {
public:
    static message system(detail::given_text text) { return {"system", text.view()}; }
    static message user(detail::given_text text) { return {"user", text.view()}; }
    static message user(std::vector<content_part> parts) {
        message made("user", std::nullopt);
        made.parts_ = std::move(parts);
        return made;
    }
    static message assistant(detail::given_text text) { return {"assistant", text.view()}; }
    /// With what it says besides, if anything.
    static message assistant(std::vector<tool_call> calls, std::optional<std::string> text = {}) {
        message made("assistant", std::move(text));
        made.calls_ = std::move(calls);
        return made;
    }
    /// The model declined, and said why.
    static message refusal(detail::given_text reason) {
        message made("assistant", std::nullopt);
        made.refusal_ = reason.view();
        return made;
    }
    /// What a tool returned for the call of this ID.
    static message tool(detail::given_text call_id, detail::given_text result) {
        message made("tool", result.view());
        made.call_id_ = call_id.view();
        return made;
    }
    /// Of a role that is known at run time: system, developer (which MLflow's page knows as system), user or
    /// assistant. `error_kind::not_allowed` for others, and for tools, whose messages need the ID of the call.
    static result<message> parse(std::string_view role, detail::given_text text) {
        if (role == "system" || role == "developer") return system(std::move(text));
        if (role == "user") return user(std::move(text));
        if (role == "assistant") return assistant(std::move(text));
        return failure{error{error_kind::not_allowed, "role of a message"}};
    }

    [[nodiscard]] std::string_view role() const noexcept { return role_; }

private:
    friend struct json_encoder<message>;

    message(std::string_view role, std::optional<std::string> text) : role_(role), text_(std::move(text)) {}

    std::string_view role_; // static storage
    std::optional<std::string> text_, refusal_, call_id_;
    std::vector<content_part> parts_;
    std::vector<tool_call> calls_;
};

/// A model's answer, for the outputs of its span.
struct completion {
    mlflow::trace::message message;
    std::string finish_reason = "stop";
    std::string model{}; ///< as the provider names it, where it says so
};

/// What a retriever found: a span of type `retriever` shows a vector of these as cards, and MLflow's judges read
/// them.
struct document {
    detail::given_text page_content;
    std::string doc_uri{};  ///< where it is from: the title of its card, and a link
    std::string chunk_id{}; ///< which part of it
    std::optional<double> score{};
    std::optional<std::string> id{};
    std::map<std::string, std::string> metadata{}; ///< what else is known of it; without those above
};

namespace detail {
struct document_metadata {
    const document& of;
};
struct choice {
    const completion& of;
};
struct part_data {
    std::string_view name, data, variant_name, variant;
};
} // namespace detail

template <>
struct json_encoder<detail::part_data> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::part_data& value) {
        return json_object(out).member(value.name, value.data).member(value.variant_name, value.variant).close();
    }
};
template <>
struct json_encoder<content_part> {
    template <class Buffer>
    static bool append(Buffer& out, const content_part& value) {
        using kind = content_part::kind;
        const std::string_view content = value.content_;
        json_object object(out);
        if (value.kind_ == kind::text) object.member("type", "text").member("text", content);
        else if (value.kind_ == kind::image)
            object.member("type", "image_url")
                .member("image_url", detail::part_data{"url", content, "detail", value.variant_});
        else
            object.member("type", "input_audio")
                .member("input_audio", detail::part_data{"data", content, "format", value.variant_});
        return object.close();
    }
};

template <>
struct json_encoder<message> {
    template <class Buffer>
    static bool append(Buffer& out, const message& value) {
        json_object object(out);
        object.member("role", value.role_);
        if (value.parts_.empty()) object.member("content", value.text_);
        else object.member("content", value.parts_);
        if (!value.calls_.empty()) object.member("tool_calls", value.calls_);
        if (value.refusal_) object.member("refusal", *value.refusal_);
        if (value.call_id_) object.member("tool_call_id", *value.call_id_);
        return object.close();
    }
};

template <>
struct json_encoder<detail::choice> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::choice& value) {
        return json_object(out)
            .member("index", 0)
            .member("message", value.of.message)
            .member("finish_reason", value.of.finish_reason)
            .close();
    }
};
template <>
struct json_encoder<completion> {
    template <class Buffer>
    static bool append(Buffer& out, const completion& value) {
        json_object object(out);
        if (!value.model.empty()) object.member("model", value.model);
        const detail::choice choices[] = {{value}};
        return object.member("choices", choices).close();
    }
};

template <>
struct json_encoder<detail::document_metadata> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::document_metadata& value) {
        json_object object(out);
        if (!value.of.doc_uri.empty()) object.member("doc_uri", value.of.doc_uri);
        if (!value.of.chunk_id.empty()) object.member("chunk_id", value.of.chunk_id);
        if (value.of.score) object.member("score", *value.of.score);
        for (const auto& [name, text] : value.of.metadata)
            if (name != "doc_uri" && name != "chunk_id" && name != "score") object.member(name, text);
        return object.close();
    }
};
template <>
struct json_encoder<document> {
    template <class Buffer>
    static bool append(Buffer& out, const document& value) {
        return json_object(out)
            .member("page_content", value.page_content)
            .member("metadata", detail::document_metadata{value})
            .member("id", value.id)
            .close();
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
