#pragma once
// A real Mosquitto broker for one test, on an ephemeral port of 127.0.0.1, ended with its owner.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace tocsin::testing {

class Mosquitto {
 public:
  /// Picks a port; start() starts the broker there, again after stop().
  Mosquitto() {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
      port_ = ntohs(address.sin_port);
    }
    std::array<char, 32> pattern{"/tmp/tocsin-mosquitto-XXXXXX"};
    UniqueFd file(::mkstemp(pattern.data()));
    config_ = pattern.data();
    std::ofstream(config_) << "listener " << port_ << " 127.0.0.1\nallow_anonymous true\n"
                           << "persistence false\nlog_type none\nuser root\n";
  }
  ~Mosquitto() {
    stop();
    ::unlink(config_.c_str());
  }
  Mosquitto(const Mosquitto&) = delete;
  Mosquitto& operator=(const Mosquitto&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string uri() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }

  /// False when it is not installed or cannot start.
  [[nodiscard]] bool start() {
    for (const char* program : {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"}) {
      if (::access(program, X_OK) != 0) continue;
      // It ends with the test, also when the test crashes. ("user root": a process that gives up
      // its identity loses that arrangement.)
      std::vector<std::string> words{setpriv, "--pdeathsig", "KILL", program, "-c", config_};
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      if (::posix_spawn(&pid_, setpriv, nullptr, nullptr, arguments.data(), environ) == 0) {
        return accepts_connections();
      }
      pid_ = 0;
    }
    return false;
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  static constexpr const char* setpriv = "/usr/bin/setpriv";

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  [[nodiscard]] bool accepts_connections() const {
    for (int tries = 0; tries < 500; ++tries) {
      UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = loopback(port_);
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        return true;
      }
      ::usleep(10'000);  // The broker has no other way to say that it listens.
    }
    return false;
  }

  std::uint16_t port_ = 0;
  std::string config_;
  pid_t pid_ = 0;
};

}  // namespace tocsin::testing
