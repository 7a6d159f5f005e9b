// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The type that an exporter or policy is made from: its nested `options`, or the type itself if it has none.
template <class T>
struct options_of_impl {
    using type = T;
};
template <class T>
    requires requires { typename T::options; }
struct options_of_impl<T> {
    using type = typename T::options;
};
template <class T>
using options_of = typename options_of_impl<T>::type;

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
