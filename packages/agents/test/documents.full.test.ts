import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Documents } from "../src/documents/index.ts";

let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "many-documents-"));
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

test("ten thousand files are indexed within a minute and 256 MB, and found again without reading them", async () => {
  const docs = join(base, "docs");
  const paragraph =
    "The river runs past the engine house. Workers store grain in the market hall every winter. ".repeat(6);
  for (let folder = 0; folder < 100; folder++) {
    mkdirSync(join(docs, `d${folder}`), { recursive: true });
    for (let file = 0; file < 100; file++) {
      writeFileSync(join(docs, `d${folder}`, `f${file}.md`), `# Document ${folder}-${file}\n\n${paragraph}\n`);
    }
  }
  writeFileSync(
    join(docs, "d50", "f50.md"),
    "# Turbine\n\nThe Kestrel turbine spins at 3,300 revolutions per minute.\n",
  );
  writeFileSync(join(docs, "huge.txt"), "An endless row of words without a stop ".repeat(600_000));

  const documents = new Documents({ docsRoots: [docs], dataDir: join(base, "data") });
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  try {
    const started = performance.now();
    expect(await documents.survey(undefined)).toMatchObject({ documents: 10_001 });
    expect(performance.now() - started).toBeLessThan(60_000);
    expect(peak - before).toBeLessThan(256 * 1024 * 1024);

    const again = performance.now();
    await documents.survey(undefined);
    expect(performance.now() - again).toBeLessThan(5_000);
    const { hits } = await documents.search(undefined, "How fast does the Kestrel turbine spin?", 3);
    expect(hits[0]).toMatchObject({ path: "d50/f50.md", line: 3 });
  } finally {
    clearInterval(watch);
    await documents.stop();
  }
});
