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

/// Values for inputs, outputs and attributes that MLflow's page shows as messages, tools and documents rather than as
/// JSON. Their form is that of OpenAI, which MLflow uses as its own (mlflow/types/chat.py,
/// mlflow/entities/document.py).
///
///     span.inputs(mt::arg("model", name), mt::arg("messages", messages));
///     mt::set_tools(span, tools);
///     span.outputs(mt::completion{.message = mt::message::assistant("5 days")});
///
/// The types own their texts, except for tool definitions. Making one throws `std::bad_alloc` when memory runs out.
/// Thread-safety: as `std::string`.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The resolution at which a model looks at an image.
enum class image_detail : std::uint8_t { automatic, low, high };
/// The format of an audio part.
enum class audio_format : std::uint8_t { wav, mp3 };

/// A part of a message: text, an image or audio. MLflow's page shows a message only if all its parts are of these
/// kinds.
class content_part {
public:
    /// A text.
    static content_part text(detail::given_text text) { return {kind::text, text.view(), {}}; }
    /// An image at the URL `https://…` or `data:…`.
    static content_part image(detail::given_text url, image_detail detail = image_detail::automatic) {
        constexpr std::string_view names[] = {"auto", "low", "high"};
        return {kind::image, url.view(), names[static_cast<std::size_t>(detail)]};
    }
    /// An image, given as the bytes of a file of a MIME type such as `image/png`. The bytes become part of the span.
    static content_part image_bytes(std::string_view bytes, std::string_view content_type) {
        return {kind::image, "data:" + std::string(content_type) + ";base64," + base64(bytes), "auto"};
    }
    /// Audio, given as the bytes of a file. The bytes become part of the span.
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

/// One message of a conversation. Its functions make only messages that the protocol allows: a tool's result always
/// names the call that it belongs to, and only the assistant calls tools.
class message {
public:
    /// Instructions for the model.
    static message system(detail::given_text text) { return {"system", text.view()}; }
    /// A message of the user.
    static message user(detail::given_text text) { return {"user", text.view()}; }
    /// A message of the user with several parts.
    static message user(std::vector<content_part> parts) {
        message made("user", std::nullopt);
        made.parts_ = std::move(parts);
        return made;
    }
    /// A message of the model.
    static message assistant(detail::given_text text) { return {"assistant", text.view()}; }
    /// A message of the model that calls tools, with an optional text.
    static message assistant(std::vector<tool_call> calls, std::optional<std::string> text = {}) {
        message made("assistant", std::move(text));
        made.calls_ = std::move(calls);
        return made;
    }
    /// The model declined to answer, for this reason.
    static message refusal(detail::given_text reason) {
        message made("assistant", std::nullopt);
        made.refusal_ = reason.view();
        return made;
    }
    /// The result of a tool for the call with this ID.
    static message tool(detail::given_text call_id, detail::given_text result) {
        message made("tool", result.view());
        made.call_id_ = call_id.view();
        return made;
    }
    /// A message of a role that is only known at run time: `system`, `developer` (shown as `system` by MLflow's
    /// page), `user` or `assistant`. Other roles are `error_kind::not_allowed`, and so is `tool`, whose messages need
    /// the ID of the call.
    static result<message> parse(std::string_view role, detail::given_text text) {
        if (role == "system" || role == "developer") return system(std::move(text));
        if (role == "user") return user(std::move(text));
        if (role == "assistant") return assistant(std::move(text));
        return failure{error{error_kind::not_allowed, "role of a message"}};
    }

    /// The role, as it is recorded.
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
    mlflow::trace::message message;     ///< the message of the model
    std::string finish_reason = "stop"; ///< why the model stopped
    std::string model{};                ///< the model's name as given by the provider; empty if unknown
};

/// A document that a retriever found. A span of type `retriever` shows a vector of documents as cards, and MLflow's
/// judges read them.
struct document {
    detail::given_text page_content;               ///< the text of the document
    std::string doc_uri{};                         ///< its source: the title of the card, and a link
    std::string chunk_id{};                        ///< the part of the source
    std::optional<double> score{};                 ///< the retriever's rating
    std::optional<std::string> id{};               ///< the ID of the document
    std::map<std::string, std::string> metadata{}; ///< other data, without `doc_uri`, `chunk_id` and `score`
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
/// Writes a part in OpenAI's form.
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

/// Writes a message in OpenAI's form.
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
/// Writes an answer in OpenAI's form: the only element of `choices`.
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
/// Writes a document in the form of MLflow's `Document`.
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
