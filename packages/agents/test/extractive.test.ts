import type { LanguageModelV4CallOptions, LanguageModelV4Prompt } from "@ai-sdk/provider";
import { describe, expect, test } from "vitest";
import { mergeFindings, reviewAnswer } from "../src/models/extractive/answer.ts";
import { chooseDiverse, saysTheSame } from "../src/models/extractive/selection.ts";
import { splitQuestion } from "../src/models/extractive/split.ts";
import { createExtractiveModel } from "../src/models/extractive.ts";

const searchTool = { type: "function" as const, name: "search_documents", inputSchema: {} };
const readTool = { type: "function" as const, name: "read_document", inputSchema: {} };
const findingsFormat = { type: "json" as const, name: "findings" };

function promptOf(data: object): LanguageModelV4Prompt {
  const text = `Find it.\n\n\`\`\`json\n${JSON.stringify(data)}\n\`\`\``;
  return [
    { role: "system", content: "rules" },
    { role: "user", content: [{ type: "text", text }] },
  ];
}

function toolMessage(toolName: string, value: object, kind: "json" | "text" = "json"): LanguageModelV4Prompt[number] {
  const plain = JSON.parse(JSON.stringify(value));
  const output = kind === "json" ? { type: kind, value: plain } : { type: kind, value: JSON.stringify(value) };
  return { role: "tool", content: [{ type: "tool-result", toolCallId: "call", toolName, output }] };
}

function hit(text: string, score: number, path = "a.md", line = 1) {
  return { path, line, text, heading: "", score, matched: [] };
}

async function ask(options: LanguageModelV4CallOptions) {
  const { content, finishReason } = await createExtractiveModel().doGenerate(options);
  return { content, finish: finishReason.unified };
}

async function answerOf(options: LanguageModelV4CallOptions): Promise<unknown> {
  const { content } = await ask(options);
  const [part] = content;
  return part?.type === "text" ? JSON.parse(part.text) : content;
}

describe("the conversation", () => {
  const brief = {
    question: "How long is a lease, and who renews it?",
    subQuestion: { question: "How long is a lease?", focus: "the direct answer" },
  };

  test("searches first, for the sub-question and the question at once", async () => {
    const { content, finish } = await ask({
      prompt: promptOf(brief),
      tools: [searchTool, readTool],
      responseFormat: findingsFormat,
    });
    expect(finish).toBe("tool-calls");
    expect(content.map((part) => part.type === "tool-call" && [part.toolName, JSON.parse(part.input).query])).toEqual([
      ["search_documents", "How long is a lease?"],
      ["search_documents", brief.question],
    ]);
  });

  test("reads what stands before a sentence that leans on it, and quotes both", async () => {
    const found = [hit("It lasts six seconds.", 0.9, "a.md", 5)];
    const prompt = [...promptOf(brief), toolMessage("search_documents", { hits: found, words: [] })];
    const { content } = await ask({ prompt, tools: [searchTool, readTool], responseFormat: findingsFormat });
    expect(content).toMatchObject([{ type: "tool-call", toolName: "read_document" }]);

    const answerAfter = (text: string, kind: "json" | "text") => {
      const read = toolMessage("read_document", { path: "a.md", fromLine: 3, toLine: 5, text }, kind);
      return answerOf({ prompt: [...prompt, read], tools: [searchTool, readTool], responseFormat: findingsFormat });
    };
    expect(await answerAfter("Before.\nA lease is a\r\nclaim. It lasts six seconds.", "text")).toMatchObject({
      findings: [
        {
          quote: "A lease is a\r\nclaim. It lasts six seconds.",
          line: 4,
          text: "A lease is a claim. It lasts six seconds.",
        },
      ],
    });
    expect(await answerAfter("Another paragraph ends here.\n\nIt lasts six seconds.", "json")).toMatchObject({
      findings: [{ quote: "It lasts six seconds.", line: 5 }],
    });
  });

  test("passages that only mention the subject are no findings", async () => {
    const prompt = [
      ...promptOf(brief),
      toolMessage("search_documents", { hits: [hit("Leases are nice.", 0.5)], words: [] }),
    ];
    expect(await answerOf({ prompt, tools: [searchTool, readTool], responseFormat: findingsFormat })).toEqual({
      findings: [],
    });
  });

  test("calls nothing that it is not offered, and nothing twice when a tool refused", async () => {
    expect(await answerOf({ prompt: promptOf(brief), responseFormat: findingsFormat })).toEqual({ findings: [] });
    const refused: LanguageModelV4Prompt = [
      ...promptOf(brief),
      {
        role: "tool",
        content: [
          {
            type: "tool-result",
            toolCallId: "c",
            toolName: "search_documents",
            output: { type: "error-text", value: "no" },
          },
        ],
      },
    ];
    expect(await answerOf({ prompt: refused, tools: [searchTool], responseFormat: findingsFormat })).toEqual({
      findings: [],
    });
  });

  test("an agent that asks for text gets the sentences with their places", async () => {
    const prompt: LanguageModelV4Prompt = [
      { role: "user", content: [{ type: "text", text: "How long is a lease?" }] },
      toolMessage("search_documents", { hits: [hit("A lease is six seconds long.", 0.9, "b.md", 7)], words: [] }),
    ];
    const { content } = await ask({ prompt, tools: [searchTool] });
    expect(content).toEqual([{ type: "text", text: "A lease is six seconds long. (b.md:7)" }]);
  });

  test("a shape that it does not know is refused, never filled with something", async () => {
    const format = { type: "json" as const, name: "poem" };
    await expect(ask({ prompt: promptOf(brief), responseFormat: format })).rejects.toThrow(/poem/);
  });
});

describe("splitting a question", () => {
  const questionsOf = (question: string) => splitQuestion({ question }).subQuestions.map((sub) => sub.question);

  test("each clause is a sub-question, and one that points back takes its subject along", () => {
    expect(questionsOf("How are leases renewed, and what happens when they expire? Why six seconds?")).toEqual([
      "How are leases renewed?",
      "what happens when they expire? (regarding leases)",
      "Why six seconds?",
    ]);
  });

  test("a single question is asked for its answer, for numbers and for reasons", () => {
    const { subQuestions } = splitQuestion({ question: "How do salt and pepper differ?" });
    expect(new Set(subQuestions.map(({ question }) => question))).toEqual(new Set(["How do salt and pepper differ?"]));
    expect(new Set(subQuestions.map(({ focus }) => focus)).size).toBe(3);
  });
});

describe("choosing", () => {
  const choice = (text: string, score: number, path = "a.md", serves = "q") => ({ text, score, path, serves });

  test("what says the same is taken once, but not when its figures differ", () => {
    expect(saysTheSame("The lease is 6 s long in all cases.", "The lease is 6 s long in all the cases.")).toBe(true);
    expect(saysTheSame("The lease is 6 s long in all cases.", "The lease is 8 s long in all cases.")).toBe(false);
  });

  test("best first, and what adds something before what repeats", () => {
    const best = choice("The lease of a worker is six seconds.", 0.9);
    const repeat = choice("The lease of a worker is about six seconds or so there.", 0.85);
    const other = choice("Renewal happens every two seconds by script.", 0.75, "b.md", "r");
    expect(chooseDiverse([repeat, other, best], 2)).toEqual([best, other]);
  });

  test("findings that say the same in several documents are one point with several places", () => {
    const finding = (id: number, path: string, quote: string) => ({ id, path, quote, subQuestion: "q", score: 0.9 });
    const findings = [
      finding(1, "a.md", "The lease is six seconds."),
      finding(2, "b.md", "The lease is six seconds."),
      finding(3, "a.md", "Workers renew it every two seconds."),
    ];
    expect(mergeFindings({ findings })).toEqual({ points: [{ findings: [1, 2] }, { findings: [3] }] });
  });

  test("a finding that another one holds is no point of its own, and lends it its place and its score", () => {
    const finding = (id: number, path: string, quote: string, score: number) => ({
      id,
      path,
      quote,
      score,
      subQuestion: "q",
    });
    const findings = [
      finding(1, "a.md", "The tower was built in 1871.", 0.9),
      finding(2, "a.md", "The tower was built\nin 1871. It is 43 metres high.", 0.6),
      finding(3, "b.md", "The **tower** was built in 1871.", 0.8),
    ];
    expect(mergeFindings({ findings })).toEqual({ points: [{ findings: [2, 3] }] });
  });

  test("a paragraph that is not in its quotations is not supported", () => {
    const answer = [
      { text: "A lease is six.", quotes: ["A lease\r\nis six."] },
      { text: "A lease is seven.", quotes: ["A lease is six."] },
    ];
    expect(reviewAnswer({ answer })).toMatchObject({ unsupported: [{ paragraph: 1 }] });
  });
});
