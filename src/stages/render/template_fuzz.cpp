// A template, a newline, a payload: output is bounded UTF-8, and what JSON templates yield is JSON
// when the template with plain values is.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/utf8.hpp"
#include "stages/match/match_test_support.hpp"
#include "stages/render/renderer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\n');
  if (cut == std::string_view::npos) return 0;
  const auto text = render::Template::compile(input.substr(0, cut));
  if (!text) return 0;
  const std::string_view payload = input.substr(cut + 1);
  match::TestRecord record(payload);
  const RecordView view = record.view();
  const match::TestDocument document(payload);
  const std::optional<json::Value> root =
      document.valid() ? std::optional(document.root()) : std::nullopt;
  const render::RenderInput values{view, root, "rule", Priority::normal, Severity::info};
  for (const auto escape : {render::Escape::none, render::Escape::html, render::Escape::json}) {
    for (const std::size_t size_max : {std::size_t{16}, std::size_t{1} << 20U}) {
      std::string out;
      const bool was_cut = render::render_template(*text, escape, values, size_max, out);
      if (out.size() > size_max || !utf8_valid(out)) std::abort();
      if (was_cut || escape != render::Escape::json) continue;
      // The same template where every variable is missing decides whether it is JSON at all.
      std::string plain;
      const match::TestRecord nothing("");
      const RecordView nothing_view = nothing.view();
      const std::optional<json::Value> none;
      render::render_template(*text, escape,
                              {nothing_view, none, "rule", Priority::normal, Severity::info},
                              size_max, plain);
      if (match::TestDocument(plain).valid() && plain.size() > 0) {
        const match::TestDocument rendered(out);
        // Depth and number limits may refuse what grew; quotes must not.
        if (!rendered.valid() && out.find_first_of("[{0123456789") == std::string::npos) {
          std::abort();
        }
      }
    }
  }
  return 0;
}
