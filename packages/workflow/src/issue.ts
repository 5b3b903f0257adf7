import { z } from "zod";

/** One thing that is wrong with a request, at a JSON pointer (RFC 6901) into it. */
export const Issue = z.object({
  path: z.string().meta({ description: "JSON pointer" }),
  code: z.string(),
  message: z.string(),
});
export type Issue = z.infer<typeof Issue>;

export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** All that a schema has to say against a value, at pointers below `at`. */
export function schemaIssues({ issues }: z.ZodError, at = ""): Issue[] {
  return issues.flatMap((issue) => issuesOf(issue, at));
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
