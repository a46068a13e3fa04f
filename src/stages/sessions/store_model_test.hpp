#pragma once
// What the store should hold: random changes, applied to the store and to plain maps.

#include <cstdint>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "stages/sessions/store_fixture_test.hpp"

namespace tocsin::sessions {

struct Model {
  struct Session {
    std::string state;
    std::map<std::string, std::uint8_t> subscriptions;
    std::map<std::uint64_t, std::string> messages;
    bool operator==(const Session&) const = default;
  };
  std::map<std::string, Session> sessions;
  std::map<std::string, std::string> retained;
  std::uint64_t ordinal = 0;
  bool operator==(const Model& other) const {
    return sessions == other.sessions && retained == other.retained;
  }

  [[nodiscard]] static Model of(const Loaded& loaded) {
    Model model;
    for (const auto& [id, session] : loaded.sessions) {
      Session& copy = model.sessions[id];
      copy.state = session.state;
      for (const auto& s : session.subscriptions) copy.subscriptions[s.filter] = s.options;
      for (const auto& m : session.messages) copy.messages[m.ordinal] = m.bytes;
    }
    model.retained.insert(loaded.retained.begin(), loaded.retained.end());
    return model;
  }

  /// One random change, here and in the store.
  void change(SqliteSessionStore& store, std::mt19937_64& random) {
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::string id = "client-" + std::to_string(below(4));
    const std::string text(below(3000), static_cast<char>('a' + below(26)));
    const std::string name = "topic/" + std::to_string(below(5));
    const std::uint64_t what = below(12);
    if (what == 0) {
      EXPECT_TRUE(store.remove_session(id));
      sessions.erase(id);
    } else if (what == 1 || !sessions.contains(id)) {
      EXPECT_TRUE(store.put_session(make_session(id, text)));
      sessions[id].state = text;
    } else if (what == 2) {
      EXPECT_TRUE(store.put_subscription(id, {.filter = name, .options = 1}));
      sessions[id].subscriptions[name] = 1;
    } else if (what == 3) {
      EXPECT_TRUE(store.remove_subscription(id, name));
      sessions[id].subscriptions.erase(name);
    } else if (what <= 7) {
      EXPECT_TRUE(store.put_message(id, ++ordinal, text, nullptr));
      sessions[id].messages[ordinal] = text;
    } else if (what <= 9 && !sessions[id].messages.empty()) {
      auto at = sessions[id].messages.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(below(sessions[id].messages.size())));
      if (what == 8) {
        EXPECT_TRUE(store.remove_message(id, at->first));
        sessions[id].messages.erase(at);
      } else {
        EXPECT_TRUE(store.put_message(id, at->first, text, nullptr));
        at->second = text;
      }
    } else {
      EXPECT_TRUE(store.put_retained(name, text, nullptr));
      if (text.empty()) {
        retained.erase(name);
      } else {
        retained[name] = text;
      }
    }
  }
};

}  // namespace tocsin::sessions
