import { type Issue, jsonPointer } from "@flotilla/workflow";
import type { z } from "zod";
import { invalidBody } from "./problem.ts";

/** The value as the schema gives it. Throws the problem `invalid-body` with all that is wrong, at pointers below `at`. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, at = ""): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidBody(parsed.error.issues.flatMap((issue) => issuesOf(issue, at)));
}

function issuesOf(issue: z.core.$ZodIssue, at: string): Issue[] {
  const path = at + jsonPointer(issue.path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        path: path + jsonPointer([key]),
        code: "unknown-field",
        message: "is not a known field",
      }));
    case "invalid_key":
      return [{ path, code: "invalid-key", message: lower(issue.issues[0]?.message ?? issue.message) }];
    case "invalid_union": {
      const expected = issue.errors
        .flat()
        .flatMap((branch) => (branch.code === "invalid_type" ? [branch.expected] : []));
      return [{ path, code: "invalid-type", message: `expected ${expected.join(" or ") || "another value"}` }];
    }
    case "custom":
      return [{ path, code: "invalid", message: lower(issue.message) }];
    default:
      return [{ path, code: issue.code.replaceAll("_", "-"), message: lower(issue.message) }];
  }
}

function lower(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
