import { APICallError } from "@ai-sdk/provider";
import { type Failure, TaskError } from "@flotilla/workflow";
import { causesOf, type ErrorFacts, factsOf } from "./error-facts.ts";
import { judgeFacts, judgePhrase, type Verdict } from "./failure-rules.ts";

/** Longest message that goes into the log of a workflow; the whole error is in the log of the process. */
const maxMessageLength = 2000;

/** Most links of a chain of causes that are looked through, so that a cyclic one ends. */
const maxLinks = 16;

/** Longest wait that another side can ask for: what asks for more is wrong. */
const longestRetryAfterMs = 24 * 60 * 60 * 1000;

/**
 * Says what kind of failure a thrown value is, and so what becomes of the task. The first thing in the chain of causes
 * that is known by its type, code or HTTP status decides, and only where none is, what they say in words; what is not
 * known at all is `unknown`. A wait that the other side asks for comes along. Each code is in docs/errors.md. `now`
 * (ms) is when it was thrown: some ask to wait until a date.
 */
export function classify(thrown: unknown, now = Date.now()): Failure {
  const links = chainOf(thrown);
  const facts = links.map((link) => factsOf(link, now));
  const asked = facts.map(({ retryAfterMs }) => retryAfterMs).find((ms) => ms !== undefined);
  const wait = asked === undefined ? {} : { retryAfterMs: Math.min(asked, longestRetryAfterMs) };
  const message = messageOf(thrown);
  for (const [place, link] of links.entries()) {
    if (link instanceof TaskError) return { ...link.failure, message: shorten(link.failure.message) };
    const verdict = judge(link, facts[place]);
    if (verdict) return { ...verdict, message, ...wait };
  }
  for (const { message: words } of facts) {
    const verdict = judgePhrase(words);
    if (verdict) return { ...verdict, message, ...wait };
  }
  return { class: "unknown", code: "unexpected", message };
}

function judge(link: unknown, facts: ErrorFacts | undefined): Verdict | undefined {
  const known = facts && judgeFacts(facts);
  if (known) return known;
  // Without a status the connection failed. So it did where the OCI SDK throws what it knows as a plain object.
  const isUnanswered = APICallError.isInstance(link) || (!(link instanceof Error) && isOfOci(link));
  return isUnanswered ? { class: "transient", code: "network" } : undefined;
}

function isOfOci(link: unknown): boolean {
  return typeof link === "object" && link !== null && "requestEndpoint" in link && !("statusCode" in link);
}

/** The value and what stands behind it, nearest first. */
function chainOf(thrown: unknown): unknown[] {
  const links: unknown[] = [thrown];
  for (let place = 0; place < links.length && links.length < maxLinks; place++) {
    links.push(...causesOf(links[place]).filter((cause) => !links.includes(cause)));
  }
  return links;
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return shorten(thrown.message || thrown.name);
  if (typeof thrown === "string") return shorten(thrown);
  const said = isOfOci(thrown) ? Object(thrown).message : undefined;
  return shorten(typeof said === "string" ? said : "something that is not an error was thrown");
}

function shorten(message: string): string {
  return message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength)}…`;
}
