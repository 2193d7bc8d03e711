"""`python -m docs.generate`: brings the generated regions of all pages in step with the compiler and the library."""

from __future__ import annotations

from docs.generate.book import ROOT, pages, regenerated

for page in pages():
    before = page.read_text(encoding="utf-8")
    after = regenerated(before)
    if after != before:
        page.write_text(after, encoding="utf-8")
        print(f"rewritten: {page.relative_to(ROOT)}")
