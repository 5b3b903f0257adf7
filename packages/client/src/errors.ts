import { z } from "zod";
import type { Reply } from "./transport.ts";

/** One thing that is wrong with a request, at a JSON pointer into it. */
const ProblemIssue = z.object({ path: z.string(), code: z.string(), message: z.string() });
export type ProblemIssue = z.infer<typeof ProblemIssue>;

const ProblemBody = z.object({
  title: z.string().exactOptional(),
  detail: z.string().exactOptional(),
  code: z.string(),
  errors: z.array(ProblemIssue).exactOptional(),
});

interface ProblemFields {
  status: number;
  code: string;
  detail: string;
  errors: ProblemIssue[];
}

/** The service answered, and refused. `code` is one of those in docs/errors.md; `errors` names every problem at once. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: ProblemIssue[];

  constructor(problem: ProblemFields, options?: ErrorOptions) {
    super(problem.detail, options);
    this.name = "ProblemError";
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.errors = problem.errors;
  }
}

/** No answer came from the service: not there, cut off, or silent for too long. `cause` says how. */
export class UnreachableError extends Error {
  readonly url: string;

  constructor(url: string, options?: ErrorOptions) {
    super("the service is unreachable", options);
    this.name = "UnreachableError";
    this.url = url;
  }
}

/** What a refusing response says; a body that is no problem+json (from a proxy, say) becomes code `http-<status>`. */
export async function problemOf(response: Reply): Promise<ProblemError> {
  const text = await response.text().catch(() => "");
  const body = ProblemBody.safeParse(parseJson(text));
  if (!body.success) {
    const detail = response.statusText || "the service refused";
    return new ProblemError({ status: response.status, code: `http-${response.status}`, detail, errors: [] });
  }
  const { code, title, detail, errors } = body.data;
  return new ProblemError({ status: response.status, code, detail: detail ?? title ?? code, errors: errors ?? [] });
}

/** A success whose body is not what the API answers. */
export function unexpectedAnswer(status: number, cause: unknown): ProblemError {
  const detail = "the answer is not one of this API";
  return new ProblemError({ status, code: "unexpected-answer", detail, errors: [] }, { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
