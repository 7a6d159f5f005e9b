// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

// The files in this folder; embed.cmake compiles them into the program.
namespace report::files {

extern const std::string_view page_html, style_css, page_js, uplot_js, uplot_css, license;

} // namespace report::files
