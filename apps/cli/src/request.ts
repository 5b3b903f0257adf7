import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { WorkflowRequestInput } from "@flotilla/client";
import { type Json, jsonPointer, PlanRequest, WorkflowRequest } from "@flotilla/workflow";
import { type Command, Option } from "commander";
import { parse, type ParseError, printParseErrorCode } from "jsonc-parser";
import { z } from "zod";
import { CliError, exitCode } from "./exit.ts";

/** The options that say what is asked for. */
export const requestOptions = {
  plan: z.string().exactOptional(),
  agent: z.string().exactOptional(),
  priority: z.string().exactOptional(),
  approvePlan: z.literal(true).exactOptional(),
  concurrency: z.string().exactOptional(),
  callbackUrl: z.string().exactOptional(),
  budget: z.string().exactOptional(),
  tag: z.array(z.string()).default([]),
};
type RequestOptions = z.output<z.ZodObject<typeof requestOptions>>;

/** Declares the options that say what is asked for. */
export function addRequestOptions(command: Command): Command {
  return command
    .addOption(new Option("--plan <file>", 'JSON file with the plan: {"phases": [...]}'))
    .addOption(new Option("--agent <type>", "give the input to this agent alone"))
    .addOption(new Option("--approve-plan", "wait for a person before what is planned runs: see flotilla inbox"))
    .addOption(new Option("--priority <priority>", "how urgent it is").choices(["critical", "high", "normal", "low"]))
    .addOption(new Option("--concurrency <n>", "tasks that may run at once"))
    .addOption(new Option("--callback-url <url>", "address that is told of the end, and of what waits for a person"))
    .addOption(new Option("--budget <amounts>", "what it may spend on models, as usd=1.50,tokens=100000"))
    .addOption(
      new Option("--tag <key=value>", "tag to find it by; may be given again").argParser(
        (tag: string, before: string[] | undefined) => [...(before ?? []), tag],
      ),
    );
}

/** The value of an option that takes JSON. Throws with 2 where it is none. */
export function jsonFrom(option: string, text: string): Json {
  try {
    return z.json().parse(JSON.parse(text));
  } catch {
    throw new CliError(exitCode.usage, `${option} takes JSON`);
  }
}

/** The request that the input and the options make. Throws with 2 and every problem at once. */
export async function requestFrom(
  input: string,
  options: RequestOptions,
  docs?: string,
): Promise<WorkflowRequestInput> {
  const request = {
    input: docs === undefined ? inputFrom(input) : { question: input, docs: await documentsFolder(docs) },
    ...(options.plan !== undefined && { plan: await readPlan(options.plan) }),
    ...(options.agent !== undefined && { agent: options.agent }),
    ...(options.approvePlan && { approvePlan: true }),
    ...(options.priority !== undefined && { priority: options.priority }),
    ...(options.concurrency !== undefined && { concurrency: Number(options.concurrency) }),
    ...(options.callbackUrl !== undefined && { callbackUrl: options.callbackUrl }),
    ...(options.budget !== undefined && { budget: budgetFrom(options.budget) }),
    ...(options.tag.length > 0 && { tags: Object.fromEntries(options.tag.map(splitTag)) }),
  };
  const parsed = WorkflowRequest.safeParse(request);
  if (parsed.success) return parsed.data;
  throw new CliError(exitCode.usage, describeIssues("the request is not valid", parsed.error));
}

/** What is no amount is left to the schema of a request, which knows what a budget is. */
function budgetFrom(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(",").map((part) => {
      const [unit = "", amount = ""] = part.split("=");
      return [unit, Number(amount)];
    }),
  );
}

/** The folder as an absolute path. Throws with 2 when it is not there. */
export async function documentsFolder(path: string): Promise<string> {
  const folder = resolve(path);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return folder;
  const problem = found ? "is a file and not a folder" : "does not exist";
  throw new CliError(exitCode.usage, `the documents folder ${folder} ${problem}: name another with --docs`);
}

/** Text is taken as it is; what begins like a JSON object must be one. */
export function inputFrom(input: string): WorkflowRequestInput["input"] {
  if (!input.trimStart().startsWith("{")) return input;
  try {
    return JSON.parse(input);
  } catch (error) {
    throw new CliError(exitCode.usage, `the input begins with { and is no JSON: ${reasonOf(error)}`);
  }
}

/** The plan that a file holds. Throws with 2 and every problem at once. */
export async function readPlan(file: string): Promise<z.output<typeof PlanRequest>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new CliError(exitCode.usage, `the plan ${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const parsed = PlanRequest.safeParse(parsePlan(file, text));
  if (parsed.success) return parsed.data;
  throw new CliError(exitCode.usage, describeIssues(`${file} is not a plan`, parsed.error));
}

function parsePlan(file: string, text: string): unknown {
  const errors: ParseError[] = [];
  const plan: unknown = parse(text, errors, { disallowComments: true });
  const [first] = errors;
  if (!first) return plan;
  const line = text.slice(0, first.offset).split("\n").length;
  const what = printParseErrorCode(first.error)
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toLowerCase();
  throw new CliError(exitCode.usage, `${file}, line ${line}, is no JSON: ${what}`);
}

function splitTag(tag: string): [string, string] {
  const at = tag.indexOf("=");
  if (at < 1) throw new CliError(exitCode.usage, `--tag takes key=value, and "${tag}" is not that`);
  return [tag.slice(0, at), tag.slice(at + 1)];
}

function describeIssues(headline: string, error: z.ZodError): string {
  const lines = error.issues.map(({ path, message }) => `  ${jsonPointer(path) || "/"} ${message}`);
  return [`${headline}:`, ...lines].join("\n");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
