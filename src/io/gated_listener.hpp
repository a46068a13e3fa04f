#pragma once
// Puts an AddressGate before an AcceptHandler that knows nothing of it.

#include <memory>
#include <vector>

#include "io/address_gate.hpp"
#include "io/io.hpp"

namespace tocsin::io {

/// Hand it to Io::listen() in place of `inner`. It outlives the connections that it has accepted;
/// `inner` and `gate` outlive it.
class GatedListener final : public AcceptHandler {
 public:
  GatedListener(AcceptHandler& inner, AddressGate& gate) noexcept : inner_(inner), gate_(gate) {}
  GatedListener(const GatedListener&) = delete;
  GatedListener& operator=(const GatedListener&) = delete;

  StreamHandler* on_accept(StreamId stream, const Endpoint& peer) noexcept override;
  void on_accept_error(Errno error) noexcept override { inner_.on_accept_error(error); }

 private:
  /// Passes everything on, and tells when it is over.
  struct Passage final : StreamHandler {
    explicit Passage(GatedListener& owner) noexcept : listener(owner) {}
    void on_connected(Errno error) noexcept override { handler->on_connected(error); }
    void on_data(std::span<const std::byte> bytes) noexcept override { handler->on_data(bytes); }
    void on_end(Errno error) noexcept override { handler->on_end(error); }
    void on_sent(Errno error) noexcept override { handler->on_sent(error); }
    void on_closed() noexcept override { listener.closed(*this); }

    GatedListener& listener;
    StreamHandler* handler = nullptr;
    Endpoint peer;
  };

  void closed(Passage& passage) noexcept;

  AcceptHandler& inner_;
  AddressGate& gate_;
  std::vector<std::unique_ptr<Passage>> passages_;  // As many as there ever were at a time.
  std::vector<Passage*> free_;
};

}  // namespace tocsin::io
