// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/utf8.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// Generates a man page, and completion for bash and zsh, from the command line parser itself, so that they are always
// up to date.
namespace generated {

inline std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    auto all = app.get_options([](const CLI::Option* one) { return !one->get_group().empty(); });
    return {all.begin(), all.end()};
}
inline std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    auto all = app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
    return {all.begin(), all.end()};
}
inline bool takes_value(const CLI::Option& one) { return one.get_items_expected_max() > 0; }

// `-h --help`
inline std::vector<std::string> names_of(const CLI::Option& one) {
    std::vector<std::string> names;
    for (const std::string& name : one.get_snames()) names.push_back('-' + name);
    for (const std::string& name : one.get_lnames()) names.push_back("--" + name);
    return names;
}

// Escapes text for troff, as ASCII.
inline std::string roff(std::string_view text) {
    using namespace mlflow::trace::detail;
    std::string shown = "\\&";
    while (!text.empty()) {
        const auto next = decode_utf8(text);
        const char c = text[0];
        if (next.length > 1) {
            char code[16];
            std::snprintf(code, sizeof code, "\\[u%04X]", static_cast<unsigned>(next.code_point));
            shown += code;
        } else if (c == '\\') shown += "\\e";
        else if (c == '-') shown += "\\-";
        else if (c == '\'') shown += "\\(aq";
        else if (c == '`') shown += "\\(ga";
        else shown += c;
        if (c == '\n') shown += "\\&"; // a dot at the beginning of a line would be a command
        text.remove_prefix(next.length);
    }
    return shown;
}

inline void describe(std::ostream& out, const CLI::Option& one) {
    std::string head;
    for (const std::string& name : names_of(one)) head += (head.empty() ? "" : ", ") + name;
    if (head.empty()) head = one.get_name();
    out << ".TP\n\\fB" << roff(head) << "\\fR";
    if (takes_value(one) && !one.get_positional()) out << " \\fI" << roff(one.get_type_name()) << "\\fR";
    out << '\n' << roff(one.get_description()) << '\n';
    if (!one.get_envname().empty()) out << "Environment: \\fB" << roff(one.get_envname()) << "\\fR.\n";
}

inline std::string man(const CLI::App& app, std::string_view version) {
    std::ostringstream out;
    const std::string& name = app.get_name();
    std::string upper = name;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    out << ".TH " << upper << " 1 \"\" \"mlflow_trace " << version << "\" \"User Commands\"\n.SH NAME\n"
        << name << " \\- " << roff(app.get_description()) << "\n.SH SYNOPSIS\n.B " << name
        << "\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH OPTIONS\n";
    for (const CLI::Option* const one : options_of(app)) describe(out, *one);
    out << ".SH COMMANDS\n";
    for (const CLI::App* const one : commands_of(app)) {
        out << ".SS " << one->get_name();
        for (const CLI::Option* const option : options_of(*one))
            if (option->get_positional()) out << ' ' << option->get_name();
        out << '\n' << roff(one->get_description()) << '\n';
        for (const CLI::Option* const option : options_of(*one))
            if (option->get_lnames() != std::vector<std::string>{"help"}) describe(out, *option);
        if (!one->get_footer().empty()) out << ".PP\n" << roff(one->get_footer()) << '\n';
    }
    if (!app.get_footer().empty()) out << ".SH EXAMPLES\n.nf\n" << roff(app.get_footer()) << "\n.fi\n";
    return out.str();
}

inline std::string words_of(const CLI::App& app) {
    std::string words;
    for (const CLI::Option* const one : options_of(app))
        for (const std::string& name : names_of(*one)) words += (words.empty() ? "" : " ") + name;
    return words;
}

inline std::string bash(const CLI::App& app) {
    std::ostringstream out;
    const std::string& name = app.get_name();
    std::string commands;
    for (const CLI::App* const one : commands_of(app)) commands += (commands.empty() ? "" : " ") + one->get_name();
    out << "# bash completion for " << name << "\n_" << name << "() {\n"
        << "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= each\n"
        << "    local commands='" << commands << "' options='" << words_of(app) << "'\n"
        << "    for each in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
        << "        [[ -z $command && \" $commands \" == *\" $each \"* ]] && command=$each\n    done\n"
        << "    case $before in\n        --output|--tracking-uri) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); "
           "return ;;\n"
        << "        --format) COMPREPLY=($(compgen -W 'csv jsonl' -- \"$word\")); return ;;\n    esac\n"
        << "    case $command in\n        '') [[ $word == -* ]] || options=$commands ;;\n";
    for (const CLI::App* const one : commands_of(app))
        out << "        " << one->get_name() << ") options+=' " << words_of(*one) << "' ;;\n";
    out << "    esac\n    [[ -n $command && $word != -* ]] && { mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); "
           "return; }\n"
        << "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n}\ncomplete -F _" << name << ' ' << name << '\n';
    return out.str();
}

// Escapes a text inside single quotes of a description, where brackets and colons have a meaning in zsh.
inline std::string zsh_text(std::string_view text) {
    std::string shown;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') shown += '\\';
        shown += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return shown;
}

inline void zsh_options(std::ostream& out, const CLI::App& app, const char* indent) {
    for (const CLI::Option* const one : options_of(app))
        for (const std::string& name : names_of(*one)) {
            out << indent << '\'' << name << '[' << zsh_text(one->get_description()) << ']';
            if (takes_value(*one))
                out << ':' << zsh_text(one->get_type_name()) << (name == "--output" ? ":_files" : ": ");
            out << "' \\\n";
        }
}

inline std::string zsh(const CLI::App& app) {
    std::ostringstream out;
    const std::string& name = app.get_name();
    out << "#compdef " << name << "\n# zsh completion for " << name << "\nlocal state line\n_arguments -C \\\n";
    zsh_options(out, app, "    ");
    out << "    '1:command:->command' '*::argument:->argument'\ncase $state in\ncommand)\n    local -a commands=(\n";
    for (const CLI::App* const one : commands_of(app))
        out << "        '" << one->get_name() << ':' << zsh_text(one->get_description()) << "'\n";
    out << "    )\n    _describe command commands ;;\nargument)\n    case $line[1] in\n";
    for (const CLI::App* const one : commands_of(app)) {
        out << "    " << one->get_name() << ")\n        _arguments \\\n";
        zsh_options(out, app, "            ");
        zsh_options(out, *one, "            ");
        out << "            '*:argument:_files' ;;\n";
    }
    out << "    esac ;;\nesac\n";
    return out.str();
}

/// Thrown by the option below: the program prints this text and ends.
struct output {
    std::string text;
};

/// Adds a hidden option `--generate man|bash|zsh`.
inline void add(CLI::App& app, std::string_view version) {
    app.add_option_function<std::string>(
           "--generate",
           [&app, version](const std::string& what) {
               throw output{what == "man" ? man(app, version) : what == "bash" ? bash(app) : zsh(app)};
           },
           "")
        ->check(CLI::IsMember({"man", "bash", "zsh"}))
        ->group("")
        ->trigger_on_parse();
}

} // namespace generated
