#include "io/tls/tls_connection.hpp"

#include <mbedtls/oid.h>
#include <mbedtls/version.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tocsin::io {
namespace {

// The server's whole first flight fits: a chain of certificates is the largest part of it.
constexpr std::size_t flight_size_max = std::size_t{64} * 1024;

TlsRefusal refusal_of(int status) {
  switch (status) {
#ifdef MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
    case MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION:
#endif
#ifdef MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
#endif
      return TlsRefusal::version;
#ifdef MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN
    case MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN:
#endif
#ifdef MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
#endif
      return TlsRefusal::cipher;
#ifdef MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
#endif
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
      return TlsRefusal::certificate;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
      return TlsRefusal::alert;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
      return TlsRefusal::memory;
    default:
      return TlsRefusal::protocol;
  }
}

// The common name, if there is exactly one: of two, which one an authority has looked at is
// unclear.
std::string common_name(const mbedtls_x509_crt& certificate) {
  std::string found;
  for (const auto* part = &certificate.subject; part != nullptr; part = part->next) {
    if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) != 0) continue;
    if (!found.empty()) return {};
    found.assign(reinterpret_cast<const char*>(part->val.p), part->val.len);
  }
  const bool printable = std::ranges::all_of(
      found, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '\x7F'; });
  return printable ? found : std::string();
}

template <class List>
std::size_t length_of(const List& first) {
  std::size_t length = 0;
  for (const List* part = &first; part != nullptr; part = part->next) ++length;
  return length;
}

// What mbedTLS keeps of a client's certificates as long as the connection lives, somewhat more.
std::size_t kept_bytes(const mbedtls_x509_crt* chain) {
  constexpr std::size_t name_bytes = 96;
  constexpr std::size_t key_bytes = 1024;
  std::size_t bytes = 0;
  for (; chain != nullptr; chain = chain->next) {
    const std::size_t names =
        length_of(chain->issuer) + length_of(chain->subject) + length_of(chain->subject_alt_names) +
        length_of(chain->certificate_policies) + length_of(chain->ext_key_usage);
    bytes += sizeof *chain + 2 * chain->raw.len + key_bytes + names * name_bytes;
  }
  return bytes;
}

// With TLS 1.3 a ticket arrives as if it were an error.
bool goes_on([[maybe_unused]] int status) {
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
  return status == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
#else
  return false;
#endif
}

}  // namespace

void TlsConnection::open(StreamId stream, const Endpoint& peer) {
  assert(phase_ == Phase::free);
  phase_ = Phase::waiting;
  ++id_.generation;
  stream_ = stream;
  peer_ = peer;
}

bool TlsConnection::begin_handshake(std::shared_ptr<const TlsServerContext> context) {
  assert(phase_ == Phase::waiting);
  const std::size_t needed = context->handshake_bytes();
  if (!server_.memory_.charge(needed)) return false;
  charged_ = needed;
  ssl_ = std::make_unique<mbedtls_ssl_context>();
  mbedtls_ssl_init(ssl_.get());
  context_ = std::move(context);
  const auto& shared = static_cast<const MbedServerContext&>(*context_);
  if (mbedtls_ssl_setup(ssl_.get(), &shared.config()) != 0) return false;
  mbedtls_ssl_set_bio(ssl_.get(), this, &TlsConnection::bio_send, &TlsConnection::bio_receive,
                      nullptr);
  phase_ = Phase::handshaking;
  server_.io_.receive_start(stream_);
  return true;
}

void TlsConnection::keep_charged(std::size_t bytes) noexcept {
  if (bytes >= charged_) return;
  server_.memory_.refund(charged_ - bytes);
  charged_ = bytes;
}

void TlsConnection::release() noexcept {
  if (ssl_ == nullptr) return;
  mbedtls_ssl_free(ssl_.get());
  ssl_.reset();
  context_.reset();
  keep_charged(0);
}

int TlsConnection::bio_receive(void* self, unsigned char* into, std::size_t size) {
  std::span<const std::byte>& input = static_cast<TlsConnection*>(self)->input_;
  if (input.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
  const std::size_t n = std::min(size, input.size());
  std::memcpy(into, input.data(), n);
  input = input.subspan(n);
  return static_cast<int>(n);
}

int TlsConnection::bio_send(void* self, const unsigned char* bytes, std::size_t size) {
  return static_cast<TlsConnection*>(self)->take_output(std::as_bytes(std::span{bytes, size}));
}

int TlsConnection::take_output(std::span<const std::byte> bytes) {
  // An alert flushes first what mbedTLS still holds: a record, which write_records() sends.
  if (record_in_flight_ || (record_pending_ && !writing_)) return MBEDTLS_ERR_SSL_WANT_WRITE;
  if (std::exchange(record_sent_, false)) return static_cast<int>(bytes.size());
  if (!writing_) {
    if (flight_.size() + bytes.size() > flight_size_max) return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    flight_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return static_cast<int>(bytes.size());
  }
  flush_flight();
  if (!flight_sending_.empty()) return MBEDTLS_ERR_SSL_WANT_WRITE;
  record_in_flight_ = true;
  server_.io_.send(stream_, bytes);
  return MBEDTLS_ERR_SSL_WANT_WRITE;
}

void TlsConnection::flush_flight() {
  if (flight_.empty() || !flight_sending_.empty() || record_in_flight_ || stream_closed_) return;
  flight_sending_.swap(flight_);
  server_.io_.send(stream_, std::as_bytes(std::span{flight_sending_}));
}

void TlsConnection::shake_hands() {
  const int status = mbedtls_ssl_handshake(ssl_.get());
  if (status == MBEDTLS_ERR_SSL_WANT_READ || status == MBEDTLS_ERR_SSL_WANT_WRITE) return;
  if (status != 0) return refuse(refusal_of(status));
  const mbedtls_x509_crt* const certificate = mbedtls_ssl_get_peer_cert(ssl_.get());
  // Where a certificate may be missing, mbedTLS lets a bad one pass, too.
  if (certificate != nullptr && mbedtls_ssl_get_verify_result(ssl_.get()) != 0) {
    mbedtls_ssl_send_alert_message(ssl_.get(), MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                   MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    return refuse(TlsRefusal::certificate);
  }
  established();
}

void TlsConnection::established() {
  phase_ = Phase::open;
  server_.stats_.handshakes.add();
  const mbedtls_x509_crt* const certificate = mbedtls_ssl_get_peer_cert(ssl_.get());
  const std::string name = certificate != nullptr ? common_name(*certificate) : std::string();
  keep_charged(tls_connection_bytes + kept_bytes(certificate));
  ++server_.taken_;  // Before: it must not count twice.
  StreamHandler* const handler = server_.accept_(server_, id_, peer_, name);
  server_.handshake_ended();
  if (handler == nullptr) {
    --server_.taken_;
    return close();
  }
  handler_ = handler;
  if (phase_ == Phase::open && !receiving_) server_.io_.receive_stop(stream_);
}

void TlsConnection::refuse(TlsRefusal reason) {
  server_.refused(reason);
  const bool begun = phase_ == Phase::handshaking;
  phase_ = Phase::closing;
  if (begun) server_.handshake_ended();
  close_when_flushed();
}

void TlsConnection::read_records() {
  while (phase_ == Phase::open && !ended_) {
    std::vector<std::byte>& buffer = server_.plaintext_;
    const int got = mbedtls_ssl_read(ssl_.get(), reinterpret_cast<unsigned char*>(buffer.data()),
                                     MBEDTLS_SSL_IN_CONTENT_LEN);
    if (got > 0) {
      handler_->on_data(std::span(buffer).first(static_cast<std::size_t>(got)));
    } else if (got == MBEDTLS_ERR_SSL_WANT_READ) {
      return;
    } else if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
      end_of_stream(0);
    } else if (got < 0 && !goes_on(got)) {
      // 0 is an empty record behind another one, never the end: input that is used up is WANT_READ.
      // WANT_WRITE included: only who asks for a renegotiation while he does not read gets us
      // there.
      broken();
    }
  }
}

void TlsConnection::broken() {
  server_.stats_.record_failures.add();
  end_of_stream(EPROTO);
}

void TlsConnection::end_of_stream(Errno error) {
  if (std::exchange(ended_, true)) return;
  handler_->on_end(error);
}

void TlsConnection::write_records() {
  while (!sending_.empty()) {
    writing_ = true;
    const int n = mbedtls_ssl_write(
        ssl_.get(), reinterpret_cast<const unsigned char*>(sending_.data()), sending_.size());
    writing_ = false;
    record_pending_ = n == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (n == MBEDTLS_ERR_SSL_WANT_WRITE) return;
    if (n <= 0) {
      // The handler must not be called from inside its own send().
      write_failed_ = true;
      server_.linger(id_);
      return;
    }
    sending_ = sending_.subspan(static_cast<std::size_t>(n));
  }
  handler_->on_sent(0);
}

void TlsConnection::receive_start() {
  receiving_ = true;
  if (phase_ == Phase::open) server_.io_.receive_start(stream_);
}

void TlsConnection::receive_stop() {
  receiving_ = false;
  if (phase_ == Phase::open) server_.io_.receive_stop(stream_);
}

void TlsConnection::send(std::span<const std::byte> bytes) {
  assert(phase_ == Phase::open && sending_.empty() && !bytes.empty());
  sending_ = bytes;
  write_records();
}

void TlsConnection::close() {
  if (phase_ != Phase::open) return;
  phase_ = Phase::closing;
  server_.io_.receive_stop(stream_);
  // A record that is half sent cannot be followed by anything.
  if (!sending_.empty()) return close_stream();
  mbedtls_ssl_close_notify(ssl_.get());
  close_when_flushed();
}

void TlsConnection::close_when_flushed() {
  if (flight_.empty() && flight_sending_.empty()) return close_stream();
  flush_flight();
  server_.linger(id_);
}

void TlsConnection::close_stream() {
  if (std::exchange(stream_closed_, true)) return;
  server_.io_.close(stream_);
}

void TlsConnection::expire() {
  if (handshaking()) {
    refuse(TlsRefusal::timeout);
  } else if (closing()) {
    close_stream();
  } else if (write_failed_ && handler_ != nullptr) {
    sending_ = {};
    handler_->on_sent(EPROTO);
  }
}

void TlsConnection::on_connected(Errno) noexcept { assert(false && "only accepted streams"); }

void TlsConnection::on_data(std::span<const std::byte> bytes) noexcept {
  input_ = bytes;
  if (phase_ == Phase::handshaking) shake_hands();
  if (phase_ == Phase::open) read_records();
  input_ = {};
  if (phase_ == Phase::handshaking || phase_ == Phase::open) flush_flight();
}

void TlsConnection::on_end(Errno error) noexcept {
  if (phase_ == Phase::handshaking) {
    refuse(TlsRefusal::closed);
  } else if (phase_ == Phase::open) {
    // Without a closing alert, too: both protocols frame what they carry and notice what is cut.
    end_of_stream(error);
  }
}

void TlsConnection::on_sent(Errno error) noexcept {
  const bool was_record = std::exchange(record_in_flight_, false);
  flight_sending_.clear();
  if (stream_closed_) return;
  if (error != 0) {
    flight_.clear();
    if (phase_ == Phase::handshaking) return refuse(TlsRefusal::closed);
    if (phase_ == Phase::closing) return close_stream();
    if (sending_.empty()) return end_of_stream(error);
    sending_ = {};
    return handler_->on_sent(error);
  }
  record_sent_ = was_record;
  if (phase_ == Phase::closing) return close_when_flushed();
  if (!sending_.empty()) write_records();
  if (phase_ != Phase::free) flush_flight();
}

void TlsConnection::on_closed() noexcept {
  StreamHandler* const handler = std::exchange(handler_, nullptr);
  release();
  flight_ = {};
  flight_sending_ = {};
  sending_ = {};
  record_in_flight_ = record_sent_ = record_pending_ = write_failed_ = false;
  receiving_ = ended_ = stream_closed_ = false;
  phase_ = Phase::free;
  if (handler != nullptr) --server_.taken_;
  server_.recycle(*this);
  if (handler != nullptr) handler->on_closed();
}

}  // namespace tocsin::io
