// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "raw_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace tls {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};

inline void check(bool succeeded) {
    if (!succeeded) throw std::runtime_error("OpenSSL could not make a certificate");
}

// A certificate and its key, in one PEM file. It is signed by `issuer`, or by itself.
class certificate {
public:
    certificate(const std::string& subject_alternative_name, const certificate* issuer, int days = 2)
        : key_(EVP_EC_gen("P-256")), x509_(X509_new()) {
        static std::atomic<long> serial = 1;
        check(key_ && x509_);
        check(X509_set_version(x509_.get(), 2) == 1);
        check(ASN1_INTEGER_set(X509_get_serialNumber(x509_.get()), serial) == 1);
        check(X509_gmtime_adj(X509_getm_notBefore(x509_.get()), -7L * 86'400) != nullptr);
        check(X509_gmtime_adj(X509_getm_notAfter(x509_.get()), days * 86'400L) != nullptr);
        const auto name = "test " + std::to_string(serial++);
        check(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509_.get()), "CN", MBSTRING_ASC,
                                         reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0) == 1);
        const auto& signer = issuer ? *issuer : *this;
        check(X509_set_issuer_name(x509_.get(), X509_get_subject_name(signer.x509_.get())) == 1);
        check(X509_set_pubkey(x509_.get(), key_.get()) == 1);
        if (issuer) extend(NID_subject_alt_name, subject_alternative_name);
        else extend(NID_basic_constraints, "critical,CA:TRUE");
        check(X509_sign(x509_.get(), signer.key_.get(), EVP_sha256()) > 0);
        file_ = std::filesystem::temp_directory_path() /
                ("mlflow_trace_" + std::to_string(::getpid()) + "_" + name.substr(5) + ".pem");
        const std::unique_ptr<std::FILE, freed_by<std::fclose>> file(std::fopen(file_.c_str(), "w"));
        check(file != nullptr);
        check(PEM_write_PrivateKey(file.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
        check(PEM_write_X509(file.get(), x509_.get()) == 1);
    }
    certificate(const certificate&) = delete;
    certificate& operator=(const certificate&) = delete;
    ~certificate() { std::filesystem::remove(file_); }

    const std::string& file() const { return file_; }

private:
    void extend(int kind, const std::string& value) {
        const std::unique_ptr<X509_EXTENSION, freed_by<X509_EXTENSION_free>> extension(
            X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
        check(extension && X509_add_ext(x509_.get(), extension.get(), -1) == 1);
    }

    std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>> key_;
    std::unique_ptr<X509, freed_by<X509_free>> x509_;
    std::string file_;
};

// An HTTPS server that answers every request with the name that the client asked for, one connection at a time.
class server {
public:
    // After each answer, `stray` is sent in a TLS record of its own, in the same segment.
    explicit server(const certificate& own, const certificate* required_of_clients = nullptr, std::string stray = {})
        : context_(boost::asio::ssl::context::tls_server), stray_(std::move(stray)) {
        context_.use_certificate_chain_file(own.file());
        context_.use_private_key_file(own.file(), boost::asio::ssl::context::pem);
        if (required_of_clients) {
            context_.load_verify_file(required_of_clients->file());
            context_.set_verify_mode(boost::asio::ssl::verify_peer | boost::asio::ssl::verify_fail_if_no_peer_cert);
        }
        acceptor_ = std::thread([this] { accept_all(); });
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() {
        ::shutdown(listener_.socket(), SHUT_RDWR);
        acceptor_.join();
    }

    std::uint16_t port() const { return listener_.port(); }
    int connections() const { return connections_; }

private:
    using tcp = boost::asio::ip::tcp;

    void accept_all() {
        for (int socket = 0; (socket = ::accept(listener_.socket(), nullptr, nullptr)) >= 0;) {
            ++connections_;
            boost::asio::io_context io;
            boost::asio::ssl::stream<tcp::socket> stream(tcp::socket(io, tcp::v4(), socket), context_);
            answer(stream);
        }
    }

    void answer(boost::asio::ssl::stream<tcp::socket>& stream) const {
        namespace http = boost::beast::http;
        boost::beast::error_code error;
        stream.handshake(boost::asio::ssl::stream_base::server, error);
        boost::beast::flat_buffer buffer;
        while (!error) {
            http::request<http::string_body> request;
            http::read(stream, buffer, request, error);
            if (error) return;
            const auto* const name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
            http::response<http::string_body> reply(http::status::ok, 11);
            reply.body() = name ? name : "no name";
            reply.prepare_payload();
            cork(stream, 1);
            http::write(stream, reply, error);
            if (!error && !stray_.empty()) boost::asio::write(stream, boost::asio::buffer(stray_), error);
            cork(stream, 0);
        }
    }

    static void cork(boost::asio::ssl::stream<tcp::socket>& stream, int on) {
        ::setsockopt(stream.lowest_layer().native_handle(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    }

    raw::listener listener_;
    std::atomic<int> connections_{0};
    boost::asio::ssl::context context_;
    std::string stray_;
    std::thread acceptor_;
};

} // namespace tls
