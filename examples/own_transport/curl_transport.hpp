// SPDX-License-Identifier: Apache-2.0
// A custom transport that uses libcurl, with the HTTPS and proxy support of the system's curl.
#pragma once

#include <mlflow/trace/http/check.hpp>

#include <curl/curl.h>
#include <memory>
#include <string>
#include <utility>

namespace mt = mlflow::trace;

class curl_transport {
public:
    struct options {};

    explicit curl_transport(mt::endpoint server, options = {}) : server_(std::move(server)) {}

    mt::result<mt::http_response> send(const mt::http_request& request) {
        if (auto refused = mt::check_request(server_, request)) return mt::failure{*refused};
        mt::http_response response;
        curl_slist* headers = curl_slist_append(nullptr, "Expect:");
        for (const auto& [name, value] : request.headers)
            headers = curl_slist_append(headers, (std::string(name) + ": " + std::string(value)).c_str());
        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owned(headers, curl_slist_free_all);
        const std::string url = server_.scheme + "://" + server_.authority() + server_.path;
        CURL* const curl = handle_.get();
        curl_easy_reset(curl); // keeps its connections
        curl_easy_setopt(curl, CURLOPT_URL, (url + std::string(request.target)).c_str());
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.empty() ? nullptr : request.body.data());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, std::string(to_string(request.method)).c_str());
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &append);
        if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK)
            return mt::failure{mt::error{reason_of(code), server_.authority(), curl_easy_strerror(code)}};
        long status = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        response.status = static_cast<int>(status);
        for (curl_header* at = nullptr; (at = curl_easy_nextheader(curl, CURLH_HEADER, -1, at)) != nullptr;)
            response.headers.emplace_back(at->name, at->value);
        return response;
    }

private:
    static std::size_t append(char* bytes, std::size_t, std::size_t size, std::string* body) {
        return body->append(bytes, size), size;
    }
    static mt::error_kind reason_of(CURLcode code) {
        if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT) return mt::error_kind::connect;
        if (code == CURLE_OPERATION_TIMEDOUT) return mt::error_kind::timeout;
        if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY) return mt::error_kind::bad_reply;
        return mt::error_kind::closed;
    }

    mt::endpoint server_;
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle_{curl_easy_init(), curl_easy_cleanup};
};
