import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { Json } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Report, renderReport } from "../src/builtin/index.ts";
import { standsAt } from "../src/documents/quotation.ts";
import { createExtractiveModel } from "../src/models/extractive.ts";
import { runDocumentWorkflow } from "./document-workflow.ts";

let base: string;
let docs: string;

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "builtin-")));
  docs = join(base, "docs");
  mkdirSync(docs);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(docs, path)), { recursive: true });
  writeFileSync(join(docs, path), content);
}

const run = (input: Json, options?: Parameters<typeof runDocumentWorkflow>[2]) =>
  runDocumentWorkflow({ docsRoots: [docs], dataDir: join(base, "data") }, input, options);

function expectToHold(report: Report): void {
  for (const { path, line, quote } of report.answer.flatMap(({ citations }) => citations)) {
    expect(standsAt(readFileSync(join(docs, path), "utf8"), line, quote), `${path}:${line}`).toBe(true);
  }
}

const pumpManual = [
  "\uFEFF# Zephyr pump",
  "",
  "After an emergency stop the pump must cool down for at least 12 minutes",
  "before it is restarted. Restarting it earlier damages the seal, because it expands.",
  "",
  "## Filter",
  "",
  "The filter has to be replaced every 500 operating hours.",
  "",
  "### Can the pump run dry?",
  "",
  "No. Ten seconds without liquid destroy the impeller.",
  "",
].join("\r\n");

const fogChapter = [
  "# Keepers' manual",
  "",
  "The lamp must be lit at sunset.",
  "",
  "## Fog",
  "",
  "In fog the horn sounds for four seconds every minute. The horn runs on compressed air; the compressor",
  "is started with the red lever.",
  "",
  "| part | spare |",
  "| --- | --- |",
  "| mantle | 12 |",
  "",
  "- Oil is kept in the cellar.",
  "",
].join("\n");

function writeCorpus(): void {
  write("manuals/zephyr.md", pumpManual);
  write("manuals/boreas.md", "# Boreas turbine\n\nThe blades are inspected twice a year. It also drives a pump.\n");
  write("hr/leave.txt", "Every employee is entitled to 27 days of paid leave.\n\nMarek saw a film about Kubernetes.\n");
  write(
    "long.txt",
    `${"filler words go on and on, ".repeat(4000)}. The moon base opens in 2031. ${"more filler, ".repeat(4000)}`,
  );
}

describe("a question over documents", () => {
  beforeEach(writeCorpus);

  test.each([
    ["How long must the Zephyr cool before it can be restarted?", "12 minutes"],
    ["Why must it not be restarted earlier after a stop of the pump?", "because it expands"],
    ["How often is replacing the filter necessary?", "500 operating hours"],
    ["How many days of holiday do employees get?", "27 days"],
    ["Can the pump run dry?", "destroy the impeller"],
    ["When does the moon base open?", "2031"],
  ])("%s is answered with what stands in them", async (question, expected) => {
    const { report, artifacts } = await run(question);
    expect(report.answer[0]?.citations[0]?.quote).toContain(expected);
    expect(report).toMatchObject({ question, model: "extractive", workflowId: "wf_00_test" });
    expect(report.reason).toBeUndefined();
    expectToHold(report);
    expect(Report.parse(JSON.parse(artifacts.get("report.json") ?? ""))).toEqual(report);
    expect(artifacts.get("report.md")).toContain(report.answer[0]?.text);
    expect(artifacts.get("report.md")).toContain(renderReport(report));
  });

  test.each([
    "What is the capital of Australia?",
    "What is Kubernetes?",
    "How do I deploy the pump to Kubernetes?",
    "What is the price of the Zephyr pump?",
    "Which pump did the emperor buy?",
  ])("%s is not answered with what only mentions it", async (question) => {
    const { report, artifacts } = await run(question);
    expect(report.answer).toEqual([]);
    expect(report.sources).toEqual([]);
    expect(report.reason).toMatch(/^Nothing in the 4 documents of the folder answers this question\./);
    expect(artifacts.get("report.md")).toContain("No answer found");
  });

  test("a question in two parts is answered in both", async () => {
    const { report, outputs } = await run({
      question: "How often is the filter replaced, and how many days of leave are there?",
    });
    const quotes = report.answer.flatMap(({ citations }) => citations.map(({ quote }) => quote)).join("\n");
    expect(quotes).toContain("500 operating hours");
    expect(quotes).toContain("27 days");
    expect([...outputs.keys()]).toEqual(expect.arrayContaining(["research-1", "research-2", "research-3", "analysis"]));
  });

  test("a heading carries the prose below it, after what has the words itself, and no table row or list item", async () => {
    write("fog.md", fogChapter);
    const { report } = await run("What happens in fog?");
    expect(report.answer.map(({ text }) => text)).toEqual([
      "In fog the horn sounds for four seconds every minute.",
      "The horn runs on compressed air; the compressor is started with the red lever.",
    ]);
  });

  test("a list item and a table row are carried by the words that lead into them", async () => {
    write("ports.md", "# Notes\n\nThe spare parts aboard are:\n\n- twelve mantles of silk\n- four cotton wicks\n");
    write("whistle.md", "No ferry whistles at its departure.\n");
    write("ferries.md", "# Notes\n\n| ferry | departure |\n| --- | --- |\n| Skagen | 7:40 at pier two |\n");
    const partsOf = async (question: string) => (await run(question)).report.answer.map(({ text }) => text);
    expect(await partsOf("Which spare parts are aboard?")).toEqual(
      expect.arrayContaining(["twelve mantles of silk", "four cotton wicks"]),
    );
    expect(await partsOf("When is the departure of the ferry?")).toContain("Skagen · 7:40 at pier two");
  });

  test("a sentence that another quotation holds is not said twice", async () => {
    write("tower.txt", "The tower was built in 1871.\nIt is 43 metres high.\nVisitors may climb it on Sundays.\n");
    const { report } = await run("How high is the tower and when was it built?");
    expect(report.answer).toEqual([
      {
        text: "The tower was built in 1871. It is 43 metres high.",
        citations: [{ path: "tower.txt", line: 1, quote: "The tower was built in 1871.\nIt is 43 metres high." }],
      },
    ]);
  });

  test("a sentence that ends on a word for what stands before it is quoted with that", async () => {
    const text = "A pilot is compulsory for ships above 50 metres. A master who passed the exam may go without one.";
    write("pilots.txt", `Ships in the strait\n\n${text}\n`);
    const { report } = await run("Who may go without a pilot?");
    expect(report.answer[0]).toEqual({ text, citations: [{ path: "pilots.txt", line: 3, quote: text }] });
  });

  test("templates and code fences in a question are words like others", async () => {
    const question = "How often is the {{input}} filter replaced?\n```json\nfilter\n```";
    const { report } = await run({ question, docs: "manuals" });
    expect(report.question).toBe(question);
    expect(report.answer[0]?.citations[0]).toMatchObject({ path: "zephyr.md", line: 8 });
  });

  test("an input that is no question is asked as it stands", async () => {
    const { report } = await run({ filter: "replacement", hours: "operating" });
    expect(report.answer[0]?.text).toContain("500 operating hours");
  });

  test("what no longer stands on disk at review is dropped, and the report written anew", async () => {
    const { report, artifacts } = await run("How often is the filter replaced, and how many days of leave are there?", {
      beforeTask: (taskId) => {
        if (taskId === "review") write("hr/leave.txt", "\nEvery employee is entitled to 27 days of paid leave.\n");
      },
    });
    expect(report.sources.map(({ path }) => path)).toEqual(["manuals/zephyr.md"]);
    expect(artifacts.get("report.md")).not.toContain("27 days");
    expect(Report.parse(JSON.parse(artifacts.get("report.json") ?? ""))).toEqual(report);
    expectToHold(report);
  });
});

describe("a folder without an answer", () => {
  test("an empty one is said to be empty", async () => {
    expect((await run("Why is it empty?")).report).toMatchObject({
      answer: [],
      reason: "The documents folder is empty.",
    });
  });

  test("one of binaries is said to hold none", async () => {
    write("a.png", Buffer.from([0, 1, 2]));
    write("b.md", Buffer.from([0, 1, 2]));
    const { report } = await run("What is in the picture?");
    expect(report.answer).toEqual([]);
    expect(report.reason).toMatch(/no Markdown or text documents.*2 files/);
  });

  test("a missing one fails the planner with what is wrong", async () => {
    await expect(run({ question: "Where is it?", docs: join(docs, "gone") })).rejects.toMatchObject({
      failure: { class: "data", code: "documents-missing" },
    });
  });

  test("no allowed folder at all fails the planner with what to do", async () => {
    const ask = runDocumentWorkflow({ docsRoots: [], dataDir: join(base, "data") }, "hello");
    await expect(ask).rejects.toMatchObject({ failure: { class: "data", message: /FLOTILLA_DOCS_ROOTS/ } });
  });
});

describe("a model that lies", () => {
  test("its quotations are mended from the file where they stand, and dropped where they do not", async () => {
    writeCorpus();
    const findings = [
      {
        text: "x",
        score: 1,
        path: "manuals/zephyr.md",
        line: 99,
        quote: "must cool down for at least 12 minutes before it is restarted.",
      },
      { text: "x", score: 1, path: "manuals/zephyr.md", line: 3, quote: "The pump must cool down for 99 minutes." },
      { text: "x", score: 1, path: "../../etc/passwd", line: 1, quote: "root" },
    ];
    const { report, outputs } = await run("How long must the Zephyr cool?", {
      model: forging("findings", { findings }),
    });
    expect(outputs.get("research-1")).toMatchObject({
      findings: [
        {
          path: "manuals/zephyr.md",
          line: 3,
          quote: "must cool down for at least 12 minutes\r\nbefore it is restarted.",
        },
      ],
    });
    expect(report.answer).toHaveLength(1);
    expectToHold(report);
  });

  const cheese = "The moon is made of cheese.";
  const forged = { paragraphs: [{ text: cheese, points: [1] }] };

  test("a paragraph that the review finds unsupported goes back to who wrote it, with the reason, and is mended", async () => {
    writeCorpus();
    const { report, artifacts, outputs, messages } = await run("How long must the Zephyr cool?", {
      model: forging("answer", forged, 1),
    });
    expect(outputs.get("review")).toMatchObject({
      sentBack: { paragraphs: [{ text: cheese, reason: expect.stringContaining("quotations") }] },
    });
    expect([...outputs.keys()].slice(-3)).toEqual(["review", "execution-2", "review-2"]);
    expect(messages).toContain("sent 1 of 1 paragraphs back to execution");
    expect(report.answer.length).toBeGreaterThan(0);
    expectToHold(report);
    expect(artifacts.get("report.md")).not.toContain("cheese");
    expect(JSON.parse(artifacts.get("report.json") ?? "")).toEqual(report);
  });

  test("who is sent back to is told what was wrong, and nobody is where all holds", async () => {
    writeCorpus();
    const prompts: string[] = [];
    await run("How long must the Zephyr cool?", { model: forging("answer", forged, 1, prompts) });
    expect(prompts).toHaveLength(2);
    expect(prompts[0]).not.toContain("sentBack");
    expect(prompts[1]).toContain(`"sentBack":{"paragraphs":[{"text":"${cheese}","reason":`);
    const { outputs } = await run("How long must the Zephyr cool?");
    expect([...outputs.keys()].at(-1)).toBe("review");
  });

  test("a paragraph that does not hold the second time either is dropped, and not sent back again", async () => {
    writeCorpus();
    const { report, artifacts, outputs } = await run("How long must the Zephyr cool?", {
      model: forging("answer", forged),
    });
    expect([...outputs.keys()].filter((id) => id.startsWith("execution"))).toEqual(["execution", "execution-2"]);
    expect(report).toMatchObject({ answer: [], reason: expect.stringContaining("did not hold") });
    expect(artifacts.get("report.md")).not.toContain("cheese");
  });
});

/** The embedded model, but for one kind of answer: so many times, each prompt for which is put into `prompts`. */
function forging(name: string, answer: Json, times = Infinity, prompts: string[] = []) {
  const honest = createExtractiveModel();
  const model: LanguageModelV4 = {
    ...honest,
    async doGenerate(options) {
      const result = await honest.doGenerate(options);
      const isForged = options.responseFormat?.type === "json" && options.responseFormat.name === name;
      const isAnswer = result.finishReason.unified === "stop";
      if (isForged && isAnswer) prompts.push(JSON.parse(JSON.stringify(options.prompt.at(-1)?.content))[0].text);
      return isForged && isAnswer && prompts.length <= times
        ? { ...result, content: [{ type: "text", text: JSON.stringify(answer) }] }
        : result;
    },
  };
  return { name: "forging", load: async () => model };
}
