#include "tools/report_page.h"

/// The bytes of a file as NAME .. NAME_end. The build compiles this again when one has changed.
#define EMBED(name, file)                                                                      \
  asm(".pushsection .rodata\n" #name ": .incbin \"" file "\"\n" #name "_end:\n.popsection\n"); \
  __attribute__((visibility("hidden"))) extern const char name[] asm(#name);                   \
  __attribute__((visibility("hidden"))) extern const char name##_end[] asm(#name "_end")

#ifdef DAMC_DYGRAPHS
EMBED(damc_page_html, DAMC_PAGE "/page.html");
EMBED(damc_page_css, DAMC_PAGE "/page.css");
EMBED(damc_page_js, DAMC_PAGE "/page.js");
EMBED(damc_dygraphs_js, DAMC_DYGRAPHS "/dygraphs.js");
EMBED(damc_dygraphs_css, DAMC_DYGRAPHS "/dygraphs.css");
EMBED(damc_dygraphs_licence, DAMC_DYGRAPHS "/copyright");
#endif

namespace damc {

std::optional<PageFiles> page_files() {
#ifdef DAMC_DYGRAPHS
#define BYTES(name) std::string_view(name, static_cast<std::size_t>(name##_end - name))
  return PageFiles{BYTES(damc_page_html),   BYTES(damc_page_css),     BYTES(damc_page_js),
                   BYTES(damc_dygraphs_js), BYTES(damc_dygraphs_css), BYTES(damc_dygraphs_licence)};
#else
  return {};
#endif
}

}  // namespace damc
