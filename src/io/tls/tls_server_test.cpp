// The server side of TLS against our own client, with an Io whose every step the test makes.
#include "io/tls/tls_server.hpp"

#include <gtest/gtest.h>
#include <mbedtls/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "io/tls/tls_client.hpp"
#include "tests/support/still_io.hpp"

namespace tocsin::io {
namespace {

// For localhost, valid for a hundred years, and known to everybody: for these tests only.
constexpr std::string_view certificate_pem =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlTCCATugAwIBAgIUDCIYko5re/cuweBSmMufeb3iXfowCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE3MTcxMloYDzIxMjYxMDI4\n"
    "MTcxNzEyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAROdGR0ojnaGRozv+cO547afa0d9vGkGTcxzRZhmJKlMtBuXLhaWJ0f\n"
    "gfqqwj2R8XOhtFKY91rBGs9s+4qJGiAHo2kwZzAdBgNVHQ4EFgQUktwIkDWUm2yJ\n"
    "QHj0g13MSIYps2MwHwYDVR0jBBgwFoAUktwIkDWUm2yJQHj0g13MSIYps2MwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID\n"
    "SAAwRQIgXwgDEpctBgjfOEHDw1H9h7NPlNjSe4rMqMfhuVo5nVsCIQD0+86p7k0b\n"
    "s8PEz4zlaVio1zINlWW0eLAMtdlUvILqDw==\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view key_pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgB/Uyf8YITbTGK7dc\n"
    "O3qOC9wfeZxxE8DAElurwrpyPoKhRANCAAROdGR0ojnaGRozv+cO547afa0d9vGk\n"
    "GTcxzRZhmJKlMtBuXLhaWJ0fgfqqwj2R8XOhtFKY91rBGs9s+4qJGiAH\n"
    "-----END PRIVATE KEY-----\n";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// One stream.
class OneStream final : public tocsin::testing::StillIo {
 public:
  void receive_start(StreamId) override { receiving = true; }
  void receive_stop(StreamId) override { receiving = false; }
  void send(StreamId, std::span<const std::byte> bytes) override {
    ASSERT_TRUE(sending.empty()) << "one send at a time";
    ASSERT_FALSE(closing);
    sending = bytes;
  }
  void close(StreamId) override {
    ASSERT_FALSE(closing);
    closing = true;
    sending = {};
  }
  bool receiving = false;
  bool closing = false;
  std::span<const std::byte> sending;
};

/// A protocol that answers all that it gets with the same bytes.
class Echo final : public StreamHandler {
 public:
  void on_connected(Errno) noexcept override { ADD_FAILURE(); }
  void on_data(std::span<const std::byte> bytes) noexcept override {
    received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (echoing) answer();
  }
  void on_end(Errno error) noexcept override {
    ++ends;
    end_error = error;
  }
  void on_sent(Errno error) noexcept override {
    EXPECT_EQ(error, 0);
    sending.clear();
    answer();
  }
  void on_closed() noexcept override { closed = true; }
  void answer() {
    if (!sending.empty() || answered == received.size()) return;
    sending = received.substr(answered);
    answered = received.size();
    control->send(stream, bytes_of(sending));
  }

  StreamControl* control = nullptr;
  StreamId stream;
  std::string received;
  std::string sending;
  std::size_t answered = 0;
  bool echoing = true;
  int ends = 0;
  Errno end_error = 0;
  bool closed = false;
};

class TlsServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory =
        std::filesystem::temp_directory_path() / ("tocsin-tls-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "c.pem") << certificate_pem;
    std::ofstream(directory / "k.pem") << key_pem;
    TlsServerOptions options;
    options.certificate = directory / "c.pem";
    options.key = directory / "k.pem";
    auto made = make_tls_server_context(options);
    ASSERT_TRUE(made) << made.error();
    context = *made;
    auto trusted = make_tls_client_context(
        {.ca_file = directory / "c.pem", .certificate_file = {}, .key_file = {}});
    ASSERT_TRUE(trusted) << trusted.error();
    trust = std::move(*trusted);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void start(std::size_t memory_bytes = 4 * tls_connection_bytes) {
    server.reset();
    budget = std::make_unique<ByteBudget>(memory_bytes);
    server = std::make_unique<TlsServer>(
        io, "test", TlsServerLimits{.handshake_timeout = std::chrono::seconds(10)}, *budget,
        nullptr, make_null_log(), context,
        [this](StreamControl& control, StreamId stream, const Endpoint&, std::string_view name) {
          EXPECT_EQ(name, certified);
          echo.control = &control;
          echo.stream = stream;
          control.receive_start(stream);
          return &echo;
        });
    handler = server->on_accept({.slot = 5, .generation = 9}, {});
    ASSERT_NE(handler, nullptr);
    server->tick(io.time);
    client = std::move(*make_tls_client(*trust, "localhost"));
  }

  // Carries bytes both ways, `chunk` at a time, until nothing moves.
  void pump(std::size_t chunk) {
    for (bool moved = true; moved && !io.closing;) {
      moved = false;
      const std::string outgoing = client->take_outgoing();
      for (std::size_t at = 0; at < outgoing.size() && !io.closing; at += chunk) {
        const std::string_view part = std::string_view(outgoing).substr(at, chunk);
        const std::string copy(part);  // Gone after the call, as the Io's buffers are.
        handler->on_data(bytes_of(copy));
        moved = true;
      }
      while (!io.sending.empty() && !io.closing) {
        client->receive(std::exchange(io.sending, {}));
        handler->on_sent(0);
        moved = true;
      }
      answered += client->take_plaintext();
    }
  }

  void finish_close() {
    if (io.closing) handler->on_closed();
  }

  std::filesystem::path directory;
  std::shared_ptr<const TlsServerContext> context;
  std::unique_ptr<TlsClientContext> trust;
  OneStream io;
  Echo echo;
  std::unique_ptr<ByteBudget> budget;
  std::unique_ptr<TlsServer> server;
  StreamHandler* handler = nullptr;
  std::unique_ptr<TlsClient> client;
  std::string answered;
  std::string certified;  // The name that the client's certificate must have brought.
};

// Records, handshake messages and what the protocol sends arrive cut anywhere.
TEST_F(TlsServerTest, CarriesEverythingHoweverItIsCut) {
  std::string text(100'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 251);
  for (const std::size_t chunk : {1U, 5U, 333U, 4096U, 70'000U}) {
    io = OneStream();
    echo = Echo();
    answered.clear();
    start();
    pump(chunk);
    ASSERT_EQ(client->state(), TlsState::open) << client->error();
    client->send(bytes_of(text));
    pump(chunk);
    EXPECT_TRUE(echo.received == text) << chunk;
    EXPECT_TRUE(answered == text) << chunk;
    server->close(echo.stream);
    pump(chunk);
  }
}

TEST_F(TlsServerTest, TheEndIsAnnouncedBothWays) {
  start();
  pump(4096);
  client->close();
  pump(4096);
  EXPECT_EQ(echo.ends, 1);
  EXPECT_EQ(echo.end_error, 0);
  server->close(echo.stream);
  EXPECT_FALSE(io.closing) << "the closing alert is still on its way";
  pump(4096);
  EXPECT_EQ(client->state(), TlsState::closed);
  ASSERT_TRUE(io.closing);
  EXPECT_FALSE(echo.closed);
  finish_close();
  EXPECT_TRUE(echo.closed);
  EXPECT_TRUE(server->closed());
  EXPECT_EQ(budget->used(), 0U);
}

TEST_F(TlsServerTest, ClosingAbandonsWhatIsBeingSent) {
  start();
  pump(4096);
  echo.echoing = false;
  const std::string answer(50'000, 'x');
  server->send(echo.stream, bytes_of(answer));
  ASSERT_FALSE(io.sending.empty());
  server->close(echo.stream);
  EXPECT_TRUE(io.closing);
  finish_close();
  EXPECT_TRUE(echo.closed);
}

// While a record is on its way, what arrives is read all the same.
TEST_F(TlsServerTest, ReadsWhileItSends) {
  start();
  pump(4096);
  echo.echoing = false;
  const std::string answer(20'000, 'x');
  server->send(echo.stream, bytes_of(answer));
  client->send(bytes_of("hello"));
  const std::string outgoing = client->take_outgoing();
  handler->on_data(bytes_of(outgoing));
  EXPECT_EQ(echo.received, "hello");
  pump(4096);
  EXPECT_TRUE(answered == answer + "hello") << answered.size();
}

// Goal: empty records, which some libraries send to hide lengths, are no end. Method: mbedTLS
// itself as the client, because ours sends none.
TEST_F(TlsServerTest, EmptyRecordsAreNothing) {
  start();
  echo.echoing = false;
  struct Raw {
    std::string incoming, outgoing;
    static int send(void* self, const unsigned char* bytes, std::size_t size) {
      static_cast<Raw*>(self)->outgoing.append(reinterpret_cast<const char*>(bytes), size);
      return static_cast<int>(size);
    }
    static int receive(void* self, unsigned char* into, std::size_t size) {
      std::string& from = static_cast<Raw*>(self)->incoming;
      if (from.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
      const std::size_t n = from.copy(reinterpret_cast<char*>(into), size);
      from.erase(0, n);
      return static_cast<int>(n);
    }
    static int chance(void*, unsigned char* out, std::size_t size) {
      std::fill_n(out, size, static_cast<unsigned char>(0x5A));
      return 0;
    }
  } raw;
  mbedtls_ssl_config config;
  mbedtls_ssl_config_init(&config);
  mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                              MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
  mbedtls_ssl_conf_rng(&config, &Raw::chance, nullptr);
  mbedtls_ssl_context ssl;
  mbedtls_ssl_init(&ssl);
  ASSERT_EQ(mbedtls_ssl_setup(&ssl, &config), 0);
  mbedtls_ssl_set_bio(&ssl, &raw, &Raw::send, &Raw::receive, nullptr);
  int status = MBEDTLS_ERR_SSL_WANT_READ;
  for (int round = 0; round < 10 && status == MBEDTLS_ERR_SSL_WANT_READ; ++round) {
    status = mbedtls_ssl_handshake(&ssl);
    const std::string outgoing = std::exchange(raw.outgoing, {});
    if (!outgoing.empty()) handler->on_data(bytes_of(outgoing));
    while (!io.sending.empty()) {
      const auto sent = std::exchange(io.sending, {});
      raw.incoming.append(reinterpret_cast<const char*>(sent.data()), sent.size());
      handler->on_sent(0);
    }
  }
  EXPECT_EQ(status, 0);
  for (const std::string_view text : {"a", "", "", "", "b"}) {
    mbedtls_ssl_write(&ssl, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  handler->on_data(bytes_of(raw.outgoing));
  EXPECT_EQ(echo.received, "ab");
  EXPECT_EQ(echo.ends, 0);
  mbedtls_ssl_free(&ssl);
  mbedtls_ssl_config_free(&config);
}

TEST_F(TlsServerTest, ADamagedRecordEndsTheConnection) {
  start();
  pump(4096);
  client->send(bytes_of("hello"));
  std::string outgoing = client->take_outgoing();
  outgoing[outgoing.size() - 3] ^= 1;
  handler->on_data(bytes_of(outgoing));
  EXPECT_EQ(echo.received, "");
  EXPECT_EQ(echo.ends, 1);
  EXPECT_NE(echo.end_error, 0);
  EXPECT_EQ(server->stats().record_failures.get(), 1U);
}

// Goal: what breaks while a record waits behind the last of the handshake does not send it twice.
TEST_F(TlsServerTest, ARecordThatWaitsIsSentOnce) {
  start();
  while (client->state() == TlsState::handshaking && echo.control == nullptr) {
    const std::string outgoing = client->take_outgoing();
    handler->on_data(bytes_of(outgoing));
    if (echo.control != nullptr) break;
    ASSERT_FALSE(io.sending.empty());
    client->receive(std::exchange(io.sending, {}));
    handler->on_sent(0);
  }
  ASSERT_FALSE(io.sending.empty()) << "the last of the handshake is on its way";
  client->receive(io.sending);
  ASSERT_EQ(client->state(), TlsState::open) << client->error();
  echo.echoing = false;
  const std::string answer(2000, 'x');
  server->send(echo.stream, bytes_of(answer));
  client->send(bytes_of("hello"));
  std::string outgoing = client->take_outgoing();
  outgoing[outgoing.size() - 3] ^= 1;
  handler->on_data(bytes_of(outgoing));
  EXPECT_EQ(echo.ends, 1);
  std::size_t sent = 0;
  for (io.sending = {}, handler->on_sent(0); !io.sending.empty(); handler->on_sent(0)) {
    sent += std::exchange(io.sending, {}).size();
  }
  EXPECT_GT(sent, answer.size());
  EXPECT_LT(sent, 2 * answer.size());
}

TEST_F(TlsServerTest, NothingGrowsBeyondTheBudget) {
  start(tls_connection_bytes - 1);
  EXPECT_TRUE(io.closing);
  EXPECT_EQ(server->stats().refused[static_cast<std::size_t>(TlsRefusal::memory)].get(), 1U);
  finish_close();
  EXPECT_TRUE(server->closed());
  EXPECT_EQ(budget->used(), 0U);
}

// Goal: connections that shake hands take the place of those that the protocol could still have.
TEST_F(TlsServerTest, HandshakesAreLimitedByTheProtocol) {
  start();
  std::uint32_t room = 1;
  server->set_room([&] { return room; });
  EXPECT_EQ(server->unfinished(), 1U);
  EXPECT_EQ(server->on_accept({.slot = 6, .generation = 1}, {}), nullptr);
  EXPECT_EQ(server->stats().refused[static_cast<std::size_t>(TlsRefusal::limit)].get(), 1U);
  pump(4096);
  ASSERT_EQ(client->state(), TlsState::open);
  EXPECT_EQ(server->unfinished(), 0U) << "it is the protocol's";
  room = 0;
  EXPECT_EQ(server->on_accept({.slot = 6, .generation = 1}, {}), nullptr);
  room = 1;
  StreamHandler* const second = server->on_accept({.slot = 6, .generation = 1}, {});
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(server->unfinished(), 1U);
  second->on_end(0);
  second->on_closed();
  EXPECT_EQ(server->unfinished(), 0U);
  io.closing = false;
  server->close(echo.stream);
  pump(4096);
  finish_close();
  EXPECT_EQ(server->unfinished(), 0U);
}

// Goal: certificates of clients are paid for: all that they can be while they come, then what they
// are. A handshake that finds no memory waits for one that has it.
TEST_F(TlsServerTest, CertificatesOfClientsAreCharged) {
  TlsServerOptions options;
  options.certificate = options.client_ca = directory / "c.pem";
  options.key = directory / "k.pem";
  context = *make_tls_server_context(options);
  const std::size_t handshake = tls_connection_bytes + tls_client_chain_bytes;
  for (const bool shown : {false, true}) {
    SCOPED_TRACE(shown);
    const std::string certificate = shown ? directory / "c.pem" : std::filesystem::path();
    const std::string key = shown ? directory / "k.pem" : std::filesystem::path();
    trust = std::move(*make_tls_client_context(
        {.ca_file = directory / "c.pem", .certificate_file = certificate, .key_file = key}));
    certified = shown ? "localhost" : "";
    io = OneStream();
    echo = Echo();
    start(handshake + 2 * tls_connection_bytes);
    EXPECT_EQ(budget->used(), handshake);
    StreamHandler* const second = server->on_accept({.slot = 6, .generation = 1}, {});
    server->tick(io.time);
    EXPECT_EQ(budget->used(), handshake);
    pump(4096);
    ASSERT_EQ(client->state(), TlsState::open) << client->error();
    EXPECT_EQ(budget->used() > tls_connection_bytes, shown);
    EXPECT_LE(budget->used(), tls_connection_bytes + (shown ? 8192 : 0));
    const std::size_t kept = budget->used();
    server->tick(io.time);
    EXPECT_EQ(budget->used(), kept + handshake) << "its turn";
    second->on_closed();
    server->close(echo.stream);
    pump(4096);
    finish_close();
    EXPECT_EQ(budget->used(), 0U);
  }
}

TEST_F(TlsServerTest, AHandshakeHasItsTime) {
  start();
  EXPECT_EQ(server->tick(io.time), io.time + std::chrono::seconds(10));
  io.time += std::chrono::seconds(10);
  server->tick(io.time);
  EXPECT_TRUE(io.closing);
  EXPECT_EQ(server->stats().refused[static_cast<std::size_t>(TlsRefusal::timeout)].get(), 1U);
  finish_close();
  EXPECT_EQ(server->tick(io.time), MonoTime::max());
}

TEST_F(TlsServerTest, AClosingAlertThatNobodyTakesIsNotWaitedForForEver) {
  start();
  pump(4096);
  server->close(echo.stream);
  ASSERT_FALSE(io.closing);
  io.time += std::chrono::seconds(2);
  server->tick(io.time);
  EXPECT_TRUE(io.closing);
}

TEST_F(TlsServerTest, DrainingEndsHandshakesAndKeepsConnections) {
  start();
  pump(4096);
  StreamHandler* const second = server->on_accept({.slot = 6, .generation = 1}, {});
  ASSERT_NE(second, nullptr);
  server->drain();
  EXPECT_TRUE(io.closing) << "the one that waits for its handshake";
  io.closing = false;
  second->on_closed();
  EXPECT_FALSE(server->closed());
  EXPECT_EQ(server->on_accept({.slot = 7, .generation = 1}, {}), nullptr);
  client->send(bytes_of("still here"));
  pump(4096);
  EXPECT_EQ(answered, "still here");
}

}  // namespace
}  // namespace tocsin::io
