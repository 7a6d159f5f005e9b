// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <type_traits>
#include <utility>

// The options of a tracer nest in the same way as its exporters and policies. Both are found by type here, so that
// applications need not write the nesting.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

template <class... Types>
struct type_list {};
template <class... Left, class... Right>
type_list<Left..., Right...> operator+(type_list<Left...>, type_list<Right...>) noexcept {
    return {};
}
template <template <class...> class Tuple, class... Types>
type_list<Types...> elements_of(const Tuple<Types...>*) noexcept {
    return {};
}

// ---- Options.

template <class Options>
constexpr auto inner_options() noexcept {
    constexpr auto exporter = [] {
        if constexpr (requires(Options& options) { options.exporter; })
            return type_list<decltype(Options::exporter)>();
        else if constexpr (requires(Options& options) { options.exporters; })
            return decltype(elements_of(static_cast<decltype(Options::exporters)*>(nullptr)))();
        else return type_list<>();
    };
    constexpr auto deployment = [] {
        if constexpr (requires(Options& options) { options.deployment; })
            return type_list<decltype(Options::deployment)>();
        else return type_list<>();
    };
    constexpr auto transport = [] {
        if constexpr (requires(Options& options) { options.transport; })
            return type_list<decltype(Options::transport)>();
        else return type_list<>();
    };
    constexpr auto recording = [] {
        if constexpr (requires(Options& options) { options.recording; })
            return type_list<decltype(Options::recording)>();
        else return type_list<>();
    };
    return decltype(exporter() + deployment() + transport() + recording())();
}

// Counts the options of type `Wanted` in `Options`, including `Options` itself.
template <class Wanted, class Options>
constexpr int count_options() noexcept {
    if constexpr (std::is_same_v<Wanted, Options>) return 1;
    else
        return []<class... Inner>(type_list<Inner...>) {
            return (0 + ... + count_options<Wanted, Inner>());
        }(inner_options<Options>());
}

template <class Options, class... Parts>
void set_options(Options& options, Parts&... parts) {
    const auto set_if_same = [&options]<class Part>(Part& part) {
        if constexpr (std::is_same_v<Part, Options>) options = std::move(part);
    };
    (set_if_same(parts), ...); // outer options first, because they contain inner options
    if constexpr (requires { options.exporter; }) set_options(options.exporter, parts...);
    if constexpr (requires { options.exporters; }) options.for_each([&](auto& each) { set_options(each, parts...); });
    if constexpr (requires { options.deployment; }) set_options(options.deployment, parts...);
    if constexpr (requires { options.transport; }) set_options(options.transport, parts...);
    if constexpr (requires { options.recording; }) set_options(options.recording, parts...);
}

template <class Options, class... Parts>
constexpr void require_options() noexcept {
    static_assert(((count_options<std::remove_cvref_t<Parts>, Options>() > 0) && ...),
                  "these options match no layer of the tracer's exporter and no policy; set an error handler in "
                  "tracer::options::on_error, as void (*)(void*, const mlflow::trace::error&) noexcept");
    static_assert(((count_options<std::remove_cvref_t<Parts>, Options>() < 2) && ...),
                  "these options match two layers of the tracer's exporter: nest the options as the exporters nest");
}

// Makes options of parts, each of which has the type of one layer's options, in any order.
template <class Options, class... Parts>
Options options_from(Parts&&... parts) {
    require_options<Options, Parts...>();
    Options options{};
    set_options(options, parts...);
    return options;
}

// ---- Exporters.

template <class Layer>
constexpr auto inner_layers() noexcept {
    if constexpr (requires { typename Layer::layers; }) return typename Layer::layers();
    else if constexpr (requires(Layer& layer) { layer.exporter(); })
        return type_list<std::remove_cvref_t<decltype(std::declval<Layer&>().exporter())>>();
    else return type_list<>();
}

template <class Wanted, class Layer>
constexpr int count_layers() noexcept {
    if constexpr (std::is_same_v<Wanted, Layer>) return 1;
    else
        return []<class... Inner>(type_list<Inner...>) {
            return (0 + ... + count_layers<Wanted, Inner>());
        }(inner_layers<Layer>());
}

template <class Wanted, class Layer>
Wanted& layer_of(Layer& layer) {
    static_assert(count_layers<Wanted, Layer>() > 0, "no layer of the tracer's exporter has that type");
    static_assert(count_layers<Wanted, Layer>() < 2,
                  "two layers of the tracer's exporter have that type: reach the right one by exporter()");
    if constexpr (std::is_same_v<Wanted, Layer>) return layer;
    else if constexpr (requires { typename Layer::layers; }) return layer.template layer<Wanted>();
    else return layer_of<Wanted>(layer.exporter());
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
